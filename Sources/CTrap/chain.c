// Faults that are not ours: to the program's own handler, or its default action, as the kernel would have it.
#include "signals.h"

#if defined __x86_64__

// A handler without SA_NODEFER runs with SIGSEGV blocked, and a fault in it is the end. Really SIGSEGV stays open, for
// it may touch windows; in its place a signal is blocked that glibc keeps for itself, so that whatever gives the thread
// another mask, siglongjmp() for one, ends this as well.
enum { STAND_IN = 32 };
// The frame of such a handler: what it calls lies below. Against one that was left by longjmp().
static TRAP_THREAD uint64_t blocked_below;

static bool is_blocked(const ucontext_t *context) {
  uint64_t stack = (uint64_t)context->uc_mcontext.gregs[REG_RSP];
  return (trap_first_word(&context->uc_sigmask) & trap_bit(STAND_IN)) != 0 && stack < blocked_below
    && trap_is_on_signal_stack(context, stack) == trap_is_on_signal_stack(context, blocked_below);
}

static bool blocks_itself(const struct sigaction *action) {
  return (action->sa_flags & SA_NODEFER) == 0 || (trap_first_word(&action->sa_mask) & trap_bit(SIGSEGV)) != 0;
}

// Of signals, while a handler runs.
static uint64_t mask_of(const struct sigaction *action, const ucontext_t *context) {
  uint64_t mask = trap_first_word(&context->uc_sigmask) | trap_first_word(&action->sa_mask);
  return (mask & ~trap_bit(SIGSEGV)) | (blocks_itself(action) ? trap_bit(STAND_IN) : 0);
}

static void run(const struct sigaction *action, siginfo_t *info, ucontext_t *context) {
  uint64_t outer = blocked_below;
  if (blocks_itself(action)) blocked_below = (uint64_t)context;
  uint64_t before = trap_set_mask(mask_of(action, context));
  if ((action->sa_flags & SA_SIGINFO) != 0) action->sa_sigaction(SIGSEGV, info, context);
  else action->sa_handler(SIGSEGV);
  trap_set_mask(before);
  blocked_below = outer;
}

// Whether our frame is on a signal stack that the handler did not ask for.
static bool belongs_below(const struct sigaction *action, const ucontext_t *context) {
  return (action->sa_flags & SA_ONSTACK) == 0 && trap_is_on_signal_stack(context, (uint64_t)context)
    && !trap_is_on_signal_stack(context, (uint64_t)context->uc_mcontext.gregs[REG_RSP]);
}

static _Noreturn void run_below(const struct sigaction *action, siginfo_t *info, const ucontext_t *context) {
  // A fault of the copying, for that stack may be at its end, is the end.
  blocked_below = (uint64_t)context;
  const ucontext_t *copy = trap_copy_frame(info, context);
  const void *copied_info = (const void *)((uint64_t)info + ((uint64_t)copy - (uint64_t)context));
  blocked_below = blocks_itself(action) ? (uint64_t)copy : 0;
  trap_set_mask(mask_of(action, context));
  trap_enter(action, copied_info, copy);
}

static void chain(
  const struct sigaction *action, siginfo_t *info, ucontext_t *context, bool is_from_kernel
) {
  bool was_sent = info->si_code <= 0;
  if (action->sa_handler == SIG_IGN && was_sent) return;
  bool has_handler = action->sa_handler != SIG_IGN && action->sa_handler != SIG_DFL;
  if (has_handler && (was_sent || !is_blocked(context))) {
    if (is_from_kernel && belongs_below(action, context)) run_below(action, info, context);
    run(action, info, context);
    return;
  }
  // The instruction faults again, now with the default action; who was sent it is sent it again.
  trap_set_default(SIGSEGV, context);
  if (was_sent) trap_queue(info);
}

// The kernel leaves AC to a handler as the program had it, and what is read and written here lies anywhere.
static void allow_misalignment(void) {
  enum { ALIGNMENT_CHECK = 1 << 18 };
  unsigned long long flags = __builtin_ia32_readeflags_u64();
  if ((flags & ALIGNMENT_CHECK) != 0) __builtin_ia32_writeeflags_u64(flags & ~(unsigned long long)ALIGNMENT_CHECK);
}

// Called by the kernel, or by a handler that has taken our place and keeps us for what is not its own.
__attribute__((noinline)) void trap_on_fault(int number, siginfo_t *info, void *context) {
  (void)number;
  allow_misalignment();
  if (trap_handle(info, context)) return;
  bool is_from_kernel = __builtin_return_address(0) == (void *)trap_restorer;
  struct sigaction action = is_from_kernel ? trap_wanted_action(true) : *trap_action_beneath();
  chain(&action, info, context, is_from_kernel);
}

#endif
