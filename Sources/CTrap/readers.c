// What a handler uses may be replaced meanwhile: it says that it uses it, and who has replaced something waits until
// all who may have the old have said that they are done. Readers never wait; writers hold trap_lock().
#include "internal.h"
#include "system.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

struct trap_readers trap_lookups;

uint32_t trap_read_begin(struct trap_readers *readers) {
  for (;;) {
    uint32_t mine = atomic_load(&readers->generation);
    atomic_fetch_add(&readers->counts[mine & 1], 1);
    // Still current: whoever replaces something from now on waits for this reader.
    if (atomic_load(&readers->generation) == mine) return mine;
    atomic_fetch_sub(&readers->counts[mine & 1], 1);
  }
}

void trap_read_end(struct trap_readers *readers, uint32_t mine) {
  atomic_fetch_sub(&readers->counts[mine & 1], 1);
}

void trap_read_drain(struct trap_readers *readers) {
  static const struct timespec pause = {.tv_nsec = 50000};
  uint32_t old = atomic_fetch_add(&readers->generation, 1);
  // Microseconds, unless somebody waits for a server that has been stopped.
  for (int tries = 0; atomic_load(&readers->counts[old & 1]) != 0; tries++) {
    if (tries < 100) sched_yield();
    else trap_system(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
  }
}

void trap_read_forget(struct trap_readers *readers) {
  atomic_store(&readers->counts[0], 0);
  atomic_store(&readers->counts[1], 0);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
// Of locking and unlocking: odd while somebody, whose thread is here, changes something.
static _Atomic uint64_t changes;
static _Atomic long changer;

// By system calls: the program may have replaced the C library's.
static void set_mask(uint64_t mask, uint64_t *before) {
  trap_system(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)before, sizeof mask, 0, 0);
}

uint64_t trap_block_signals(void) {
  uint64_t before = 0;
  // SIGSEGV too: it may have been sent, and a handler that jumps would leave with the lock. A fault ends the process.
  set_mask(~UINT64_C(0), &before);
  return before;
}

void trap_restore_signals(uint64_t before) { set_mask(before, NULL); }

void trap_lock(uint64_t *before) {
  *before = trap_block_signals();
  pthread_mutex_lock(&lock);
  atomic_store(&changer, trap_system(SYS_gettid, 0, 0, 0, 0, 0, 0));
  atomic_fetch_add(&changes, 1);
}

void trap_unlock(uint64_t before) {
  atomic_fetch_add(&changes, 1);
  pthread_mutex_unlock(&lock);
  trap_restore_signals(before);
}

bool trap_has_changed(uint64_t *seen) {
  uint64_t now = atomic_load(&changes);
  bool is_changing = now % 2 != 0 && atomic_load(&changer) != trap_system(SYS_gettid, 0, 0, 0, 0, 0, 0);
  if (!is_changing && *seen == now + 1) return false;
  *seen = is_changing ? 0 : now + 1;
  if (is_changing) trap_system(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
  return true;
}

// MARK: - Forks: the child has one thread, and nothing that others were in the middle of.

static uint64_t before_fork;
// Whose memory this is.
static _Atomic long process;

static void note_process(void) { atomic_store(&process, trap_system(SYS_getpid, 0, 0, 0, 0, 0, 0)); }

bool trap_is_borrowed(void) { return atomic_load(&process) != trap_system(SYS_getpid, 0, 0, 0, 0, 0, 0); }

static void prepare_fork(void) {
  uint64_t before;
  trap_lock(&before);
  before_fork = before;
}

static void leave_fork(void) { trap_unlock(before_fork); }

static void begin_child(void) {
  note_process();
  // Those who read were other threads.
  trap_read_forget(&trap_lookups);
  trap_device_forget_accesses();
  trap_path_forget_thread();
  leave_fork();
}

void trap_watch_forks(void) {
  static bool is_watching;
  if (!is_watching) {
    note_process();
    pthread_atfork(prepare_fork, leave_fork, begin_child);
  }
  is_watching = true;
}
