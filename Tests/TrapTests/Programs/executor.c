// By signals alone: a breakpoint's handler returns into the instruction with the registers that it shall have, and with
// the trap flag; the handler of the trap behind it has them as they are then.
#include "executor.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { TRAP_FLAG = 1 << 8, STACK = 1 << 16 };

static volatile bool is_under_way;
static const greg_t *wanted;
static struct outcome *result;
static gregset_t home;

// Registers, flags and the instruction pointer; the rest is the kernel's.
static void load(greg_t *to, const greg_t *from) {
  for (int i = REG_R8; i <= REG_EFL; i++) to[i] = from[i];
}

static void take_signal(int number, siginfo_t *info, void *argument) {
  greg_t *registers = ((ucontext_t *)argument)->uc_mcontext.gregs;
  if (!is_under_way) {
    if (number != SIGTRAP) abort();
    memcpy(home, registers, sizeof home);
    load(registers, wanted);
    registers[REG_EFL] |= TRAP_FLAG;
    is_under_way = true;
    return;
  }
  result->signal = number;
  result->address = (uint64_t)info->si_addr;
  memcpy(result->registers, registers, sizeof result->registers);
  result->registers[REG_EFL] &= ~(greg_t)TRAP_FLAG;
  load(registers, home);
  is_under_way = false;
}

void execute(const gregset_t registers, struct outcome *outcome) {
  wanted = registers;
  result = outcome;
  __asm__ volatile("int3" ::: "memory");
}

// fs keeps its base: it is the C library's.
static void distinguish_segments(void) {
  uint64_t base;
  __asm__ volatile("rdfsbase %0" : "=r"(base));
  __asm__ volatile("mov %w1, %%fs\n\twrfsbase %0" : : "r"(base), "r"(1));
  __asm__ volatile("mov %w0, %%gs" : : "r"(2));
  __asm__ volatile("mov %w0, %%ds" : : "r"(0x2b));
  __asm__ volatile("mov %w0, %%es" : : "r"(0x2a));
}

void executor_set_gs_base(uint64_t base) { __asm__ volatile("wrgsbase %0" : : "r"(base)); }

greg_t executor_segments(void) { return home[REG_CSGSFS]; }

void executor_start(void) {
  void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  stack_t alternate = {.ss_sp = stack, .ss_size = STACK};
  struct sigaction action = {.sa_sigaction = take_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaltstack(&alternate, NULL);
  const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
  distinguish_segments();
}
