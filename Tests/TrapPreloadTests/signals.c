// Signal actions and masks of a program with windows: signals PATH
#include "rig.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>

// Not in every dialect's header.
extern int sigblock(int);
extern int sigsetmask(int);
extern int siggetmask(void);
extern __sighandler_t bsd_signal(int, __sighandler_t);
extern __sighandler_t ssignal(int, __sighandler_t);
extern int __sigpause(int, int);
extern int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);
extern int pause_bsd(int) __asm__("sigpause");

static uint8_t *window;  // of source 12

static bool is_blocked(int number) {
  sigset_t set;
  sigemptyset(&set);
  EXPECT(sigprocmask(SIG_BLOCK, NULL, &set) == 0);
  return sigismember(&set, number) == 1;
}

// What the kernel has for this thread, by a system call.
static uint64_t real_mask(void) {
  uint64_t mask = 0;
  EXPECT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask) == 0);
  return mask;
}

static uint64_t bit(int number) { return UINT64_C(1) << (number - 1); }

// The window works, for a SIGSEGV that is blocked would end the program.
#define EXPECT_OPEN()                                    \
  do {                                                   \
    EXPECT((real_mask() & bit(SIGSEGV)) == 0);           \
    EXPECT_WINDOW(window, 12);                           \
  } while (0)

// MARK: - Masks

