// The frame of a signal: where a handler returns to, and a frame in the place that the program wanted it in.
#include "signals.h"

#if defined __x86_64__

// Exactly these bytes: by them debuggers and unwinders know a signal's frame.
#define RESTORER(name) \
  __asm__(".text\n.balign 16\n.globl " name "\n.hidden " name "\n.type " name ", @function\n" \
          "nop\n" name ":\nmov $15, %rax\nsyscall\n.size " name ", . - " name "\n")
RESTORER("trap_restorer");
// Another one, for handlers of the program: only the kernel has ours return to the first.
RESTORER("trap_program_restorer");
void trap_program_restorer(void) __attribute__((visibility("hidden")));

bool trap_is_on_signal_stack(const ucontext_t *context, uint64_t address) {
  const stack_t *stack = &context->uc_stack;
  return (stack->ss_flags & SS_DISABLE) == 0 && address - (uint64_t)stack->ss_sp < stack->ss_size;
}

// Behind the state of the floating-point unit; linux/asm/sigcontext.h, struct _fpx_sw_bytes.
static uint64_t end_of(const ucontext_t *context, const siginfo_t *info) {
  enum { PLAIN_SIZE = 512, SOFTWARE_BYTES = 464, MAGIC = 0x46505853 };
  const uint8_t *state = (const uint8_t *)context->uc_mcontext.fpregs;
  if (state == NULL) return (uint64_t)(info + 1);
  uint32_t words[2];  // magic, size of all
  memcpy(words, state + SOFTWARE_BYTES, sizeof words);
  return (uint64_t)state + (words[0] == MAGIC ? words[1] : PLAIN_SIZE);
}

// What the kernel puts on a stack: the address to return to, the context, siginfo, and the state on a multiple of 64.
ucontext_t *trap_copy_frame(const siginfo_t *info, const ucontext_t *context) {
  enum { RED_ZONE = 128, ALIGNMENT = 64 };
  uint64_t start = (uint64_t)context - sizeof(void *), end = end_of(context, info);
  uint64_t top = (uint64_t)context->uc_mcontext.gregs[REG_RSP] - RED_ZONE;
  uint64_t moved = top - (end - start);
  moved -= (moved - start) % ALIGNMENT;
  memcpy((void *)moved, (const void *)start, end - start);
  ucontext_t *copy = (ucontext_t *)(moved + sizeof(void *));
  if (context->uc_mcontext.fpregs != NULL)
    copy->uc_mcontext.fpregs = (fpregset_t)((uint64_t)context->uc_mcontext.fpregs + (moved - start));
  return copy;
}

_Noreturn void trap_enter(const struct sigaction *action, const siginfo_t *info, const ucontext_t *context) {
  void **frame = (void **)context - 1;
  *frame = (void *)trap_program_restorer;
  __asm__ volatile("mov %0, %%rsp\n\tjmp *%1"
                   :
                   : "r"(frame), "r"(action->sa_sigaction), "a"(0), "D"(SIGSEGV), "S"(info), "d"(context)
                   : "memory");
  __builtin_unreachable();
}

#endif
