// Signals that the program shall see as if an instruction of its own had raised them.
#include "signals.h"

#if defined __x86_64__

void trap_set_default(int number, ucontext_t *context) {
  const struct trap_kernel_action action = {
    .handler = (void *)SIG_DFL, .flags = TRAP_FLAG_RESTORER, .restorer = trap_restorer};
  trap_kernel_action(number, &action, NULL);
  uint64_t mask = trap_first_word(&context->uc_sigmask) & ~trap_bit(number);
  memcpy(&context->uc_sigmask, &mask, sizeof mask);
}

void trap_queue(siginfo_t *info) {
  // A handler that has called us may block less than ours does.
  trap_set_mask(~UINT64_C(0));
  long process = trap_system(SYS_getpid, 0, 0, 0, 0, 0, 0);
  long thread = trap_system(SYS_gettid, 0, 0, 0, 0, 0, 0);
  // From what seems to be the kernel: a process may do that to itself.
  trap_system(SYS_rt_tgsigqueueinfo, process, thread, info->si_signo, (long)info, 0, 0);
}

// The kernel delivers it before all else when our handler has returned: with the context of the instruction.
static void raise_from_instruction(int number, int code, uint64_t address, ucontext_t *context) {
  siginfo_t info = {.si_signo = number, .si_code = code};
  info.si_addr = (void *)address;
  struct trap_kernel_action action = {0};
  trap_kernel_action(number, NULL, &action);
  // It cannot be put off: the kernel ends a process that blocks or ignores it.
  bool is_blocked = (trap_first_word(&context->uc_sigmask) & trap_bit(number)) != 0;
  if (action.handler == (void *)SIG_IGN || is_blocked) trap_set_default(number, context);
  trap_queue(&info);
}

void trap_raise_bus_error(int code, uint64_t address, ucontext_t *context) {
  raise_from_instruction(SIGBUS, code, address, context);
}

void trap_finish_step(ucontext_t *context, bool is_stepped_over) {
  enum { SINGLE_STEP = 1 << 8 };
  const greg_t *registers = context->uc_mcontext.gregs;
  if (is_stepped_over || (registers[REG_EFL] & SINGLE_STEP) != 0)
    raise_from_instruction(SIGTRAP, TRAP_TRACE, (uint64_t)registers[REG_RIP], context);
}

#endif
