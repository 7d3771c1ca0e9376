// Faults of the program's own, and a handler that was there before.
#include "living.h"

static struct window shown;
static char *own_page;
static volatile int calls;
static siginfo_t got;

// MARK: - A handler that repairs what it was called for

static void repair(int number, siginfo_t *info, void *context) {
  EXPECT_EQUAL(number, SIGSEGV);
  (void)context;
  got = *info;
  calls++;
  // It may touch windows itself.
  EXPECT_EQUAL(shown.words[7], word_of(7));
  uint64_t blocked = mask_bit(SIGUSR1) | mask_bit(SIGTERM);
  EXPECT_EQUAL(blocked_signals() & (blocked | mask_bit(SIGUSR2)), blocked);
  NEED(mprotect(own_page, PAGE_BYTES, PROT_READ | PROT_WRITE) == 0);
}

static void repair_plainly(int number) {
  repair(number, &(siginfo_t){.si_code = SEGV_ACCERR, .si_addr = own_page + 8}, NULL);
}

static void expect_repair(void) {
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  uint64_t before = blocked_signals();
  shown = window_make(1);
  own_page = forbidden_page();
  for (int i = 1; i <= 3; i++) {
    *(volatile uint64_t *)(own_page + 8) = 0x1234 + i;
    EXPECT_EQUAL(*(volatile uint64_t *)(own_page + 8), 0x1234 + i);
    EXPECT_EQUAL(calls, i);
    EXPECT_EQUAL(got.si_code, SEGV_ACCERR);
    EXPECT(got.si_addr == own_page + 8);
    EXPECT_EQUAL(blocked_signals(), before);
    EXPECT_EQUAL(shown.words[i], word_of(i));
    NEED(mprotect(own_page, PAGE_BYTES, PROT_NONE) == 0);
  }
  EXPECT_EQUAL(ctrap_access_count(), 6);
}

static void with_siginfo(void) {
  handle(SIGSEGV, repair, SA_SIGINFO, SIGUSR1, 0);
  expect_repair();
}

static void plain(void) {
  handle(SIGSEGV, (void (*)(int, siginfo_t *, void *))(void *)repair_plainly, 0, SIGUSR1, 0);
  expect_repair();
}

// MARK: - Handlers that go elsewhere

static sigjmp_buf back;

static void jump(int number, siginfo_t *info, void *context) {
  (void)number, (void)info, (void)context;
  calls++;
  siglongjmp(back, 1);
}

static void expect_jumps(int flags) {
  handle(SIGSEGV, jump, SA_SIGINFO | flags, SIGUSR1, 0);
  shown = window_make(1);
  own_page = forbidden_page();
  uint64_t before = blocked_signals();
  for (volatile int i = 0; i < 1000; i++) {
    if (sigsetjmp(back, 1) == 0) *(volatile char *)own_page = 1;
    EXPECT_EQUAL(shown.words[i % 512], word_of(i % 512));
  }
  EXPECT_EQUAL(calls, 1000);
  EXPECT_EQUAL(blocked_signals(), before);
}

static void jumps(void) { expect_jumps(0); }

static void jumps_from_signal_stack(void) {
  signal_stack(SIGSTKSZ);
  expect_jumps(SA_ONSTACK);
}

static void jumps_from_below_signal_stack(void) {
  signal_stack(SIGSTKSZ);
  expect_jumps(0);
}

// Behind the instruction, whose value it makes up.
static void skip(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  calls++;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  registers[REG_RIP] = registers[REG_R8];
  registers[REG_RAX] = 0x77;
}

static void changed_instruction_pointer(void) {
  handle(SIGSEGV, skip, SA_SIGINFO, 0);
  shown = window_make(1);
  own_page = forbidden_page();
  for (int i = 0; i < 100; i++) {
    uint64_t value = 1;
    __asm__ volatile("lea 1f(%%rip), %%r8\n\tmov (%1), %%rax\n1:" : "=a"(value) : "r"(own_page) : "r8", "memory");
    EXPECT_EQUAL(value, 0x77);
  }
  EXPECT_EQUAL(calls, 100);
  EXPECT_EQUAL(shown.words[3], word_of(3));
}

// MARK: - Which stack

static volatile bool was_on_signal_stack;

static void note_stack(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  was_on_signal_stack = is_on_signal_stack();
  calls++;
  // All of the frame is here, as the kernel would have made it.
  ucontext_t *interrupted = context;
  uint64_t stack = (uint64_t)interrupted->uc_mcontext.gregs[REG_RSP];
  if (!was_on_signal_stack) EXPECT((uint64_t)context < stack && stack - (uint64_t)context < 65536);
  if (!was_on_signal_stack) EXPECT((uint64_t)interrupted->uc_mcontext.fpregs < stack);
  EXPECT_EQUAL((uint64_t)interrupted->uc_mcontext.fpregs % 64, 0);
  // The signal stack is free for what the handler does.
  EXPECT_EQUAL(shown.words[9], word_of(9));
  // Other values in the registers of the unit than the program has.
  __asm__ volatile("pxor %%xmm7, %%xmm7\n\tpxor %%xmm15, %%xmm15" ::: "xmm7", "xmm15");
  NEED(mprotect(own_page, PAGE_BYTES, PROT_READ | PROT_WRITE) == 0);
}

