// The descriptors that windows are served through are not the program's: to it they are not there.
#include "preload.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

// The C library's own, which have other names as well; the first is a point of cancellation.
int __close(int fd);
int __dup2(int old, int new);

static bool is_ours(int fd) { return windows_may_be() && trap_device_owns(fd); }

static int refuse(void) { return (int)with_errno(-EBADF); }

PUBLIC int close(int fd) { return is_ours(fd) ? refuse() : __close(fd); }

PUBLIC int dup2(int old, int new) { return is_ours(old) || is_ours(new) ? refuse() : __dup2(old, new); }

PUBLIC int dup3(int old, int new, int flags) {
  return is_ours(old) || is_ours(new) ? refuse() : (int)with_errno(trap_system(SYS_dup3, old, new, flags, 0, 0, 0));
}

static long close_part(unsigned first, unsigned last, int flags) {
  return trap_system(SYS_close_range, first, last, flags, 0, 0, 0);
}

// With the lock held, so that no new one of ours comes meanwhile: what lies between ours.
static long close_around(unsigned first, unsigned last, int flags) {
  for (;;) {
    int next = first <= INT_MAX ? trap_device_next((int)first) : -1;
    if (next < 0 || (unsigned)next > last) return close_part(first, last, flags);
    long result = (unsigned)next > first ? close_part(first, (unsigned)next - 1, flags) : 0;
    if (result != 0 || (unsigned)next == last) return result;
    first = (unsigned)next + 1;
  }
}

PUBLIC int close_range(unsigned first, unsigned last, int flags) {
  if (!windows_may_be() || first > last) return (int)with_errno(close_part(first, last, flags));
  uint64_t before;
  trap_lock(&before);
  long result = close_around(first, last, flags);
  trap_unlock(before);
  return (int)with_errno(result);
}

PUBLIC void closefrom(int first) {
  unsigned lowest = first < 0 ? 0 : (unsigned)first;
  if (close_range(lowest, UINT_MAX, 0) == 0) return;
  // Before Linux 5.9.
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  for (unsigned fd = lowest; fd < limit.rlim_cur && fd <= INT_MAX; fd++) close((int)fd);
}
