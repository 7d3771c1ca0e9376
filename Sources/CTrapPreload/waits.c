// Calls that wait with another mask. They are points of cancellation, as the C library's are.
#include "preload.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>

// MARK: - Waiting

static long cancellable(long number, long a, long b, long c, long d, long e, long f) {
  int type;
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
  long result = trap_system(number, a, b, c, d, e, f);
  pthread_setcanceltype(type, &type);
  return with_errno(result);
}

PUBLIC int sigsuspend(const sigset_t *set) {
  uint64_t mask = open_mask(set);
  return (int)cancellable(SYS_rt_sigsuspend, (long)&mask, sizeof mask, 0, 0, 0, 0);
}

// The kernel writes the time that is left into what it is given.
static struct timespec *copied(const struct timespec *timeout, struct timespec *copy) {
  if (timeout == NULL) return NULL;
  *copy = *timeout;
  return copy;
}

PUBLIC int ppoll(struct pollfd *polls, nfds_t count, const struct timespec *timeout, const sigset_t *set) {
  uint64_t mask = set != NULL ? open_mask(set) : 0;
  struct timespec copy;
  return (int)cancellable(SYS_ppoll, (long)polls, (long)count, (long)copied(timeout, &copy),
                          set != NULL ? (long)&mask : 0, sizeof mask, 0);
}

__attribute__((noreturn)) void __chk_fail(void);

// What ppoll is where the compiler knows how large the array is.
PUBLIC int __ppoll_chk(
  struct pollfd *polls, nfds_t count, const struct timespec *timeout, const sigset_t *set, size_t size
) {
  if (size / sizeof *polls < count) __chk_fail();
  return ppoll(polls, count, timeout, set);
}

PUBLIC int pselect(
  int count, fd_set *reads, fd_set *writes, fd_set *exceptions, const struct timespec *timeout, const sigset_t *set
) {
  uint64_t mask = set != NULL ? open_mask(set) : 0;
  const struct {
    const uint64_t *mask;
    size_t size;
  } sized = {set != NULL ? &mask : NULL, sizeof mask};
  struct timespec copy;
  return (int)cancellable(SYS_pselect6, count, (long)reads, (long)writes, (long)exceptions,
                          (long)copied(timeout, &copy), (long)&sized);
}

PUBLIC int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *set) {
  uint64_t mask = set != NULL ? open_mask(set) : 0;
  return (int)cancellable(SYS_epoll_pwait, fd, (long)events, count, timeout, set != NULL ? (long)&mask : 0,
                          sizeof mask);
}

PUBLIC int epoll_pwait2(
  int fd, struct epoll_event *events, int count, const struct timespec *timeout, const sigset_t *set
) {
  uint64_t mask = set != NULL ? open_mask(set) : 0;
  return (int)cancellable(SYS_epoll_pwait2, fd, (long)events, count, (long)timeout, set != NULL ? (long)&mask : 0,
                          sizeof mask);
}

// MARK: - sigpause, of which there are two: with one signal open, and with a mask of 31.

static int pause_without(int number) {
  sigset_t set;
  if (sigprocmask(SIG_BLOCK, NULL, &set) != 0 || sigdelset(&set, number) != 0) return -1;
  return sigsuspend(&set);
}

static int pause_with(int mask) {
  sigset_t set;
  sigemptyset(&set);
  memcpy(&set, &mask, sizeof mask);
  return sigsuspend(&set);
}

PUBLIC int __sigpause(int number_or_mask, int is_number) {
  return is_number != 0 ? pause_without(number_or_mask) : pause_with(number_or_mask);
}

// The name that the header gives X/Open's is another one.
PUBLIC int pause_xpg(int number) __asm__("__xpg_sigpause");
PUBLIC int pause_xpg(int number) { return pause_without(number); }
PUBLIC int pause_bsd(int mask) __asm__("sigpause");
PUBLIC int pause_bsd(int mask) { return pause_with(mask); }
