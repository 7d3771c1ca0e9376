// Faults that end a process, and the handlers that may be called but once.
#include "living.h"

static char *own_page;
static struct window shown;
static volatile int calls;

static void prepare(void) {
  shown = window_make(1);
  own_page = forbidden_page();
  EXPECT_EQUAL(shown.words[1], word_of(1));
}

static void touch(void *unused) {
  (void)unused;
  prepare();
  // The same address in every child.
  *(volatile char *)own_page = 1;
  exit(3);
}

static struct end end_of_touch(void) {
  // Where the child's page will be, for it is mapped alike.
  struct end end = end_of(touch, NULL);
  EXPECT(end.last.si_addr != NULL && (uintptr_t)end.last.si_addr % PAGE_BYTES == 0);
  return end;
}

static void default_action(void) {
  struct end end = end_of_touch();
  EXPECT_KILLED(end, SIGSEGV, SEGV_ACCERR, end.last.si_addr);
}

static void ignored(void) {
  signal(SIGSEGV, SIG_IGN);
  struct end end = end_of_touch();
  EXPECT_KILLED(end, SIGSEGV, SEGV_ACCERR, end.last.si_addr);
}

__attribute__((no_sanitize("undefined"))) static void touch_null(void *unused) {
  (void)unused;
  prepare();
  *(volatile char *volatile)NULL = 1;
}

// What the hardware refuses without an address.
__attribute__((no_sanitize("undefined"))) static void touch_beyond(void *unused) {
  (void)unused;
  prepare();
  *(volatile char *)(UINT64_C(0x1234) << 48) = 1;
}

static void elsewhere(void) {
  EXPECT_KILLED(end_of(touch_null, NULL), SIGSEGV, SEGV_MAPERR, NULL);
  EXPECT_KILLED(end_of(touch_beyond, NULL), SIGSEGV, SI_KERNEL, NULL);
}

// MARK: - Sent ones

static void be_sent(void *how) {
  prepare();
  if (how == NULL) kill(getpid(), SIGSEGV);
  else sigqueue(getpid(), SIGSEGV, (union sigval){.sival_int = 1});
  EXPECT_EQUAL(shown.words[2], word_of(2));
}

static void default_sent(void) {
  void *own_address = &shown;
  EXPECT_KILLED(end_of(be_sent, NULL), SIGSEGV, SI_USER, NULL);
  EXPECT_KILLED(end_of(be_sent, own_address), SIGSEGV, SI_QUEUE, NULL);
}

static void ignored_sent(void) {
  signal(SIGSEGV, SIG_IGN);
  struct end end = end_of(be_sent, NULL);
  EXPECT_EQUAL(end.status, 0);
}

// MARK: - Handlers

static void repair(int number, siginfo_t *info, void *context) {
  (void)number, (void)info, (void)context;
  calls++;
  NEED(mprotect(own_page, PAGE_BYTES, PROT_READ | PROT_WRITE) == 0);
}

static void touch_twice(void *unused) {
  (void)unused;
  handle(SIGSEGV, repair, SA_SIGINFO | SA_RESETHAND, 0);
  prepare();
  *(volatile char *)own_page = 1;
  EXPECT_EQUAL(calls, 1);
  EXPECT_EQUAL(shown.words[2], word_of(2));
  fflush(stdout);
  if (failures != 0) _exit(1);
  NEED(mprotect(own_page, PAGE_BYTES, PROT_NONE) == 0);
  ((volatile char *)own_page)[5] = 1;
}

static void once(void) {
  struct end end = end_of(touch_twice, NULL);
  EXPECT_KILLED(end, SIGSEGV, SEGV_ACCERR, end.last.si_addr);
  EXPECT_EQUAL((uintptr_t)end.last.si_addr % PAGE_BYTES, 5);
}

static char *inner_page;

// Faults itself, the first time.
static void fault_again(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  calls++;
  if ((char *)info->si_addr == own_page) {
    EXPECT_EQUAL(shown.words[3], word_of(3));
    bool is_first = calls == 1;
    ((volatile char *)inner_page)[9] = 1;
    EXPECT_EQUAL(calls, is_first ? 2 : 3);
  }
  NEED(mprotect(info->si_addr - (uintptr_t)info->si_addr % PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE) == 0);
}

static void fault_in_handler(void *flags) {
  handle(SIGSEGV, fault_again, SA_SIGINFO | *(int *)flags, 0);
  prepare();
  inner_page = forbidden_page();
  *(volatile char *)own_page = 1;
  EXPECT_EQUAL(calls, 2);
  // And once more: nothing is left of the first time.
  NEED(mprotect(own_page, PAGE_BYTES, PROT_NONE) == 0);
  *(volatile char *)own_page = 1;
  EXPECT_EQUAL(calls, 3);
}

static void fault_in_handler_with(int flags, bool is_fatal) {
  struct end end = end_of(fault_in_handler, &flags);
  if (!is_fatal) EXPECT_EQUAL(end.status, 0);
  else {
    EXPECT_KILLED(end, SIGSEGV, SEGV_ACCERR, end.last.si_addr);
    EXPECT_EQUAL((uintptr_t)end.last.si_addr % PAGE_BYTES, 9);
  }
}

static void not_deferred(void) {
  fault_in_handler_with(SA_NODEFER, false);
  signal_stack(8 * SIGSTKSZ);
  fault_in_handler_with(SA_NODEFER, false);
  fault_in_handler_with(SA_NODEFER | SA_ONSTACK, false);
}

static void deferred(void) {
  fault_in_handler_with(0, true);
  signal_stack(8 * SIGSTKSZ);
  fault_in_handler_with(0, true);
  fault_in_handler_with(SA_ONSTACK, true);
}

static jmp_buf back;

// As programs did before there was siglongjmp().
static void unblock_and_jump(int number, siginfo_t *info, void *context) {
  (void)info, (void)context;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  calls++;
  longjmp(back, 1);
}

static void unblocked(void) {
  handle(SIGSEGV, unblock_and_jump, SA_SIGINFO, 0);
  prepare();
  for (volatile int i = 0; i < 100; i++)
    if (setjmp(back) == 0) *(volatile char *)own_page = 1;
  EXPECT_EQUAL(calls, 100);
}

const struct test_case cases_fatal[] = {
  {"fatal-default", default_action},
  {"fatal-ignored", ignored},
  {"fatal-elsewhere", elsewhere},
  {"fatal-sent", default_sent},
  {"fatal-ignored-sent", ignored_sent},
  {"fatal-once", once},
  {"fatal-not-deferred", not_deferred},
  {"fatal-deferred", deferred},
  {"fatal-unblocked", unblocked},
  {0}};
