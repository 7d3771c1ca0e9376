// The action for SIGSEGV: ours to the kernel, the program's own to the program.
#include "signals.h"

#include <errno.h>

#if defined __x86_64__

// In two places in turn: the other one may be replaced once nobody reads it.
struct program_action {
  struct sigaction action;
  _Atomic bool is_spent;  // SA_RESETHAND has been at work
};
static struct program_action places[2];
static struct program_action *_Atomic program = &places[0];
// For a handler that came later and calls us as what was there before it.
static struct sigaction beneath;

static struct sigaction from_kernel(const struct trap_kernel_action *raw) {
  struct sigaction action = {.sa_flags = (int)(raw->flags & ~TRAP_FLAG_RESTORER)};
  action.sa_sigaction = (void (*)(int, siginfo_t *, void *))raw->handler;
  memcpy(&action.sa_mask, &raw->mask, sizeof raw->mask);
  return action;
}

// With the lock held.
static void set_program_action(const struct sigaction *action) {
  struct program_action *old = atomic_load(&program);
  struct program_action *other = old == &places[0] ? &places[1] : &places[0];
  other->action = *action;
  atomic_store(&other->is_spent, false);
  atomic_store(&program, other);
  trap_read_drain(&trap_lookups);
}

struct sigaction trap_wanted_action(bool spends) {
  uint32_t reading = trap_read_begin(&trap_lookups);
  struct program_action *place = atomic_load(&program);
  struct sigaction action = place->action;
  bool is_once = (action.sa_flags & SA_RESETHAND) != 0;
  if (is_once && (spends ? atomic_exchange(&place->is_spent, true) : atomic_load(&place->is_spent)))
    action = (struct sigaction){.sa_handler = SIG_DFL};
  trap_read_end(&trap_lookups, reading);
  return action;
}

const struct sigaction *trap_action_beneath(void) { return &beneath; }

// Ours in the place of an action of the program's.
static long set_our_action(const struct sigaction *action) {
  // Of the system calls that a sent SIGSEGV interrupts; one that is ignored would interrupt none.
  bool restarts = action->sa_handler == SIG_IGN || (action->sa_flags & SA_RESTART) != 0;
  const struct trap_kernel_action ours = {
    .handler = (void *)trap_on_fault,
    .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | TRAP_FLAG_RESTORER | (restarts ? SA_RESTART : 0),
    .restorer = trap_restorer,
    // All wait until the access has been made, those of the C library too, and a SIGSEGV that somebody sends: an
    // instruction is not interrupted. What runs the program's own handler opens them.
    .mask = ~UINT64_C(0)};
  return trap_kernel_action(SIGSEGV, &ours, NULL);
}

static bool is_installed;

int trap_install(void) {
  struct trap_kernel_action raw;
  long result = trap_kernel_action(SIGSEGV, NULL, &raw);
  if (result < 0) return (int)result;
  if (raw.handler == (void *)trap_on_fault) return 0;
  struct sigaction theirs = from_kernel(&raw);
  set_program_action(&theirs);
  if (!is_installed) {
    beneath = theirs;
    trap_prepare();
    trap_watch_forks();
    is_installed = true;
  }
  return (int)set_our_action(&theirs);
}

static int exchange_action(const struct sigaction *action, struct sigaction *old) {
  int result = trap_install();
  if (result == 0 && old != NULL) *old = trap_wanted_action(false);
  if (result == 0 && action != NULL) {
    set_program_action(action);
    result = (int)set_our_action(action);
  }
  return result;
}

// In a child of vfork(), which has its parent's memory, but for signals what the kernel has.
static int exchange_child_action(const struct sigaction *action, struct sigaction *old) {
  struct trap_kernel_action raw, theirs = {.restorer = trap_restorer};
  if (action != NULL) {
    theirs.handler = (void *)action->sa_sigaction;
    theirs.flags = (unsigned)action->sa_flags | TRAP_FLAG_RESTORER;
    theirs.mask = trap_first_word(&action->sa_mask);
  }
  long result = trap_kernel_action(SIGSEGV, action != NULL ? &theirs : NULL, &raw);
  if (result == 0 && old != NULL)
    *old = raw.handler == (void *)trap_on_fault ? trap_wanted_action(false) : from_kernel(&raw);
  return (int)result;
}

int trap_program_action(const struct sigaction *action, struct sigaction *old) {
  uint64_t before;
  trap_lock(&before);
  int result = trap_is_borrowed() ? exchange_child_action(action, old) : exchange_action(action, old);
  trap_unlock(before);
  return result;
}

#else

int trap_install(void) { return -ENOTSUP; }

#endif
