// Survives the faults of pages that are not there, each thread by itself.
#include "internal.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

// Signal dispositions belong to the whole process: the first thread that watches changes them, the last
// puts them back.
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct sigaction before_bus, before_segment;

static _Thread_local struct guard this_thread;

static void pass_on(int number, siginfo_t *info, void *context) {
  const struct sigaction *before = number == SIGBUS ? &before_bus : &before_segment;
  if (before->sa_flags & SA_SIGINFO) {
    before->sa_sigaction(number, info, context);
  } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
    before->sa_handler(number);
  } else if (info->si_code > 0) {
    // A fault: repeated without a handler, it ends the process with the right address in its core.
    signal(number, SIG_DFL);
  } else if (before->sa_handler == SIG_DFL) {
    signal(number, SIG_DFL);
    raise(number);
  }
}

static void fault(int number, siginfo_t *info, void *context) {
  struct guard *guard = &this_thread;
  const uintptr_t address = (uintptr_t)info->si_addr;
  // A code above 0 comes from the kernel: a signal that was sent carries no address.
  if (info->si_code <= 0 || address < guard->start || address >= guard->end ||
      (guard->is_for_bus && number != SIGBUS)) {
    pass_on(number, info, context);
    return;
  }
  guard_nothing(guard);
  siglongjmp(guard->escape, number);
}

int guard_begin(void) {
  // SA_NODEFER: the handler leaves by siglongjmp, and with nothing blocked in it there is no signal mask to
  // save and restore, which would cost each look a system call.
  struct sigaction ours = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
  int result = 0;
  pthread_mutex_lock(&users_lock);
  if (users == 0 &&
      (sigaction(SIGBUS, &ours, &before_bus) < 0 || sigaction(SIGSEGV, &ours, &before_segment) < 0))
    result = -errno;
  else users++;
  pthread_mutex_unlock(&users_lock);
  return result;
}

void guard_end(void) {
  pthread_mutex_lock(&users_lock);
  if (--users == 0) {
    sigaction(SIGBUS, &before_bus, NULL);
    sigaction(SIGSEGV, &before_segment, NULL);
  }
  pthread_mutex_unlock(&users_lock);
}

struct guard *guard_page(const volatile void *page) {
  struct guard *guard = &this_thread;
  guard->start = (uintptr_t)page;
  guard->end = (uintptr_t)page + CHARNESS_PAGE_SIZE;
  guard->is_for_bus = false;
  return guard;
}

struct guard *guard_bus(const volatile void *page) {
  struct guard *guard = guard_page(page);
  guard->is_for_bus = true;
  return guard;
}

void guard_nothing(struct guard *guard) { guard->start = guard->end = 0; }
