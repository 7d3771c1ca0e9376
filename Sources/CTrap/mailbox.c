// A shorter way to the server of a device file: memory that it looks into while it is awake (struct xive_mailbox_page).
//
// The path is one private mapping, which a child of fork() finds wiped, and the mailbox, which such a child does not have:
// it makes system calls again. No slot outlives its process, then, nor the thread that has it, for a thread in a handler
// takes no signal.
#include "internal.h"
#include "system.h"

#if defined __x86_64__

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define XIVE_NO_INLINE_ACCESS
#include "xive.h"

// What the header says in plain types, for both sides.
struct slot {
  _Atomic uint32_t state;
  _Atomic int32_t result;
  uint64_t offset;
  uint8_t bytes[8];
  uint8_t operation, size;
  uint16_t zero;
  uint32_t tid;
  uint64_t zero2[4];
};
_Static_assert(sizeof(struct slot) == sizeof(struct xive_mailbox_slot), "one layout");

struct page {
  _Atomic uint32_t awake;
  uint32_t zero;
  _Atomic uint64_t posted;
  uint64_t zero2[6];
  struct slot slots[XIVE_MAILBOX_SLOTS];
};
_Static_assert(sizeof(struct page) == sizeof(struct xive_mailbox_page), "one layout");

struct trap_path {
  // False in a child.
  bool is_ours;
  // The device's, which outlives this.
  int fd;
  // Looks at a slot that take about the time after which a system call would have been the better choice.
  uint32_t most_looks;
  struct page *page;
  // As the server's own patience: accesses that make their system call at once, after vain waits.
  _Atomic uint32_t failures, left_out;
};

enum {
  patience_nanoseconds = 30000,
  calibration_looks = 256,
  most_failures = 7,
  private_size = 4096,
};

static TRAP_THREAD uint32_t thread_id;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline void look_again(void) { __builtin_ia32_pause(); }

// How many looks take the time of a system call. The shortest of a few runs: the others were disturbed.
static uint32_t count_looks(void) {
  _Atomic uint32_t state = XIVE_SLOT_POSTED;
  uint64_t shortest = UINT64_MAX;
  for (int run = 0; run < 3; run++) {
    uint64_t start = now();
    for (int look = 0; look < calibration_looks && atomic_load(&state) == XIVE_SLOT_POSTED; look++) look_again();
    uint64_t time = now() - start;
    if (time < shortest) shortest = time;
  }
  uint64_t looks = (uint64_t)patience_nanoseconds * calibration_looks / (shortest + 1);
  return looks > UINT32_MAX ? UINT32_MAX : (uint32_t)looks;
}

// Not where the kernel would place it: in a hole that the program has made between its windows it would go when the
// program unmaps them all. Far below what is mapped for programs, and still where sanitizers take memory to be.
static long far_place(void) {
  static _Atomic uintptr_t next = 0x7e9000000000;
  return (long)atomic_fetch_add(&next, 1 << 16);
}

static void *map_private(void) {
  long address = trap_system(
    SYS_mmap, far_place(), private_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address < 0 && address > -4096) return NULL;
  if (trap_system(SYS_madvise, address, private_size, MADV_WIPEONFORK, 0, 0, 0) == 0) return (void *)address;
  trap_system(SYS_munmap, address, private_size, 0, 0, 0, 0);
  return NULL;
}