static void expect_stack(int flags, bool is_signal_stack) {
  signal_stack(4 * SIGSTKSZ);
  handle(SIGSEGV, note_stack, SA_SIGINFO | flags, 0);
  shown = window_make(1);
  own_page = forbidden_page();
  uint64_t red_zone = 0, low = 0, high = 0;
  // What lies below the stack pointer is the function's, too.
  __asm__ volatile(
    "movq %3, -8(%%rsp)\n\tmovq %3, -128(%%rsp)\n\tmovq %3, %%xmm7\n\tmovq %3, %%xmm15\n\t"
    "movb $1, (%4)\n\t"
    "movq %%xmm7, %0\n\tmovq %%xmm15, %1\n\tmov -128(%%rsp), %2\n\tand -8(%%rsp), %2"
    : "=&r"(low), "=&r"(high), "=&r"(red_zone)
    : "r"(UINT64_C(0x1122334455667788)), "r"(own_page)
    : "xmm7", "xmm15", "memory");
  EXPECT_EQUAL(low, 0x1122334455667788);
  EXPECT_EQUAL(high, 0x1122334455667788);
  EXPECT_EQUAL(red_zone, 0x1122334455667788);
  EXPECT_EQUAL(calls, 1);
  EXPECT_EQUAL(was_on_signal_stack, is_signal_stack);
  EXPECT_EQUAL(*own_page, 1);
  EXPECT_EQUAL(shown.words[10], word_of(10));
}

static void on_signal_stack(void) { expect_stack(SA_ONSTACK, true); }
static void below_signal_stack(void) { expect_stack(0, false); }

// MARK: - Sent signals

static void note_sent(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  got = *info;
  calls++;
}

static void sent(void) {
  handle(SIGSEGV, note_sent, SA_SIGINFO, 0);
  shown = window_make(1);
  NEED(kill(getpid(), SIGSEGV) == 0);
  EXPECT(calls == 1 && got.si_code == SI_USER && got.si_pid == getpid());
  NEED(raise(SIGSEGV) == 0);
  EXPECT(calls == 2 && got.si_code == SI_TKILL);
  NEED(sigqueue(getpid(), SIGSEGV, (union sigval){.sival_int = 4711}) == 0);
  EXPECT(calls == 3 && got.si_code == SI_QUEUE && got.si_value.sival_int == 4711);
  EXPECT_EQUAL(shown.words[1], word_of(1));
}

static void *send_late(void *main_thread) {
  usleep(100000);
  pthread_kill(*(pthread_t *)main_thread, SIGSEGV);
  usleep(100000);
  return NULL;
}

// Whether a system call that the signal interrupts goes on.
static void expect_interrupted(int flags, bool is_interrupted) {
  int ends[2];
  pthread_t self = pthread_self(), other;
  handle(SIGSEGV, note_sent, SA_SIGINFO | flags, 0);
  shown = window_make(1);
  NEED(pipe(ends) == 0 && pthread_create(&other, NULL, send_late, &self) == 0);
  char byte;
  if (is_interrupted) {
    EXPECT(read(ends[0], &byte, 1) == -1 && errno == EINTR);
  } else {
    alarm(1);
    handle(SIGALRM, note_sent, SA_SIGINFO, 0);
    // The alarm interrupts it a second later.
    EXPECT(read(ends[0], &byte, 1) == -1 && errno == EINTR);
    EXPECT(calls == 2 && got.si_signo == SIGALRM);
  }
  pthread_join(other, NULL);
}

static void interrupts(void) { expect_interrupted(0, true); }
static void restarts(void) { expect_interrupted(SA_RESTART, false); }

const struct test_case cases_chain[] = {
  {"chain-siginfo", with_siginfo},
  {"chain-plain", plain},
  {"chain-jump", jumps},
  {"chain-jump-on-signal-stack", jumps_from_signal_stack},
  {"chain-jump-below-signal-stack", jumps_from_below_signal_stack},
  {"chain-instruction-pointer", changed_instruction_pointer},
  {"chain-on-signal-stack", on_signal_stack},
  {"chain-below-signal-stack", below_signal_stack},
  {"chain-sent", sent},
  {"chain-interrupts", interrupts},
  {"chain-restarts", restarts},
  {0}};
