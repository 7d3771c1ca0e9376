// What the device refuses: SIGBUS at the accessed address, as from a page. The end of a file refuses here.
#include "living.h"

static struct window shown;
static volatile int bus_errors, others;
static siginfo_t got;
static ucontext_t seen;
static volatile bool was_on_signal_stack;
static volatile uint64_t blocked_meanwhile;

// A window of two pages of a file that has one.
static volatile uint64_t *prepare(void) {
  shown = window_make(2);
  NEED(ftruncate(shown.fd, PAGE_BYTES) == 0);
  return shown.words + PAGE_BYTES / 8;
}

static void note(siginfo_t *info, void *context) {
  got = *info;
  seen = *(ucontext_t *)context;
  was_on_signal_stack = is_on_signal_stack();
  blocked_meanwhile = blocked_signals();
  bus_errors++;
}

static void skip(int number, siginfo_t *info, void *context) {
  EXPECT_EQUAL(number, SIGBUS);
  note(info, context);
  // It is at the instruction, and windows are open to it.
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  EXPECT_EQUAL(registers[REG_RIP], registers[REG_R9]);
  EXPECT_EQUAL(shown.words[4], word_of(4));
  registers[REG_RIP] = registers[REG_R8];
}

// Loads, from code whose beginning and end the handler knows.
static uint64_t load(volatile void *address) {
  uint64_t value = 5;
  __asm__ volatile("lea 2f(%%rip), %%r8\n\tlea 1f(%%rip), %%r9\n1:\tmov (%1), %%rax\n2:"
                   : "+a"(value)
                   : "r"(address)
                   : "r8", "r9", "memory");
  return value;
}

static void store(volatile void *address, uint64_t value) {
  __asm__ volatile("lea 2f(%%rip), %%r8\n\tlea 1f(%%rip), %%r9\n1:\tmov %0, (%1)\n2:"
                   :
                   : "a"(value), "r"(address)
                   : "r8", "r9", "memory");
}

static void expect_bus_error(int code, volatile void *address, int count) {
  EXPECT_EQUAL(bus_errors, count);
  EXPECT(got.si_signo == SIGBUS && got.si_errno == 0);
  EXPECT_EQUAL(got.si_code, code);
  EXPECT(got.si_addr == address);
  EXPECT_EQUAL(seen.uc_mcontext.gregs[REG_RAX], 5);
}

static void siginfo(void) {
  handle(SIGBUS, skip, SA_SIGINFO, SIGUSR1, 0);
  volatile uint64_t *beyond = prepare();
  uint64_t before = blocked_signals();
  EXPECT_EQUAL(load(beyond + 3), 5);
  expect_bus_error(BUS_ADRERR, beyond + 3, 1);
  EXPECT_EQUAL(blocked_meanwhile, before | mask_bit(SIGUSR1) | mask_bit(SIGBUS));
  // What lies across two pages of one window is the device's to judge: here it ends in the middle.
  EXPECT_EQUAL(load((volatile char *)beyond - 3), 5);
  expect_bus_error(BUS_ADRERR, (volatile char *)beyond - 3, 2);
  // Of an access that reaches out of the window nothing is performed.
  uint64_t count = ctrap_access_count();
  EXPECT_EQUAL(load((volatile char *)beyond + PAGE_BYTES - 1), 5);
  expect_bus_error(BUS_ADRALN, (volatile char *)beyond + PAGE_BYTES - 1, 3);
  // Only what the handler touches.
  EXPECT_EQUAL(ctrap_access_count(), count + 1);
  EXPECT_EQUAL(blocked_signals(), before);
  EXPECT_EQUAL(load(&shown.words[6]), word_of(6));
}

static void signal_stacks(void) {
  volatile uint64_t *beyond = prepare();
  signal_stack(2 * SIGSTKSZ);
  handle(SIGBUS, skip, SA_SIGINFO | SA_ONSTACK, 0);
  EXPECT_EQUAL(load(beyond), 5);
  EXPECT(bus_errors == 1 && was_on_signal_stack);
  handle(SIGBUS, skip, SA_SIGINFO, 0);
  EXPECT_EQUAL(load(beyond), 5);
  EXPECT(bus_errors == 2 && !was_on_signal_stack);
}

// The bus knows neither xchg nor lock.
static void locked(void) {
  handle(SIGBUS, skip, SA_SIGINFO, 0);
  shown = window_make(1);
  uint64_t value = 5;
  __asm__ volatile("lea 2f(%%rip), %%r8\n\tlea 1f(%%rip), %%r9\n1:\txchg %%rax, (%1)\n2:"
                   : "+a"(value)
                   : "r"(shown.words + 1)
                   : "r8", "r9", "memory");
  expect_bus_error(BUS_OBJERR, shown.words + 1, 1);
  __asm__ volatile("lea 2f(%%rip), %%r8\n\tlea 1f(%%rip), %%r9\n1:\tlock addq $1, (%1)\n2:"
                   : "+a"(value)
                   : "r"(shown.words + 1)
                   : "r8", "r9", "memory");
  expect_bus_error(BUS_OBJERR, shown.words + 1, 2);
  EXPECT_EQUAL(file_word(shown.fd, 1), word_of(1));
}

