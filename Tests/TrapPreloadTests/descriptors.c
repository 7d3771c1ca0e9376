// A program that closes everything it does not know: descriptors PATH
#include "rig.h"

#include <sys/wait.h>

enum { HIGHEST = 1024 };

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

// Those that are open beside the first three and the judge's: the library's.
static int find_ours(int *fds) {
  int count = 0;
  for (int fd = 3; fd < HIGHEST; fd++)
    if (fd != device && is_open(fd)) fds[count++] = fd;
  return count;
}

static void all_but_judge(void (*close_one)(int)) {
  for (int fd = 3; fd < HIGHEST; fd++)
    if (fd != device) close_one(fd);
}

static void close_one(int fd) { close(fd); }

// A number that is taken by nothing, and that of the library.
static void by_number(int ours) {
  errno = 0;
  EXPECT(close(ours) == -1 && errno == EBADF);
  errno = 0;
  EXPECT(close(HIGHEST - 1) == -1 && errno == EBADF);
  errno = 0;
  EXPECT(dup2(1, ours) == -1 && errno == EBADF);
  errno = 0;
  EXPECT(dup2(ours, 20) == -1 && errno == EBADF && !is_open(20));
  errno = 0;
  EXPECT(dup3(1, ours, O_CLOEXEC) == -1 && errno == EBADF);
  errno = 0;
  EXPECT(dup3(ours, 20, 0) == -1 && errno == EBADF && !is_open(20));
  // Others are closed and duplicated as ever.
  EXPECT(dup2(1, 20) == 20 && dup3(1, 21, O_CLOEXEC) == 21 && dup2(20, 20) == 20);
  EXPECT(is_open(20) && is_open(21) && close(20) == 0 && close(21) == 0 && !is_open(20) && !is_open(21));
  errno = 0;
  EXPECT(dup3(1, 1, 0) == -1 && errno == EINVAL);
}

static void expect_ranges(const int *ours, int count, uint8_t **windows) {
  for (int i = 0; i < count; i++) {
    EXPECT(is_open(ours[i]));
    EXPECT_WINDOW(windows[i], (uint32_t)i);
  }
}

// Some on each side of the library's.
static void open_around(int ours) {
  EXPECT(dup2(1, 10) == 10 && dup2(1, ours - 1) == ours - 1 && dup2(1, ours + 5) == ours + 5);
}

static bool none_around(int ours) { return !is_open(10) && !is_open(ours - 1) && !is_open(ours + 5); }

// The judge's stays: it is put where a range does not reach.
static void by_range(const int *ours, int count, uint8_t **windows) {
  int judge = device;
  device = fcntl(device, F_DUPFD_CLOEXEC, HIGHEST - 5);
  EXPECT(device >= HIGHEST - 5 && close(judge) == 0);
  open_around(ours[0]);
  EXPECT(close_range(3, (unsigned)device - 1, 0) == 0 && none_around(ours[0]));
  expect_ranges(ours, count, windows);
  open_around(ours[0]);
  EXPECT(close_range(3, (unsigned)device - 1, CLOSE_RANGE_CLOEXEC) == 0 && !none_around(ours[0]));
  EXPECT(fcntl(10, F_GETFD) == FD_CLOEXEC && fcntl(ours[0] + 5, F_GETFD) == FD_CLOEXEC);
  EXPECT(close_range(10, 10, 0) == 0 && close_range((unsigned)ours[0] - 1, (unsigned)ours[0], 0) == 0);
  EXPECT(close_range((unsigned)ours[0], (unsigned)ours[0] + 5, CLOSE_RANGE_UNSHARE) == 0 && none_around(ours[0]));
  expect_ranges(ours, count, windows);
  errno = 0;
  EXPECT(close_range(5, 4, 0) == -1 && errno == EINVAL);
  errno = 0;
  EXPECT(close_range(3, 4, 0x100) == -1 && errno == EINVAL);
}

// With nothing left to judge by: what is stored is seen through the window itself.
static void by_everything(const int *ours, int count, uint8_t **windows) {
  open_around(ours[0]);
  set_pq(0, XIVE_PQ_RESET);
  closefrom(3);
  EXPECT(none_around(ours[0]) && !is_open(device));
  for (int i = 0; i < count; i++) EXPECT(is_open(ours[i]));
  store(windows[0], 0, 0);
  EXPECT(load(windows[0] + PAGE, XIVE_ESB_GET) == XIVE_PQ_PENDING);
  open_around(ours[0]);
  EXPECT(close_range(0, ~0u, 0) == 0 && none_around(ours[0]) && !is_open(1));
}

// Nor does a child's program have them.
static void in_children(const int *ours) {
  EXPECT((fcntl(ours[0], F_GETFD) & FD_CLOEXEC) != 0);
  char command[64];
  snprintf(command, sizeof command, "test ! -e /proc/self/fd/%d", ours[0]);
  EXPECT(system(command) == 0);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  setvbuf(stdout, NULL, _IOLBF, 0);
  open_device(values[1]);
  catch_faults();
  // What the test's runner has left open.
  all_but_judge(close_one);
  uint8_t *windows[3], *others[3];
  for (int i = 0; i < 3; i++) {
    // Three open files, so three of the library's.
    int fd = open(device_path, O_RDWR | O_DIRECT);
    windows[i] = mapped(NULL, PAIR, PROT_READ | PROT_WRITE, MAP_SHARED, fd, xive_esb_offset((uint32_t)i, 0, PAGE));
    // And one for each, however many windows.
    others[i] = mapped(NULL, PAIR, PROT_READ, MAP_SHARED, fd, xive_esb_offset(40, 0, PAGE));
    EXPECT(close(fd) == 0);
  }
  int ours[HIGHEST];
  EXPECT(find_ours(ours) == 3);
  by_number(ours[0]);
  in_children(ours);
  all_but_judge(close_one);
  expect_ranges(ours, 3, windows);
  by_range(ours, 3, windows);
  // They go with the last window of each.
  EXPECT(munmap(windows[2], PAIR) == 0 && is_open(ours[2]));
  EXPECT(munmap(others[2], PAIR) == 0 && !is_open(ours[2]));
  int result = conclude();
  by_everything(ours, 2, windows);
  return failures == 0 ? result : 1;
}