// Memory that is sealed and mapped, and its descriptor.
static struct page *make_page(int *fd) {
  *fd = (int)trap_system(
    SYS_memfd_create, (long)"xive-mailbox", MFD_CLOEXEC | MFD_ALLOW_SEALING, 0, 0, 0, 0);
  if (*fd < 0) return NULL;
  long seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (trap_system(SYS_ftruncate, *fd, XIVE_MAILBOX_SIZE, 0, 0, 0, 0) == 0
      && trap_system(SYS_fcntl, *fd, F_ADD_SEALS, seals, 0, 0, 0) == 0) {
    long address = trap_system(
      SYS_mmap, far_place(), XIVE_MAILBOX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (address >= 0 || address <= -4096) {
      if (trap_system(SYS_madvise, address, XIVE_MAILBOX_SIZE, MADV_DONTFORK, 0, 0, 0) == 0)
        return (struct page *)address;
      trap_system(SYS_munmap, address, XIVE_MAILBOX_SIZE, 0, 0, 0, 0);
    }
  }
  trap_system(SYS_close, *fd, 0, 0, 0, 0, 0);
  return NULL;
}

struct trap_path *trap_path_open(int fd) {
  // Where nobody else can be running, waiting is what keeps the server from it.
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) return NULL;
  struct trap_path *path = map_private();
  if (!path) return NULL;
  int memory;
  path->page = make_page(&memory);
  if (path->page) {
    struct xive_mailbox request = {.version = XIVE_MAILBOX_VERSION, .fd = memory};
    long result = trap_system(SYS_ioctl, fd, XIVE_MAILBOX, (long)&request, 0, 0, 0);
    trap_system(SYS_close, memory, 0, 0, 0, 0, 0);
    if (result == 0) {
      path->most_looks = count_looks();
      path->fd = fd;
      path->is_ours = true;
      return path;
    }
    trap_system(SYS_munmap, (long)path->page, XIVE_MAILBOX_SIZE, 0, 0, 0, 0);
  }
  trap_system(SYS_munmap, (long)path, private_size, 0, 0, 0, 0);
  return NULL;
}

void trap_path_close(struct trap_path *path) {
  if (!path) return;
  if (path->is_ours) {
    atomic_fetch_or(&path->page->posted, XIVE_MAILBOX_LEFT);
    trap_system(SYS_munmap, (long)path->page, XIVE_MAILBOX_SIZE, 0, 0, 0, 0);
  }
  trap_system(SYS_munmap, (long)path, private_size, 0, 0, 0, 0);
}

// MARK: - Accesses

// Whether waiting has been worth it lately.
static bool is_worth_it(struct trap_path *path) {
  // Threads may count one twice or not at all; it is only patience.
  uint32_t left_out = atomic_load_explicit(&path->left_out, memory_order_relaxed);
  if (left_out == 0) return true;
  atomic_store_explicit(&path->left_out, left_out - 1, memory_order_relaxed);
  return false;
}

static void note_failure(struct trap_path *path) {
  uint32_t failures = atomic_load_explicit(&path->failures, memory_order_relaxed);
  if (failures < most_failures) failures++;
  atomic_store_explicit(&path->failures, failures, memory_order_relaxed);
  atomic_store_explicit(&path->left_out, (1u << failures) - 1, memory_order_relaxed);
}

static void note_success(struct trap_path *path) {
  if (atomic_load_explicit(&path->failures, memory_order_relaxed) != 0)
    atomic_store_explicit(&path->failures, 0, memory_order_relaxed);
}

// The slot that a thread claims, usually the same one. -1 when all are in use.
static int claim(struct page *page) {
  if (thread_id == 0) thread_id = (uint32_t)trap_system(SYS_gettid, 0, 0, 0, 0, 0, 0);
  for (unsigned try = 0; try < XIVE_MAILBOX_SLOTS; try++) {
    unsigned index = (thread_id + try) % XIVE_MAILBOX_SLOTS;
    uint32_t free = XIVE_SLOT_FREE;
    if (atomic_compare_exchange_strong_explicit(
          &page->slots[index].state, &free, XIVE_SLOT_CLAIMED, memory_order_acquire, memory_order_relaxed))
      return (int)index;
  }
  return -1;
}

static bool is_over(uint32_t state) { return state == XIVE_SLOT_DONE || state == XIVE_SLOT_RETURNED; }

static bool take_back(struct slot *slot) {
  uint32_t posted = XIVE_SLOT_POSTED;
  return atomic_compare_exchange_strong(&slot->state, &posted, XIVE_SLOT_CLAIMED);
}

