// Masks of blocked signals. A blocked SIGSEGV would end a program that touches a window, so it is left out of every
// mask that the kernel is given, and the program is told what it has asked for.
//
// What the kernel itself puts back, at the end of a handler and by siglongjmp, is not followed: then only a query is
// wrong.
#include "preload.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

// Whether this thread has asked for SIGSEGV to be blocked.
static TRAP_THREAD bool asks_to_block;

static uint64_t bit(int number) { return UINT64_C(1) << (number - 1); }

bool has_fault(const sigset_t *set) { return sigismember(set, SIGSEGV) == 1; }

uint64_t open_mask(const sigset_t *set) {
  uint64_t mask;
  memcpy(&mask, set, sizeof mask);
  return mask & ~bit(SIGSEGV);
}

// Those that the C library keeps for itself and never blocks: 32 cancels a thread, 33 changes all threads' ids.
static uint64_t without_internal(uint64_t mask) { return mask & ~(bit(32) | bit(33)); }

static bool asks_now(int how, bool is_in_set) {
  if (how == SIG_SETMASK) return is_in_set;
  return is_in_set ? how == SIG_BLOCK : asks_to_block;
}

static long change_mask(int how, const sigset_t *set, sigset_t *old) {
  uint64_t mask = 0, before = 0;
  bool asked = asks_to_block, asks = asked;
  if (set != NULL) {
    mask = without_internal(open_mask(set));
    asks = asks_now(how, has_fault(set));
  }
  long result = trap_system(SYS_rt_sigprocmask, how, set != NULL ? (long)&mask : 0, (long)&before, sizeof mask, 0, 0);
  if (result != 0) return result;
  asks_to_block = asks;
  if (old == NULL) return 0;
  memcpy(old, &before, sizeof before);
  if (asked) sigaddset(old, SIGSEGV);
  return 0;
}

PUBLIC int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
  return (int)with_errno(change_mask(how, set, old));
}

PUBLIC int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) { return (int)-change_mask(how, set, old); }

// A program may have been started with it blocked.
__attribute__((constructor)) static void open_inherited(void) {
  uint64_t before = 0;
  const uint64_t fault = bit(SIGSEGV);
  trap_system(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&fault, (long)&before, sizeof before, 0, 0);
  asks_to_block = (before & fault) != 0;
}

// MARK: - Threads that start with a mask. What the attribute is made of only the C library knows.

typedef int set_mask_function(pthread_attr_t *, const sigset_t *);

PUBLIC int pthread_attr_setsigmask_np(pthread_attr_t *attribute, const sigset_t *set) {
  set_mask_function *next = (set_mask_function *)dlsym(RTLD_NEXT, "pthread_attr_setsigmask_np");
  if (next == NULL) return ENOSYS;
  if (set == NULL) return next(attribute, NULL);
  sigset_t open = *set;
  sigdelset(&open, SIGSEGV);
  return next(attribute, &open);
}

// MARK: - By number, and of 31 signals in an int

static int change_one(int how, int number) {
  sigset_t set;
  sigemptyset(&set);
  return sigaddset(&set, number) != 0 ? -1 : sigprocmask(how, &set, NULL);
}

PUBLIC int sighold(int number) { return change_one(SIG_BLOCK, number); }

PUBLIC int sigrelse(int number) { return change_one(SIG_UNBLOCK, number); }

static int change_old_mask(int how, int mask) {
  sigset_t set, old;
  sigemptyset(&set);
  sigemptyset(&old);
  memcpy(&set, &mask, sizeof mask);
  if (sigprocmask(how, &set, &old) != 0) return -1;
  memcpy(&mask, &old, sizeof mask);
  return mask;
}

PUBLIC int sigblock(int mask) { return change_old_mask(SIG_BLOCK, mask); }

PUBLIC int sigsetmask(int mask) { return change_old_mask(SIG_SETMASK, mask); }

PUBLIC int siggetmask(void) { return change_old_mask(SIG_BLOCK, 0); }
