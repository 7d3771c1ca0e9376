// Steps: by the program itself, by a debugger that steps through the handler, and by one that puts breakpoints.
#include "living.h"

#include <stddef.h>
#include <sys/user.h>

static struct window shown;

// A trapped load between others; the names are the addresses of its parts.
uint64_t stepped_load(volatile void *address);
extern const char stepped_access[], stepped_next[];
__asm__(
  ".text\n.globl stepped_load, stepped_access, stepped_next\n.type stepped_load, @function\n"
  "stepped_load:\n  xor %eax, %eax\n"
  "stepped_access:\n  mov 8(%rdi), %rax\n"
  "stepped_next:\n  nop\n  nop\n  ret\n");

// MARK: - By itself

enum { SINGLE_STEP = 1 << 8, TRAPS = 64 };
static volatile int trap_count;
static siginfo_t trap_infos[TRAPS];
static uint64_t trap_places[TRAPS], trap_values[TRAPS];

static void note_step(int number, siginfo_t *info, void *context) {
  const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  EXPECT_EQUAL(number, SIGTRAP);
  if (trap_count == TRAPS) _exit(4);
  trap_infos[trap_count] = *info;
  trap_places[trap_count] = (uint64_t)registers[REG_RIP];
  trap_values[trap_count++] = (uint64_t)registers[REG_RAX];
}

static uint64_t load_in_steps(void) {
  uint64_t value;
  __asm__ volatile(
    "pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tcall stepped_load\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq"
    : "=a"(value)
    : "D"(shown.words)
    : "memory", "cc");
  return value;
}

static void itself(void) {
  handle(SIGTRAP, note_step, SA_SIGINFO, 0);
  shown = window_make(1);
  EXPECT_EQUAL(load_in_steps(), word_of(1));
  int at_access = -1;
  for (int i = 0; i < trap_count; i++) {
    EXPECT_EQUAL(trap_infos[i].si_code, TRAP_TRACE);
    EXPECT(trap_infos[i].si_addr == (void *)trap_places[i]);
    if (trap_places[i] == (uint64_t)stepped_access) at_access = i;
  }
  // Behind the access once, with its value, and every other instruction as well.
  EXPECT(at_access > 0 && at_access + 3 < trap_count);
  EXPECT_EQUAL(trap_places[at_access + 1], (uint64_t)stepped_next);
  EXPECT_EQUAL(trap_values[at_access + 1], word_of(1));
  EXPECT_EQUAL(trap_places[at_access + 2], (uint64_t)stepped_next + 1);
  EXPECT_EQUAL(ctrap_access_count(), 1);
}

// MARK: - By a tracer

static void be_traced(int before) {
  NEED(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
  raise(SIGSTOP);
  bool is_right = stepped_load(shown.words) == word_of(1) && ctrap_access_count() == 1;
  fflush(stdout);
  _exit(is_right && failures == before ? 0 : 1);
}

static pid_t start_traced(void) {
  shown = window_make(1);
  fflush(stdout);
  pid_t child = fork();
  NEED(child >= 0);
  if (child == 0) be_traced(failures);
  int status;
  NEED(waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  return child;
}

static struct user_regs_struct registers_of(pid_t child) {
  struct user_regs_struct registers;
  NEED(ptrace(PTRACE_GETREGS, child, 0, &registers) == 0);
  return registers;
}

static long put_byte(pid_t child, const void *address, uint8_t byte) {
  long word = ptrace(PTRACE_PEEKTEXT, child, address, 0);
  NEED(ptrace(PTRACE_POKETEXT, child, address, (word & ~0xffL) | byte) == 0);
  return word & 0xff;
}

// Goes on until a signal stops the child: its number, or 0 at its end.
static int go(pid_t child, long how, int number) {
  int status = -1;
  NEED(ptrace(how, child, 0, number) == 0);
  NEED(waitpid(child, &status, 0) == child);
  if (WIFSTOPPED(status)) return WSTOPSIG(status);
  EXPECT_EQUAL(status, 0);
  return 0;
}

static void set_debug_register(pid_t child, int number, uint64_t value) {
  NEED(ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg) + 8 * (size_t)number, value) == 0);
}

static void run_to_access(pid_t child) {
  long byte = put_byte(child, stepped_access, 0xcc);
  EXPECT_EQUAL(go(child, PTRACE_CONT, 0), SIGTRAP);
  struct user_regs_struct registers = registers_of(child);
  EXPECT_EQUAL(registers.rip, (uint64_t)stepped_access + 1);
  registers.rip--;
  NEED(ptrace(PTRACE_SETREGS, child, 0, &registers) == 0);
  put_byte(child, stepped_access, (uint8_t)byte);
}

// Through all of the handler, one instruction at a time.
static void by_tracer(void) {
  pid_t child = start_traced();
  run_to_access(child);
  EXPECT_EQUAL(go(child, PTRACE_SINGLESTEP, 0), SIGSEGV);
  EXPECT_EQUAL(registers_of(child).rip, (uint64_t)stepped_access);
  int number = SIGSEGV, steps = 0;
  struct user_regs_struct registers;
  do {
    EXPECT_EQUAL(go(child, PTRACE_SINGLESTEP, number), SIGTRAP);
    registers = registers_of(child);
    number = 0;
  } while (++steps < 1000000 && registers.rip - (uint64_t)stepped_access > 8);
  EXPECT_EQUAL(registers.rip, (uint64_t)stepped_next);
  EXPECT_EQUAL(registers.rax, word_of(1));
  EXPECT(steps > 100);
  EXPECT_EQUAL(go(child, PTRACE_SINGLESTEP, 0), SIGTRAP);
  EXPECT_EQUAL(registers_of(child).rip, (uint64_t)stepped_next + 1);
  EXPECT_EQUAL(go(child, PTRACE_CONT, 0), 0);
}

