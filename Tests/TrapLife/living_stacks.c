// Stacks of signals: how much of one is used, traps on one, and a program that looks for its own stack's end.
#include "living.h"

static struct window shown;

// MARK: - How deep

enum { PAINT = 0xa5, SIZE = 64 * 1024 };
static uint8_t *painted;

static void paint(void) {
  if (painted == NULL) {
    signal_stack(SIZE);
    stack_t stack;
    sigaltstack(NULL, &stack);
    painted = stack.ss_sp;
  }
  memset(painted, PAINT, SIZE);
}

static size_t depth(void) {
  size_t unused = 0;
  while (unused < SIZE && painted[unused] == PAINT) unused++;
  return SIZE - unused;
}

static void skip(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  registers[REG_RIP] = registers[REG_R8];
}

static void note_nothing(int number, siginfo_t *info, void *context) { (void)number, (void)info, (void)context; }

static size_t depth_of_load(void) {
  paint();
  EXPECT_EQUAL(shown.words[2], word_of(2));
  return depth();
}

static size_t depth_of_store(void) {
  paint();
  shown.words[1] = 1;
  return depth();
}

// An instruction of which the program is told.
static size_t depth_of_lock(void) {
  paint();
  __asm__ volatile("lea 1f(%%rip), %%r8\n\tlock addq $1, (%0)\n1:" ::"r"(shown.words) : "r8", "memory");
  return depth();
}

// Of each way through the handler. The first time is as the second: nothing is bound or made when it is needed.
static void depths(void) {
  shown = window_make(2);
  handle(SIGUSR1, note_nothing, SA_SIGINFO | SA_ONSTACK, 0);
  handle(SIGBUS, skip, SA_SIGINFO, 0);
  paint();
  raise(SIGUSR1);
  size_t frame = depth();
  size_t told = depth_of_lock(), load = depth_of_load(), store = depth_of_store();
  EXPECT_EQUAL(depth_of_load(), load);
  EXPECT_EQUAL(depth_of_store(), store);
  EXPECT_EQUAL(depth_of_lock(), told);
  NEED(ftruncate(shown.fd, PAGE_BYTES) == 0);
  paint();
  __asm__ volatile("lea 1f(%%rip), %%r8\n\tmov (%0), %0\n1:" ::"r"(shown.words + 512) : "r8", "memory");
  size_t refused = depth();
  printf("frame %zu, load %zu, store %zu, refused %zu, told %zu\n", frame, load, store, refused, told);
  // Beside the processor's frame, of which 3 KiB are usual, there is to be room on a stack of 8 KiB, SIGSTKSZ.
  EXPECT(frame > 500 && load > frame);
  EXPECT(load - frame <= 3072 && store - frame <= 3072 && refused - frame <= 3072);
  EXPECT(told - frame <= 4096);
}

// MARK: - Traps on one

static volatile int calls;

static void touch_on_stack(int number, siginfo_t *info, void *context) {
  (void)number, (void)info, (void)context;
  EXPECT(is_on_signal_stack());
  EXPECT_EQUAL(shown.words[3], word_of(3));
  shown.words[4] = 44;
  calls++;
}

static void nested(void) {
  shown = window_make(1);
  signal_stack(3 * 8192);
  handle(SIGUSR1, touch_on_stack, SA_SIGINFO | SA_ONSTACK, 0);
  for (int i = 0; i < 100; i++) raise(SIGUSR1);
  EXPECT_EQUAL(calls, 100);
  EXPECT_EQUAL(file_word(shown.fd, 4), 44);
  EXPECT(!is_on_signal_stack());
}

// A stack that is put aside while a handler runs on it.
static void put_aside(void) {
  shown = window_make(1);
  static char memory[8192] __attribute__((aligned(64)));
  stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory, .ss_flags = (int)(1u << 31)};  // SS_AUTODISARM
  NEED(sigaltstack(&stack, NULL) == 0);
  for (int i = 0; i < 100; i++) EXPECT_EQUAL(shown.words[i], word_of(i));
  stack_t after;
  NEED(sigaltstack(NULL, &after) == 0);
  EXPECT(after.ss_sp == memory && after.ss_size == sizeof memory);
}

// MARK: - The end of the program's own stack

static sigjmp_buf back;
static volatile uintptr_t fault_address;

static void note_overflow(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  fault_address = (uintptr_t)info->si_addr;
  EXPECT(is_on_signal_stack());
  EXPECT_EQUAL(shown.words[5], word_of(5));
  siglongjmp(back, 1);
}

__attribute__((noinline)) static int descend(volatile char *above) {
  volatile char frame[1024];
  frame[0] = above[0];
  return frame[0] == 0 ? 0 : descend(frame) + frame[0];
}

static void *overflow(void *stack) {
  signal_stack(32768);
  char top = 1;
  for (volatile int i = 0; i < 3; i++) {
    fault_address = 0;
    if (sigsetjmp(back, 1) == 0) descend(&top);
    // In the page below its stack.
    EXPECT(fault_address >= (uintptr_t)stack && fault_address < (uintptr_t)stack + 65536);
    EXPECT_EQUAL(shown.words[i], word_of(i));
  }
  return NULL;
}

// In a thread, for its stack is of a known place.
static void in_thread_with_stack(void *(*body)(void *)) {
  char *stack = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  NEED(stack != MAP_FAILED && mprotect(stack, 65536, PROT_NONE) == 0);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  NEED(pthread_attr_setstack(&attributes, stack + 65536, (1 << 20) - 65536) == 0);
  pthread_t thread;
  NEED(pthread_create(&thread, &attributes, body, stack) == 0);
  pthread_join(thread, NULL);
}

static void overflows(void) {
  handle(SIGSEGV, note_overflow, SA_SIGINFO | SA_ONSTACK, 0);
  shown = window_make(1);
  in_thread_with_stack(overflow);
}

// With a handler that asks for the stack that has no room: the end, as without us.
static void overflow_without(void *unused) {
  (void)unused;
  handle(SIGSEGV, note_overflow, SA_SIGINFO, 0);
  shown = window_make(1);
  in_thread_with_stack(overflow);
}

static void overflow_is_fatal(void) {
  struct end end = end_of(overflow_without, NULL);
  EXPECT(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGSEGV);
}

const struct test_case cases_stacks[] = {
  {"stack-depth", depths},
  {"stack-nested", nested},
  {"stack-put-aside", put_aside},
  {"stack-overflow", overflows},
  {"stack-overflow-fatal", overflow_is_fatal},
  {0}};
