// What a handler reads may be replaced meanwhile: it says that it reads, and who has replaced something waits until
// all who may have the old have said that they are done. Readers never wait; writers hold trap_lock().
#include "internal.h"
#include "system.h"

#include <pthread.h>
#include <sched.h>

// Of two generations of readers one is current; the other drains.
static _Atomic uint32_t generation;
static _Atomic uint32_t readers[2];

uint32_t trap_read_begin(void) {
  for (;;) {
    uint32_t mine = atomic_load(&generation);
    atomic_fetch_add(&readers[mine & 1], 1);
    // Still current: whoever replaces something from now on waits for this reader.
    if (atomic_load(&generation) == mine) return mine;
    atomic_fetch_sub(&readers[mine & 1], 1);
  }
}

void trap_read_end(uint32_t mine) { atomic_fetch_sub(&readers[mine & 1], 1); }

void trap_read_drain(void) {
  uint32_t old = atomic_fetch_add(&generation, 1);
  while (atomic_load(&readers[old & 1]) != 0) sched_yield();
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// By system calls: the program may have replaced the C library's.
static void set_mask(uint64_t mask, uint64_t *before) {
  trap_system(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)before, sizeof mask, 0, 0);
}

static uint64_t bit(int number) { return UINT64_C(1) << (number - 1); }

void trap_lock(uint64_t *before) {
  // A touch inside would be a bug, and shall be seen as one.
  set_mask(~(bit(SIGSEGV) | bit(SIGBUS)), before);
  pthread_mutex_lock(&lock);
}

void trap_unlock(uint64_t before) {
  pthread_mutex_unlock(&lock);
  set_mask(before, NULL);
}

// MARK: - Forks: the child has one thread, and nothing that others were in the middle of.

static uint64_t before_fork;

static void prepare_fork(void) {
  uint64_t before;
  trap_lock(&before);
  before_fork = before;
}

static void leave_fork(void) { trap_unlock(before_fork); }

static void begin_child(void) {
  // Those who read were other threads.
  atomic_store(&readers[0], 0);
  atomic_store(&readers[1], 0);
  leave_fork();
}

void trap_watch_forks(void) { pthread_atfork(prepare_fork, leave_fork, begin_child); }
