// What the program does about signals. SIGSEGV's handler is ours; the program's own is called for what is not.
#include "preload.h"

// The C library's own, which has another name as well.
int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

// Signals during whose handlers the program wants SIGSEGV to be blocked.
static _Atomic uint64_t blocking;

static bool note_blocking(int number, bool blocks) {
  uint64_t bit = UINT64_C(1) << (number - 1);
  uint64_t before = blocks ? atomic_fetch_or(&blocking, bit) : atomic_fetch_and(&blocking, ~bit);
  return (before & bit) != 0;
}

static int set_action(int number, const struct sigaction *action, struct sigaction *old) {
  struct sigaction open;
  if (action != NULL) {
    open = *action;
    sigdelset(&open.sa_mask, SIGSEGV);
  }
  if (__sigaction(number, action != NULL ? &open : NULL, old) != 0) return -1;
  bool blocked = action != NULL ? note_blocking(number, has_fault(&action->sa_mask))
                                : (atomic_load(&blocking) >> (number - 1) & 1) != 0;
  if (old != NULL && blocked) sigaddset(&old->sa_mask, SIGSEGV);
  return 0;
}

// Until there is a window the kernel has the program's own action.
static int set_fault_action(const struct sigaction *action, struct sigaction *old) {
  uint64_t before;
  trap_lock(&before);
  bool is_ours = windows_may_be();
  int result = is_ours ? 0 : __sigaction(SIGSEGV, action, old);
  trap_unlock(before);
  return is_ours ? (int)with_errno(trap_program_action(action, old)) : result;
}

PUBLIC int sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  return number == SIGSEGV ? set_fault_action(action, old) : set_action(number, action, old);
}

// MARK: - signal, and what siginterrupt has it do

static _Atomic uint64_t interrupting;

static bool interrupts(int number) {
  return number >= 1 && number <= 64 && (atomic_load(&interrupting) >> (number - 1) & 1) != 0;
}

static sighandler_t set_handler(int number, sighandler_t handler, int flags, bool blocks_itself) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
  sigemptyset(&action.sa_mask);
  if (handler == SIG_ERR) {
    errno = EINVAL;
    return SIG_ERR;
  }
  if (blocks_itself && sigaddset(&action.sa_mask, number) != 0) return SIG_ERR;
  return sigaction(number, &action, &old) != 0 ? SIG_ERR : old.sa_handler;
}

PUBLIC sighandler_t signal(int number, sighandler_t handler) {
  return set_handler(number, handler, interrupts(number) ? 0 : SA_RESTART, true);
}

PUBLIC sighandler_t bsd_signal(int number, sighandler_t handler) __THROW __attribute__((alias("signal")));
PUBLIC sighandler_t ssignal(int number, sighandler_t handler) __THROW __attribute__((alias("signal")));

// System V's: once, and without blocking anything.
PUBLIC sighandler_t sysv_signal(int number, sighandler_t handler) {
  return set_handler(number, handler, SA_RESETHAND | SA_NODEFER, false);
}

PUBLIC sighandler_t __sysv_signal(int number, sighandler_t handler) __THROW __attribute__((alias("sysv_signal")));

PUBLIC int siginterrupt(int number, int flag) {
  struct sigaction action;
  if (sigaction(number, NULL, &action) != 0) return -1;
  uint64_t bit = UINT64_C(1) << (number - 1);
  if (flag != 0) atomic_fetch_or(&interrupting, bit);
  else atomic_fetch_and(&interrupting, ~bit);
  action.sa_flags = flag != 0 ? action.sa_flags & ~SA_RESTART : action.sa_flags | SA_RESTART;
  return sigaction(number, &action, NULL);
}

// MARK: - System V's handlers and masks

PUBLIC int sigignore(int number) { return set_handler(number, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0; }

// Holds a signal back, or has a handler take it from now on; SIG_HOLD if it was held back.
PUBLIC sighandler_t sigset(int number, sighandler_t handler) {
  bool holds = handler == SIG_HOLD;
  sigset_t set, old;
  sigemptyset(&set);
  if (handler == SIG_ERR) errno = EINVAL;
  if (handler == SIG_ERR || sigaddset(&set, number) != 0) return SIG_ERR;
  struct sigaction action;
  if (sigaction(number, NULL, &action) != 0) return SIG_ERR;
  if (!holds && set_handler(number, handler, 0, false) == SIG_ERR) return SIG_ERR;
  if (sigprocmask(holds ? SIG_BLOCK : SIG_UNBLOCK, &set, &old) != 0) return SIG_ERR;
  return sigismember(&old, number) == 1 ? SIG_HOLD : action.sa_handler;
}
