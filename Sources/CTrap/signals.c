// The program's own action for SIGSEGV, and signals that it shall see as if a page had sent them.
#include "internal.h"
#include "system.h"

#include <errno.h>
#include <string.h>

#if defined __x86_64__

// What the kernel takes; sigaction(2).
struct kernel_action {
  void *handler;
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};
#define FLAG_RESTORER 0x04000000ul

// Exactly these bytes: by them debuggers and unwinders know a signal's frame.
__asm__(
  ".text\n.balign 16\n.type trap_restorer, @function\n"
  "nop\n"
  "trap_restorer:\n"
  "mov $15, %rax\n"
  "syscall\n"
  ".size trap_restorer, . - trap_restorer\n");
void trap_restorer(void) __attribute__((visibility("hidden")));

static long kernel_action(int number, const struct kernel_action *action, struct kernel_action *old) {
  return trap_system(SYS_rt_sigaction, number, (long)action, (long)old, sizeof(uint64_t), 0, 0);
}

static uint64_t first_word(const sigset_t *set) {
  uint64_t word;
  memcpy(&word, set, sizeof word);
  return word;
}

static uint64_t bit(int number) { return UINT64_C(1) << (number - 1); }

// MARK: - What the program wants done

// In two places in turn: the other one may be replaced once nobody reads it.
struct program_action {
  struct sigaction action;
  _Atomic bool is_spent;  // SA_RESETHAND has been at work
};
static struct program_action places[2];
static struct program_action *_Atomic program = &places[0];
// What was there before us, for a handler that came later and calls us as what was there before it.
static struct sigaction beneath;

static void on_fault(int number, siginfo_t *info, void *context);

static struct sigaction from_kernel(const struct kernel_action *raw) {
  struct sigaction action = {.sa_flags = (int)(raw->flags & ~FLAG_RESTORER)};
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

static struct sigaction program_action(bool spends) {
  uint32_t reading = trap_read_begin(&trap_lookups);
  struct program_action *place = atomic_load(&program);
  struct sigaction action = place->action;
  bool is_once = (action.sa_flags & SA_RESETHAND) != 0;
  if (is_once && (spends ? atomic_exchange(&place->is_spent, true) : atomic_load(&place->is_spent)))
    action = (struct sigaction){.sa_handler = SIG_DFL};
  trap_read_end(&trap_lookups, reading);
  return action;
}

static bool is_installed;

int trap_install(void) {
  struct kernel_action raw, ours = {
    .handler = (void *)on_fault,
    .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | FLAG_RESTORER,
    .restorer = trap_restorer,
    // All others wait until the access has been made, those of the C library too: an instruction is not interrupted.
    .mask = ~bit(SIGSEGV)};
  long result = kernel_action(SIGSEGV, NULL, &raw);
  if (result < 0) return (int)result;
  if (raw.handler == (void *)on_fault) return 0;
  struct sigaction theirs = from_kernel(&raw);
  set_program_action(&theirs);
  if (!is_installed) {
    beneath = theirs;
    trap_watch_forks();
    is_installed = true;
  }
  return (int)kernel_action(SIGSEGV, &ours, NULL);
}

int trap_program_action(const struct sigaction *action, struct sigaction *old) {
  uint64_t before;
  trap_lock(&before);
  int result = trap_install();
  if (result == 0 && old != NULL) *old = program_action(false);
  if (result == 0 && action != NULL) set_program_action(action);
  trap_unlock(before);
  return result;
}

// MARK: - Sending

// To this thread, from what seems to be the kernel: a process may do that to itself.
static void queue(siginfo_t *info) {
  long process = trap_system(SYS_getpid, 0, 0, 0, 0, 0, 0);
  long thread = trap_system(SYS_gettid, 0, 0, 0, 0, 0, 0);
  trap_system(SYS_rt_tgsigqueueinfo, process, thread, info->si_signo, (long)info, 0, 0);
}

static void set_default(int number) {
  const struct kernel_action action = {.handler = (void *)SIG_DFL, .flags = FLAG_RESTORER, .restorer = trap_restorer};
  kernel_action(number, &action, NULL);
}

void trap_raise_bus_error(int code, uint64_t address, ucontext_t *context) {
  siginfo_t info = {.si_signo = SIGBUS, .si_code = code};
  info.si_addr = (void *)address;
  struct kernel_action action = {0};
  kernel_action(SIGBUS, NULL, &action);
  // A fault cannot be put off: the kernel ends a process that blocks or ignores it.
  if (action.handler == (void *)SIG_IGN || (first_word(&context->uc_sigmask) & bit(SIGBUS)) != 0) {
    set_default(SIGBUS);
    sigdelset(&context->uc_sigmask, SIGBUS);
  }
  // Blocked here, so that it comes when this handler has returned: with the context of the instruction.
  queue(&info);
}

static void raise_step(ucontext_t *context) {
  siginfo_t info = {.si_signo = SIGTRAP, .si_code = TRAP_TRACE};
  info.si_addr = (void *)context->uc_mcontext.gregs[REG_RIP];
  queue(&info);
}

void trap_finish_step(ucontext_t *context) {
  enum { SINGLE_STEP = 1 << 8 };
  if ((context->uc_mcontext.gregs[REG_EFL] & SINGLE_STEP) != 0) raise_step(context);
}

// MARK: - Passing on

static void run(const struct sigaction *action, siginfo_t *info, ucontext_t *context) {
  // SIGSEGV stays open: the handler may touch a window.
  uint64_t mask = (first_word(&context->uc_sigmask) | first_word(&action->sa_mask)) & ~bit(SIGSEGV);
  trap_system(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof mask, 0, 0);
  if ((action->sa_flags & SA_SIGINFO) != 0) action->sa_sigaction(SIGSEGV, info, context);
  else action->sa_handler(SIGSEGV);
}

static void chain(const struct sigaction *action, siginfo_t *info, ucontext_t *context) {
  bool was_sent = info->si_code <= 0;
  if (action->sa_handler == SIG_IGN && was_sent) return;
  if (action->sa_handler != SIG_IGN && action->sa_handler != SIG_DFL) {
    run(action, info, context);
    return;
  }
  // The instruction faults again, now with the default action; who was sent it is sent it again.
  set_default(SIGSEGV);
  sigdelset(&context->uc_sigmask, SIGSEGV);
  if (was_sent) queue(info);
}

void trap_chain(siginfo_t *info, ucontext_t *context) {
  struct sigaction action = program_action(true);
  chain(&action, info, context);
}

// Called by the kernel, or by a handler that has taken our place and keeps us for what is not its own.
__attribute__((noinline)) static void on_fault(int number, siginfo_t *info, void *context) {
  (void)number;
  if (trap_handle(info, context)) return;
  if (__builtin_return_address(0) == (void *)trap_restorer) trap_chain(info, context);
  else chain(&beneath, info, context);
}

#else

int trap_install(void) { return -ENOTSUP; }

#endif