// The server has the access and is not done: it was interrupted, stopped or killed.
// False when it has died; the access may have had its effect.
static bool outwait(struct slot *slot, int fd, uint32_t looks) {
  for (uint32_t look = 0; look < looks; look++) {
    if (is_over(atomic_load_explicit(&slot->state, memory_order_acquire))) return true;
    look_again();
  }
  for (;;) {
    for (int yield = 0; yield < 32; yield++) {
      if (is_over(atomic_load_explicit(&slot->state, memory_order_acquire))) return true;
      trap_system(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
    // The question goes to the server, as a system call of the access would.
    struct pollfd device = {.fd = fd, .events = POLLIN};
    struct timespec none = {0}, pause = {.tv_nsec = 100000};
    long count = trap_system(SYS_ppoll, (long)&device, 1, (long)&none, 0, 8, 0);
    if (count > 0 && device.revents & (POLLERR | POLLNVAL))
      return is_over(atomic_load_explicit(&slot->state, memory_order_acquire));
    trap_system(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
  }
}

// Waits for the end of an access that was posted. False when it was taken back.
static bool await(struct trap_path *path, struct slot *slot, bool *is_alive) {
  *is_alive = true;
  // The second look at `awake` comes after the post, for the server looks for posts after it said that it rests.
  if (atomic_load(&path->page->awake) != 0) {
    for (uint32_t look = 0; look < path->most_looks; look++) {
      if (is_over(atomic_load_explicit(&slot->state, memory_order_acquire))) return true;
      look_again();
    }
    if (take_back(slot)) {
      note_failure(path);
      return false;
    }
  } else if (take_back(slot)) {
    return false;
  }
  *is_alive = outwait(slot, path->fd, path->most_looks);
  return true;
}

void trap_path_forget_thread(void) { thread_id = 0; }

bool trap_path_access(
  struct trap_path *path, bool is_store, uint64_t offset, void *bytes, size_t size, long *result
) {
  if (!path || !path->is_ours || size > 8 || offset > XIVE_DEVICE_SIZE - 8) return false;
  struct page *page = path->page;
  if (atomic_load_explicit(&page->awake, memory_order_relaxed) == 0 || !is_worth_it(path)) return false;
  int index = claim(page);
  if (index < 0) return false;
  struct slot *slot = &page->slots[index];
  slot->offset = offset;
  if (is_store) memcpy(slot->bytes, bytes, size);
  slot->operation = is_store ? XIVE_SLOT_STORE : XIVE_SLOT_LOAD;
  slot->size = (uint8_t)size;
  slot->tid = thread_id;
  atomic_store_explicit(&slot->state, XIVE_SLOT_POSTED, memory_order_release);
  atomic_fetch_or(&page->posted, 1ull << index);
  bool is_alive;
  bool is_performed = await(path, slot, &is_alive);
  if (!is_alive) {
    // What the kernel says of a request that the server had read when it died.
    *result = -ECONNABORTED;
    return true;
  }
  if (is_performed) {
    note_success(path);
    is_performed = atomic_load_explicit(&slot->state, memory_order_relaxed) == XIVE_SLOT_DONE;
  }
  if (is_performed) {
    *result = atomic_load_explicit(&slot->result, memory_order_relaxed);
    if (!is_store && *result > 0) memcpy(bytes, slot->bytes, size);
  }
  atomic_store_explicit(&slot->state, XIVE_SLOT_FREE, memory_order_release);
  return is_performed;
}

#else

struct trap_path *trap_path_open(int fd) {
  (void)fd;
  return NULL;
}

void trap_path_close(struct trap_path *path) { (void)path; }

void trap_path_forget_thread(void) {}

bool trap_path_access(
  struct trap_path *path, bool is_store, uint64_t offset, void *bytes, size_t size, long *result
) {
  (void)path, (void)is_store, (void)offset, (void)bytes, (void)size, (void)result;
  return false;
}

#endif