static void masks(void) {
  sigset_t fault, all, old;
  sigemptyset(&fault);
  sigaddset(&fault, SIGSEGV);
  // Those of the C library itself, too, which it never blocks.
  memset(&all, 0xff, sizeof all);
  EXPECT(!is_blocked(SIGSEGV));
  EXPECT(sigprocmask(SIG_BLOCK, &fault, &old) == 0 && sigismember(&old, SIGSEGV) == 0);
  EXPECT(is_blocked(SIGSEGV) && !is_blocked(SIGUSR1));
  EXPECT_OPEN();
  EXPECT(sigprocmask(SIG_UNBLOCK, &fault, &old) == 0 && sigismember(&old, SIGSEGV) == 1);
  EXPECT(!is_blocked(SIGSEGV));
  EXPECT(sigprocmask(SIG_SETMASK, &all, &old) == 0 && sigismember(&old, SIGSEGV) == 0);
  EXPECT(is_blocked(SIGSEGV) && is_blocked(SIGUSR1));
  EXPECT(real_mask() == ~(bit(SIGSEGV) | bit(SIGKILL) | bit(SIGSTOP) | bit(32) | bit(33)));
  EXPECT_OPEN();
  sigemptyset(&all);
  sigaddset(&all, SIGUSR1);
  EXPECT(sigprocmask(SIG_UNBLOCK, &all, NULL) == 0);
  EXPECT(is_blocked(SIGSEGV) && !is_blocked(SIGUSR1));
  EXPECT(pthread_sigmask(SIG_SETMASK, &all, &old) == 0 && sigismember(&old, SIGSEGV) == 1);
  EXPECT(!is_blocked(SIGSEGV) && is_blocked(SIGUSR1));
  EXPECT(pthread_sigmask(SIG_BLOCK, &fault, NULL) == 0 && is_blocked(SIGSEGV));
  EXPECT_OPEN();
  errno = 0;
  EXPECT(pthread_sigmask(99, &fault, NULL) == EINVAL && errno == 0);
  EXPECT(sigprocmask(99, &fault, NULL) == -1 && errno == EINVAL);
  EXPECT(is_blocked(SIGSEGV));
  sigemptyset(&all);
  EXPECT(sigprocmask(SIG_SETMASK, &all, NULL) == 0 && !is_blocked(SIGSEGV) && real_mask() == 0);
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void old_masks(void) {
  int fault = (int)bit(SIGSEGV), user = (int)bit(SIGUSR1);
  EXPECT(sigblock(fault | user) == 0 && siggetmask() == (fault | user));
  EXPECT_OPEN();
  EXPECT(is_blocked(SIGSEGV) && is_blocked(SIGUSR1));
  EXPECT(sigsetmask(user) == (fault | user) && siggetmask() == user);
  EXPECT(sigsetmask(fault) == user);
  EXPECT_OPEN();
  EXPECT(sigsetmask(0) == fault);
  EXPECT(sighold(SIGSEGV) == 0 && sighold(SIGUSR2) == 0 && is_blocked(SIGSEGV) && is_blocked(SIGUSR2));
  EXPECT_OPEN();
  EXPECT(sigrelse(SIGSEGV) == 0 && sigrelse(SIGUSR2) == 0 && real_mask() == 0 && !is_blocked(SIGSEGV));
  errno = 0;
  EXPECT(sighold(99) == -1 && errno == EINVAL);
}

// MARK: - Waits with a mask: the handler of what they let through touches the window.

static _Atomic int handled;

static void touch_window(int number) {
  (void)number;
  EXPECT_OPEN();
  handled++;
}

// Everything but SIGUSR1, which waits to be let through.
static sigset_t waiting_mask(void) {
  sigset_t set, user;
  sigfillset(&set);
  sigdelset(&set, SIGUSR1);
  sigemptyset(&user);
  sigaddset(&user, SIGUSR1);
  EXPECT(sigprocmask(SIG_BLOCK, &user, NULL) == 0);
  handled = 0;
  raise(SIGUSR1);
  EXPECT(handled == 0);
  return set;
}

#define EXPECT_INTERRUPTED(call)                                          \
  do {                                                                    \
    sigset_t set = waiting_mask();                                        \
    errno = 0;                                                            \
    EXPECT((call) == -1 && errno == EINTR);                               \
    EXPECT(handled == 1 && is_blocked(SIGUSR1) && !is_blocked(SIGSEGV));  \
    (void)set;                                                            \
  } while (0)

static void waits(void) {
  struct sigaction action = {.sa_handler = touch_window};
  sigfillset(&action.sa_mask);
  EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
  int queue = epoll_create1(EPOLL_CLOEXEC);
  struct pollfd nothing = {.fd = -1};
  struct epoll_event event;
  const struct timespec second = {.tv_sec = 20}, none = {0};
  struct timespec kept = second;
  EXPECT_INTERRUPTED(sigsuspend(&set));
  EXPECT_INTERRUPTED(ppoll(&nothing, 1, &kept, &set));
  EXPECT_INTERRUPTED(__ppoll_chk(&nothing, 1, &kept, &set, sizeof nothing));
  EXPECT_INTERRUPTED(pselect(0, NULL, NULL, NULL, &kept, &set));
  EXPECT(kept.tv_sec == second.tv_sec && kept.tv_nsec == second.tv_nsec);
  EXPECT_INTERRUPTED(epoll_pwait(queue, &event, 1, 20000, &set));
  EXPECT_INTERRUPTED(epoll_pwait2(queue, &event, 1, &second, &set));
  EXPECT_INTERRUPTED(sigpause(SIGUSR1));
  EXPECT_INTERRUPTED(__sigpause(SIGUSR1, 1));
  EXPECT_INTERRUPTED(__sigpause((int)~bit(SIGUSR1), 0));
  EXPECT_INTERRUPTED(pause_bsd((int)~bit(SIGUSR1)));
  sigset_t empty;
  sigemptyset(&empty);
  EXPECT(sigprocmask(SIG_SETMASK, &empty, NULL) == 0);
  // They wait as ever: for descriptors, for a time, and without a mask.
  int ends[2];
  EXPECT(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
  struct pollfd readable = {.fd = ends[0], .events = POLLIN};
  EXPECT(ppoll(&readable, 1, NULL, NULL) == 1 && readable.revents == POLLIN);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  EXPECT(pselect(ends[0] + 1, &set, NULL, NULL, NULL, NULL) == 1 && FD_ISSET(ends[0], &set));
  event = (struct epoll_event){.events = EPOLLIN, .data.u32 = 5};
  EXPECT(epoll_ctl(queue, EPOLL_CTL_ADD, ends[0], &event) == 0);
  EXPECT(epoll_pwait(queue, &event, 1, -1, NULL) == 1 && event.data.u32 == 5);
  EXPECT(epoll_pwait2(queue, &event, 1, NULL, NULL) == 1 && event.data.u32 == 5);
  EXPECT(ppoll(&nothing, 1, &none, NULL) == 0 && pselect(0, NULL, NULL, NULL, &none, NULL) == 0);
  close(ends[0]);
  close(ends[1]);
  close(queue);
}

// Each is a point of cancellation.
static void *wait_for_ever(void *argument) {
  sigset_t set;
  sigfillset(&set);
  struct pollfd nothing = {.fd = -1};
  struct epoll_event event;
  int queue = epoll_create1(EPOLL_CLOEXEC);
  switch ((int)(intptr_t)argument) {
  case 0: sigsuspend(&set); break;
  case 1: ppoll(&nothing, 1, NULL, &set); break;
  case 2: pselect(0, NULL, NULL, NULL, NULL, &set); break;
  case 3: epoll_pwait(queue, &event, 1, -1, &set); break;
  case 4: epoll_pwait2(queue, &event, 1, NULL, &set); break;
  }
  return NULL;
}

static void cancellation(void) {
  for (int i = 0; i < 5; i++) {
    pthread_t thread;
    void *result = NULL;
    EXPECT(pthread_create(&thread, NULL, wait_for_ever, (void *)(intptr_t)i) == 0);
    if (i % 2 == 0) usleep(20000);
    EXPECT(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
  }
}

// MARK: - Threads

static void *touch_in_thread(void *argument) {
  (void)argument;
  EXPECT((real_mask() & bit(SIGUSR2)) != 0);
  EXPECT_OPEN();
  return NULL;
}

static void threads(void) {
  pthread_attr_t attribute;
  sigset_t all, empty;
  sigfillset(&all);
  sigemptyset(&empty);
  pthread_t thread;
  EXPECT(pthread_attr_init(&attribute) == 0 && pthread_attr_setsigmask_np(&attribute, &all) == 0);
  EXPECT(pthread_create(&thread, &attribute, touch_in_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
  pthread_attr_destroy(&attribute);
  EXPECT(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
  EXPECT(pthread_create(&thread, NULL, touch_in_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
  EXPECT(sigprocmask(SIG_SETMASK, &empty, NULL) == 0);
}

// MARK: - Actions

static _Atomic int faults;
static jmp_buf way_out;

static void leave(int number) {
  faults += number == SIGSEGV;
  sigset_t empty;
  sigemptyset(&empty);
  sigprocmask(SIG_SETMASK, &empty, NULL);
  longjmp(way_out, 1);
}

static void leave_with_details(int number, siginfo_t *info, void *context) {
  EXPECT(info->si_addr == (void *)16 && context != NULL);
  leave(number);
}

// One fault that is not the window's: the program's own handler has it, and the window goes on.
static void fault_once(int line) {
  int before = faults;
  volatile uintptr_t nowhere = 16;
  if (setjmp(way_out) == 0) *(volatile int *)nowhere = 1;
  if (faults != before + 1) {
    printf("line %d: %d faults instead of 1\n", line, faults - before);
    failures++;
  }
  EXPECT_WINDOW(window, 12);
}

static void actions(void) {
  struct sigaction action = {.sa_sigaction = leave_with_details, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGSEGV);
  sigaddset(&action.sa_mask, SIGUSR2);
  EXPECT(sigaction(SIGSEGV, &action, &old) == 0 && old.sa_sigaction == on_fault);
  EXPECT(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_sigaction == leave_with_details);
  EXPECT(old.sa_flags == (SA_SIGINFO | SA_RESTART) && sigismember(&old.sa_mask, SIGUSR2) == 1
         && sigismember(&old.sa_mask, SIGSEGV) == 1 && sigismember(&old.sa_mask, SIGUSR1) == 0);
  fault_once(__LINE__);
  EXPECT((void *)signal(SIGSEGV, leave) == (void *)leave_with_details);
  fault_once(__LINE__);
  EXPECT(signal(SIGSEGV, SIG_IGN) == leave && bsd_signal(SIGSEGV, SIG_DFL) == SIG_IGN);
  EXPECT(ssignal(SIGSEGV, leave) == SIG_DFL);
  EXPECT(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_flags == SA_RESTART && sigismember(&old.sa_mask, SIGSEGV) == 1);
  fault_once(__LINE__);
  EXPECT(siginterrupt(SIGSEGV, 1) == 0 && sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_flags == 0);
  EXPECT(signal(SIGSEGV, leave) == leave && sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_flags == 0);
  EXPECT(siginterrupt(SIGSEGV, 0) == 0 && sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_flags == SA_RESTART);
  // Once: the next one asks for the default.
  EXPECT(sysv_signal(SIGSEGV, leave) == leave);
  EXPECT(sigaction(SIGSEGV, NULL, &old) == 0 && (old.sa_flags & SA_RESETHAND) != 0);
  fault_once(__LINE__);
  EXPECT(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
  EXPECT_WINDOW(window, 12);
  EXPECT(sigset(SIGSEGV, leave) == SIG_DFL);
  fault_once(__LINE__);
  EXPECT(sigset(SIGSEGV, SIG_HOLD) == leave && is_blocked(SIGSEGV));
  EXPECT_OPEN();
  EXPECT(sigset(SIGSEGV, leave) == SIG_HOLD && !is_blocked(SIGSEGV));
  fault_once(__LINE__);
  EXPECT(sigignore(SIGSEGV) == 0 && sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == SIG_IGN);
  EXPECT_WINDOW(window, 12);
  errno = 0;
  EXPECT(sigset(99, leave) == SIG_ERR && errno == EINVAL);
  errno = 0;
  EXPECT(signal(99, leave) == SIG_ERR && errno == EINVAL);
  errno = 0;
  EXPECT(sigaction(99, NULL, &old) == -1 && errno == EINVAL);
  catch_faults();
}

// Those of other signals: SIGSEGV stays open while they run, and the program sees its own mask.
static void other_actions(void) {
  struct sigaction action = {.sa_handler = touch_window}, old;
  sigfillset(&action.sa_mask);
  EXPECT(sigaction(SIGUSR2, &action, NULL) == 0);
  handled = 0;
  raise(SIGUSR2);
  EXPECT(handled == 1);
  EXPECT(sigaction(SIGUSR2, NULL, &old) == 0 && old.sa_handler == touch_window);
  EXPECT(sigismember(&old.sa_mask, SIGSEGV) == 1 && sigismember(&old.sa_mask, SIGUSR1) == 1);
  sigdelset(&action.sa_mask, SIGSEGV);
  EXPECT(sigaction(SIGUSR2, &action, &old) == 0 && sigismember(&old.sa_mask, SIGSEGV) == 1);
  EXPECT(sigaction(SIGUSR2, NULL, &old) == 0 && sigismember(&old.sa_mask, SIGSEGV) == 0);
  EXPECT(sigaction(SIGALRM, NULL, &old) == 0 && sigismember(&old.sa_mask, SIGSEGV) == 0);
  EXPECT(signal(SIGUSR2, SIG_DFL) == touch_window);
}

// MARK: - Handlers that come in the middle of a call that has nothing to do with windows

static volatile sig_atomic_t arrivals;

// What a program's handler of a signal that ends it does first.
static void reset_action(int number) {
  (void)number;
  arrivals++;
  signal(SIGSEGV, SIG_DFL);
}

static void jump_back(int number) {
  (void)number;
  arrivals++;
  siglongjmp(landing, 1);
}

static void arrive_often(void (*handler)(int)) {
  enum { ARRIVALS = 20000 };
  uint8_t *memory = mapped(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
  EXPECT(signal(SIGALRM, handler) == SIG_DFL);
  arrivals = 0;
  (void)sigsetjmp(landing, 1);
  setitimer(ITIMER_REAL, &often, NULL);
  while (arrivals < ARRIVALS) mprotect(memory, PAGE, PROT_READ);
  setitimer(ITIMER_REAL, &never, NULL);
  signal(SIGALRM, SIG_DFL);
  // Waits for all who look.
  EXPECT(munmap(map_sources(NULL, 14, 1, 0), PAIR) == 0);
  EXPECT(munmap(memory, PAGE) == 0);
}

static void interruptions(void) {
  arrive_often(reset_action);
  arrive_often(jump_back);
  catch_faults();
}

// MARK: - A child of vfork shares its parent's memory, but not what is done about signals.

static void children(void) {
  struct sigaction old;
  EXPECT(signal(SIGSEGV, leave) != SIG_ERR);
  pid_t child = vfork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    execl("/bin/true", "true", NULL);
    _exit(1);
  }
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  EXPECT(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == leave);
  EXPECT_WINDOW(window, 12);
  catch_faults();
}

// MARK: - Before there is a window, everything is as it is without the library.

static void before_any_window(void) {
  struct sigaction action = {.sa_handler = leave}, old;
  EXPECT(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
  EXPECT(sigaction(SIGSEGV, &action, NULL) == 0);
  struct {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
  } raw;
  EXPECT(syscall(SYS_rt_sigaction, SIGSEGV, NULL, &raw, sizeof raw.mask) == 0 && raw.handler == leave);
  EXPECT(signal(SIGSEGV, SIG_DFL) == leave);
  // Masks alone are looked at from the start: a window may come while they hold.
  EXPECT(sighold(SIGSEGV) == 0 && is_blocked(SIGSEGV) && (real_mask() & bit(SIGSEGV)) == 0);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  setvbuf(stdout, NULL, _IOLBF, 0);
  open_device(values[1]);
  before_any_window();
  window = map_sources(NULL, 12, 1, 0);
  EXPECT_OPEN();
  EXPECT(sigrelse(SIGSEGV) == 0);
  catch_faults();
  masks();
  old_masks();
  waits();
  cancellation();
  threads();
  actions();
  other_actions();
  interruptions();
  children();
  return conclude();
}
