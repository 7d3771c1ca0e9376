// Traps in handlers of signals that arrive in the middle of others, and signals that never stop arriving.
#include "living.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static struct window shown;
static char *own_page;
static volatile int depth, deepest;
static volatile int calls[65];

static void expect_touch(size_t i) {
  EXPECT_EQUAL(shown.words[i], word_of(i));
  shown.words[i + 64] = i;
  EXPECT_EQUAL(file_word(shown.fd, i + 64), i);
}

// Each raises the next from within: SIGUSR1, SIGUSR2, SIGSEGV, SIGBUS, SIGALRM.
static void descend(int number, siginfo_t *info, void *context) {
  (void)context;
  calls[number]++;
  if (++depth > deepest) deepest = depth;
  expect_touch((size_t)number);
  switch (number) {
    case SIGUSR1: raise(SIGUSR2); break;
    case SIGUSR2: *(volatile char *)own_page = 1; break;
    case SIGSEGV:
      EXPECT(info->si_addr == own_page);
      NEED(mprotect(own_page, PAGE_BYTES, PROT_READ | PROT_WRITE) == 0);
      NEED(ftruncate(shown.fd, PAGE_BYTES) == 0);
      EXPECT_EQUAL(shown.words[512], 0);
      break;
    case SIGBUS:
      EXPECT(info->si_addr == (void *)&shown.words[512]);
      NEED(ftruncate(shown.fd, 2 * PAGE_BYTES) == 0);
      raise(SIGALRM);
      break;
    default: break;
  }
  expect_touch((size_t)number + 1);
  depth--;
}

static void expect_depths(int flags) {
  const int numbers[] = {SIGUSR1, SIGUSR2, SIGSEGV, SIGBUS, SIGALRM};
  for (int i = 0; i < 5; i++) handle(numbers[i], descend, SA_SIGINFO | flags, 0);
  shown = window_make(2);
  own_page = forbidden_page();
  for (int round = 1; round <= 50; round++) {
    raise(SIGUSR1);
    EXPECT(depth == 0 && deepest == 5);
    for (int i = 0; i < 5; i++) EXPECT_EQUAL(calls[numbers[i]], round);
    NEED(mprotect(own_page, PAGE_BYTES, PROT_NONE) == 0);
  }
}

static void on_stack(void) { expect_depths(0); }

static void on_signal_stack(void) {
  signal_stack(256 * 1024);
  expect_depths(SA_ONSTACK);
}

static void below_signal_stack(void) {
  signal_stack(4 * SIGSTKSZ);
  expect_depths(0);
}

// MARK: - Timers

enum { ROUNDS = 100000 };
static volatile uint64_t arrivals, touches_in_handler;

static void on_timer(int number, siginfo_t *info, void *context) {
  (void)info, (void)context;
  arrivals++;
  if (number == SIGUSR2) return;
  // A page that the loop leaves alone.
  shown.words[512 + 1] = arrivals;
  EXPECT_EQUAL(shown.words[512 + 1], arrivals);
  touches_in_handler += 2;
}

// The access is the judge: each store writes what no other one does, and each is counted.
static void count_exactly(void) {
  uint64_t start = ctrap_access_count();
  uint64_t inside = touches_in_handler;
  for (uint64_t i = 0; i < ROUNDS || arrivals < 50; i++) {
    size_t at = i % 512;
    uint64_t before = shown.words[at];
    EXPECT_EQUAL(before, i < 512 ? word_of(at) : i - 512);
    shown.words[at] = i;
    start += 2;
  }
  EXPECT_EQUAL(ctrap_access_count(), start + touches_in_handler - inside);
}

static void start_timer(int number, long nanoseconds) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
  struct itimerspec often = {{0, nanoseconds}, {0, nanoseconds}};
  timer_t timer;
  NEED(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &often, NULL) == 0);
}

static void timers(void) {
  shown = window_make(2);
  signal_stack(256 * 1024);
  handle(SIGALRM, on_timer, SA_SIGINFO | SA_ONSTACK, SIGUSR2, SIGRTMIN, 0);
  handle(SIGUSR2, on_timer, SA_SIGINFO, SIGALRM, SIGRTMIN, 0);
  handle(SIGRTMIN, on_timer, SA_SIGINFO, SIGALRM, SIGUSR2, 0);
  struct itimerval often = {{0, 300}, {0, 300}};
  NEED(setitimer(ITIMER_REAL, &often, NULL) == 0);
  start_timer(SIGUSR2, 130000);
  start_timer(SIGRTMIN, 170000);
  count_exactly();
}

static sigjmp_buf back;

static void jump_out(int number, siginfo_t *info, void *context) {
  (void)number, (void)info, (void)context;
  arrivals++;
  siglongjmp(back, 1);
}

// A handler that does not return leaves no access half done, which the end of the window would wait for.
static void expect_whole_accesses(int number) {
  enum { JUMPS = 2000 };
  handle(number, jump_out, SA_SIGINFO, 0);
  shown = window_make(1);
  start_timer(number, 100000);
  (void)sigsetjmp(back, 1);
  while (arrivals < JUMPS) EXPECT_EQUAL(shown.words[3], word_of(3));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  alarm(60);
  EXPECT_EQUAL(ctrap_unmap((void *)shown.words, PAGE_BYTES), 0);
}

static void jumps(void) { expect_whole_accesses(SIGUSR2); }

// A process may send SIGSEGV, too: it waits like all others.
static void sent_jumps(void) { expect_whole_accesses(SIGSEGV); }

// One that waits because the program blocks it does not come in the middle of a change of windows.
static void blocked_change(void) {
  handle(SIGSEGV, jump_out, SA_SIGINFO, 0);
  shown = window_make(1);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGSEGV);
  NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGSEGV) == 0);
  if (sigsetjmp(back, 1) == 0) EXPECT_EQUAL(ctrap_unmap((void *)shown.words, PAGE_BYTES), 0);
  EXPECT_EQUAL(arrivals, 0);
}

const struct test_case cases_nested[] = {
  {"nested-on-stack", on_stack},
  {"nested-on-signal-stack", on_signal_stack},
  {"nested-below-signal-stack", below_signal_stack},
  {"nested-timers", timers},
  {"nested-jumps", jumps},
  {"nested-sent-jumps", sent_jumps},
  {"nested-blocked-change", blocked_change},
  {0}};
