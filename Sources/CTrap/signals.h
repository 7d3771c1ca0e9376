// What the kernel knows of signals, for the files that pass them on.
#pragma once
#include "internal.h"
#include "system.h"

#if defined __x86_64__
#include <string.h>

// What the kernel takes; sigaction(2).
struct trap_kernel_action {
  void *handler;
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};
#define TRAP_FLAG_RESTORER 0x04000000ul

static inline long trap_kernel_action(
  int number, const struct trap_kernel_action *action, struct trap_kernel_action *old
) {
  return trap_system(SYS_rt_sigaction, number, (long)action, (long)old, sizeof(uint64_t), 0, 0);
}

static inline uint64_t trap_bit(int number) { return UINT64_C(1) << (number - 1); }

static inline uint64_t trap_first_word(const sigset_t *set) {
  uint64_t word;
  memcpy(&word, set, sizeof word);
  return word;
}

// Returns the mask of before.
static inline uint64_t trap_set_mask(uint64_t mask) {
  uint64_t before = 0;
  trap_system(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)&before, sizeof mask, 0, 0);
  return before;
}

// What the program wants done with SIGSEGV; `spends`: it is about to be done, which SA_RESETHAND allows once.
struct sigaction trap_wanted_action(bool spends);
// What was there before us.
const struct sigaction *trap_action_beneath(void);

// What the kernel calls, with trap_restorer() to return to.
void trap_on_fault(int number, siginfo_t *info, void *context);
void trap_restorer(void) __attribute__((visibility("hidden")));

// raise.c: gives a signal its default action, and has it delivered whatever the thread in `context` blocks.
void trap_set_default(int number, ucontext_t *context);
// Sends this thread a signal as the kernel would: it comes when the handler has returned.
void trap_queue(siginfo_t *info);

// frame.c
bool trap_is_on_signal_stack(const ucontext_t *context, uint64_t address);
// Puts the frame where the kernel would have put it: on the stack that was interrupted.
ucontext_t *trap_copy_frame(const siginfo_t *info, const ucontext_t *context);
// Goes on in a handler of SIGSEGV that returns to the program from a copied frame.
_Noreturn void trap_enter(const struct sigaction *action, const siginfo_t *info, const ucontext_t *context);
#endif