// MARK: - Elsewhere, or not at all

static sigjmp_buf back;

static void jump(int number, siginfo_t *info, void *context) {
  (void)number;
  note(info, context);
  siglongjmp(back, 1);
}

static void jumps(void) {
  handle(SIGBUS, jump, SA_SIGINFO, 0);
  volatile uint64_t *beyond = prepare();
  uint64_t before = blocked_signals();
  for (volatile int i = 0; i < 1000; i++) {
    if (sigsetjmp(back, 1) == 0) load(beyond + i % 512);
    EXPECT(got.si_addr == beyond + i % 512);
    EXPECT_EQUAL(shown.words[i % 512], word_of(i % 512));
  }
  EXPECT_EQUAL(bus_errors, 1000);
  EXPECT_EQUAL(blocked_signals(), before);
}

// The device comes back, and the instruction is executed again.
static void restore(int number, siginfo_t *info, void *context) {
  (void)number;
  note(info, context);
  if (bus_errors == 3) NEED(ftruncate(shown.fd, 2 * PAGE_BYTES) == 0);
}

static void again(void) {
  handle(SIGBUS, restore, SA_SIGINFO, 0);
  volatile uint64_t *beyond = prepare();
  EXPECT_EQUAL(load(beyond), 0);
  EXPECT_EQUAL(bus_errors, 3);
  EXPECT_EQUAL(ctrap_access_count(), 4);
}

static void load_beyond(void *unused) {
  (void)unused;
  volatile uint64_t *beyond = prepare();
  load(beyond + 1);
  exit(3);
}

static void load_beyond_blocked(void *unused) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGBUS);
  NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  handle(SIGBUS, skip, SA_SIGINFO, 0);
  load_beyond(unused);
}

static void load_beyond_ignored(void *unused) {
  signal(SIGBUS, SIG_IGN);
  load_beyond(unused);
}

static void fatal(void) {
  void (*const bodies[])(void *) = {load_beyond, load_beyond_blocked, load_beyond_ignored};
  for (int i = 0; i < 3; i++) {
    struct end end = end_of(bodies[i], NULL);
    EXPECT_KILLED(end, SIGBUS, BUS_ADRERR, end.last.si_addr);
    EXPECT_EQUAL((uintptr_t)end.last.si_addr % PAGE_BYTES, 8);
  }
}

// MARK: - Other signals at the same time

static void note_other(int number, siginfo_t *info, void *context) {
  (void)number, (void)info, (void)context;
  others++;
}

static _Atomic bool is_over;

static void *disturb(void *thread) {
  while (!is_over) pthread_kill(*(pthread_t *)thread, SIGUSR1);
  return NULL;
}

static void pending(void) {
  handle(SIGBUS, skip, SA_SIGINFO, 0);
  handle(SIGUSR1, note_other, SA_SIGINFO, 0);
  volatile uint64_t *beyond = prepare();
  pthread_t self = pthread_self(), other;
  NEED(pthread_create(&other, NULL, disturb, &self) == 0);
  int i = 0;
  for (; i < 20000 || others < 100; i++) {
    EXPECT_EQUAL(load(beyond + i % 512), 5);
    EXPECT(got.si_addr == beyond + i % 512);
    EXPECT_EQUAL(load(shown.words + i % 512), word_of(i % 512));
  }
  is_over = true;
  pthread_join(other, NULL);
  EXPECT_EQUAL(bus_errors, i);
  EXPECT_EQUAL(ctrap_access_count(), 3 * i);
}

// One that is there already, sent by the program to itself while it was blocked.
static void already_pending(void) {
  handle(SIGBUS, restore, SA_SIGINFO, 0);
  handle(SIGUSR1, note_other, SA_SIGINFO, 0);
  volatile uint64_t *beyond = prepare();
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &before);
  raise(SIGUSR1);
  bus_errors = 2;
  EXPECT_EQUAL(load(beyond), 0);
  EXPECT(others == 0 && bus_errors == 3);
  sigprocmask(SIG_SETMASK, &before, NULL);
  EXPECT_EQUAL(others, 1);
  store(beyond, 9);
  EXPECT_EQUAL(load(beyond), 9);
}

const struct test_case cases_bus[] = {
  {"bus-siginfo", siginfo},
  {"bus-signal-stack", signal_stacks},
  {"bus-locked", locked},
  {"bus-jump", jumps},
  {"bus-again", again},
  {"bus-fatal", fatal},
  {"bus-disturbed", pending},
  {"bus-pending", already_pending},
  {0}};