// A breakpoint of the processor on the next instruction is not passed over.
static void by_hardware(void) {
  pid_t child = start_traced();
  set_debug_register(child, 0, (uint64_t)stepped_next);
  set_debug_register(child, 7, 1);
  EXPECT_EQUAL(go(child, PTRACE_CONT, 0), SIGSEGV);
  EXPECT_EQUAL(go(child, PTRACE_CONT, SIGSEGV), SIGTRAP);
  EXPECT_EQUAL(registers_of(child).rip, (uint64_t)stepped_next);
  EXPECT_EQUAL(registers_of(child).rax, word_of(1));
  set_debug_register(child, 7, 0);
  EXPECT_EQUAL(go(child, PTRACE_CONT, 0), 0);
}

// As gdb steps: what is to stop the program when the handler returns is put where the instruction is.
static void by_breakpoint(void) {
  pid_t child = start_traced();
  EXPECT_EQUAL(go(child, PTRACE_CONT, 0), SIGSEGV);
  long byte = put_byte(child, stepped_access, 0xcc);
  EXPECT_EQUAL(go(child, PTRACE_CONT, SIGSEGV), SIGTRAP);
  siginfo_t info;
  NEED(ptrace(PTRACE_GETSIGINFO, child, 0, &info) == 0);
  EXPECT_EQUAL(info.si_code, TRAP_TRACE);
  EXPECT_EQUAL(registers_of(child).rip, (uint64_t)stepped_next);
  EXPECT_EQUAL(registers_of(child).rax, word_of(1));
  put_byte(child, stepped_access, (uint8_t)byte);
  EXPECT_EQUAL(go(child, PTRACE_CONT, 0), 0);
}

// MARK: - Breakpoints without a debugger: a probe in the kernel puts them, too. Here a later handler does.

static struct sigaction found;
static int faults;

static void hide(int number, siginfo_t *info, void *context) {
  volatile uint8_t *place = (uint8_t *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
  uint8_t byte = *place;
  *place = 0xcc;
  found.sa_sigaction(number, info, context);
  *place = byte;
}

static void skip(int number, siginfo_t *info, void *context) {
  (void)number;
  EXPECT(info->si_code == SEGV_ACCERR && info->si_addr == (void *)(shown.words + 1));
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += stepped_next - stepped_access;
  faults++;
}

static void prepare_to_hide(void) {
  handle(SIGTRAP, note_step, SA_SIGINFO, 0);
  handle(SIGSEGV, skip, SA_SIGINFO, 0);
  shown = window_make(1);
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER};
  action.sa_sigaction = hide;
  NEED(sigaction(SIGSEGV, &action, &found) == 0);
}

// The file has the instruction, and nobody waits for a signal behind it.
static void by_nobody(void) {
  prepare_to_hide();
  uint64_t page = (uint64_t)stepped_access & ~(uint64_t)(PAGE_BYTES - 1);
  NEED(mprotect((void *)page, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
  EXPECT_EQUAL(stepped_load(shown.words), word_of(1));
  EXPECT(trap_count == 0 && faults == 0);
  EXPECT_EQUAL(ctrap_access_count(), 1);
}

// Code of no file: nothing is guessed.
static void made_code(void) {
  prepare_to_hide();
  char *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  NEED(page != MAP_FAILED);
  memcpy(page, (const void *)stepped_load, 16);
  int errors = memfd_create("errors", MFD_CLOEXEC), standard = dup(2);
  dup2(errors, 2);
  EXPECT_EQUAL(((uint64_t(*)(volatile void *))page)(shown.words), 0);
  dup2(standard, 2);
  char got[512] = "", wanted[512];
  pread(errors, got, sizeof got - 1, 0);
  snprintf(wanted, sizeof wanted,
           "xive: trapped window: a breakpoint hides the instruction at %p, which accesses %p and is of no file that "
           "can be read: use a hardware breakpoint (gdb: hbreak)\n",
           page + (stepped_access - (const char *)stepped_load), (void *)(shown.words + 1));
  if (strcmp(got, wanted) != 0) printf("%s", got);
  EXPECT(strcmp(got, wanted) == 0);
  EXPECT(faults == 1 && trap_count == 0);
  EXPECT_EQUAL(ctrap_access_count(), 0);
}

// MARK: - For a debugger, which stops it at these and looks

uint64_t loaded;

__attribute__((noinline)) void load_in_line(volatile uint64_t *words) {
  loaded = words[2];
  loaded += 1;
}

static void debugged(void) {
  shown = window_make(1);
  for (int i = 1; i <= 3; i++) {
    EXPECT_EQUAL(stepped_load(shown.words), word_of(1));
    EXPECT_EQUAL(ctrap_access_count(), 2 * i - 1);
    load_in_line(shown.words);
    EXPECT_EQUAL(loaded, word_of(2) + 1);
    EXPECT_EQUAL(ctrap_access_count(), 2 * i);
  }
}

const struct test_case cases_steps[] = {
  {"step-itself", itself},
  {"step-tracer", by_tracer},
  {"step-hardware", by_hardware},
  {"step-breakpoint", by_breakpoint},
  {"step-untraced", by_nobody},
  {"step-made-code", made_code},
  {"step-debugged", debugged},
  {0}};
