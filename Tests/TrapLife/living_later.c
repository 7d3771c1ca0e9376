// Handlers of SIGSEGV that are installed later, over ours, and call what they found for what is not theirs.
#include "living.h"

#include <stddef.h>

static struct window shown;
static char *own_page;
struct sigaction found;
volatile int late_calls;
static volatile int early_calls;

static void early(int number, siginfo_t *info, void *context) {
  (void)number, (void)info, (void)context;
  early_calls++;
  NEED(mprotect(own_page, PAGE_BYTES, PROT_READ | PROT_WRITE) == 0);
}

// Ends in a jump to what was found, as compilers have it that optimize; who is called so has our caller.
void late(int number, siginfo_t *info, void *context);
__asm__(".text\n.type late, @function\nlate:\n  incl late_calls(%rip)\n  jmp *found(%rip)\n");
_Static_assert(offsetof(struct sigaction, sa_sigaction) == 0, "the jump is to the first of its members");

static void install_late(int flags, int blocked) {
  struct sigaction action = {.sa_flags = SA_SIGINFO | flags};
  action.sa_sigaction = late;
  if (blocked != 0) sigaddset(&action.sa_mask, blocked);
  NEED(sigaction(SIGSEGV, &action, &found) == 0);
}

static void touch_own(void) {
  NEED(mprotect(own_page, PAGE_BYTES, PROT_NONE) == 0);
  *(volatile char *)own_page = 1;
}

static void prepare(void) {
  shown = window_make(1);
  own_page = forbidden_page();
}

// Windows are windows through it; the program's faults reach the handler that was there first.
static void over_ours(void) {
  handle(SIGSEGV, early, SA_SIGINFO, 0);
  prepare();
  install_late(0, SIGUSR1);
  uint64_t before = blocked_signals();
  EXPECT_EQUAL(shown.words[1], word_of(1));
  shown.words[1] = 17;
  EXPECT_EQUAL(file_word(shown.fd, 1), 17);
  touch_own();
  touch_own();
  EXPECT(early_calls == 2 && late_calls >= 4);
  EXPECT_EQUAL(blocked_signals(), before);
  EXPECT_EQUAL(ctrap_access_count(), 2);
}

// The next window puts us in front again: the later handler is for the program's faults now, and calls us for them.
static void mapped_again(void) {
  handle(SIGSEGV, early, SA_SIGINFO, 0);
  prepare();
  install_late(SA_RESTART, 0);
  volatile uint64_t *second = window_map(shown.device, 0, PAGE_BYTES);
  EXPECT_EQUAL(second[2], word_of(2));
  EXPECT_EQUAL(shown.words[3], word_of(3));
  EXPECT_EQUAL(late_calls, 0);
  touch_own();
  EXPECT(late_calls == 1 && early_calls == 1);
  EXPECT_EQUAL(second[4], word_of(4));
  // Below the signal stack, too, where nothing of ours is between the two.
  signal_stack(4 * SIGSTKSZ);
  touch_own();
  EXPECT(late_calls == 2 && early_calls == 2);
}

static void end_by_default(void *unused) {
  (void)unused;
  prepare();
  install_late(0, 0);
  window_map(shown.device, 0, PAGE_BYTES);
  EXPECT_EQUAL(shown.words[3], word_of(3));
  fflush(stdout);
  if (failures != 0) _exit(1);
  touch_own();
}

static void by_default(void) {
  struct end end = end_of(end_by_default, NULL);
  EXPECT_KILLED(end, SIGSEGV, SEGV_ACCERR, end.last.si_addr);
}

// As a program does around something that may fault: what it found is put back by the C library.
static void put_back(void) {
  handle(SIGSEGV, early, SA_SIGINFO, 0);
  prepare();
  for (int i = 1; i <= 3; i++) {
    install_late(0, 0);
    NEED(sigaction(SIGSEGV, &found, NULL) == 0);
    EXPECT_EQUAL(shown.words[5], word_of(5));
    touch_own();
    EXPECT(early_calls == i && late_calls == 0);
    window_map(shown.device, 0, PAGE_BYTES);
  }
}

// MARK: - SIGBUS out of such a handler, which does not block it

static volatile int bus_errors;

static void on_bus(int number, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  EXPECT(number == SIGBUS && info->si_code == BUS_ADRERR);
  EXPECT_EQUAL(registers[REG_RIP], registers[REG_R9]);
  registers[REG_RIP] = registers[REG_R8];
  bus_errors++;
}

static void bus_error(void) {
  prepare();
  install_late(0, 0);
  handle(SIGBUS, on_bus, SA_SIGINFO, 0);
  NEED(ftruncate(shown.fd, 0) == 0);
  uint64_t value = 5;
  __asm__ volatile("lea 2f(%%rip), %%r8\n\tlea 1f(%%rip), %%r9\n1:\tmov (%1), %%rax\n2:"
                   : "+a"(value)
                   : "r"(shown.words)
                   : "r8", "r9", "memory");
  EXPECT_EQUAL(bus_errors, 1);
  EXPECT_EQUAL(value, 5);
  EXPECT_EQUAL(late_calls, 1);
}

const struct test_case cases_later[] = {
  {"later-over-ours", over_ours},
  {"later-mapped-again", mapped_again},
  {"later-default", by_default},
  {"later-put-back", put_back},
  {"later-bus-error", bus_error},
  {0}};
