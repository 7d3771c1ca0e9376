// Eventfds that another process has, too: it may set their flags, fill and empty them at any time, so that no call here
// may rely on what the call before it has seen.
#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int csystem_is_eventfd(int thread, int fd) {
  char name[64], target[64];
  if (thread > 0) snprintf(name, sizeof name, "/proc/%d/fd", thread);
  else snprintf(name, sizeof name, "/proc/thread-self/fd");
  // First, so that a thread that cannot be seen is told from a descriptor that is not open.
  int folder = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -errno;
  snprintf(name, sizeof name, "%d", fd);
  ssize_t count = readlinkat(folder, name, target, sizeof target);
  int error = errno;
  close(folder);
  if (count < 0) return error == ENOENT ? -EBADF : -error;
  // No file can be called that: other names begin with a slash.
  static const char eventfd[] = "anon_inode:[eventfd]";
  return count == sizeof eventfd - 1 && memcmp(target, eventfd, sizeof eventfd - 1) == 0;
}

int csystem_identify_eventfd(int thread, int fd, uint64_t *identity) {
  char name[64], text[4096];
  // Other kinds take a lock to tell of themselves, an epoll for one, and their owner may hold it for ever.
  int is_eventfd = csystem_is_eventfd(thread, fd);
  if (is_eventfd != 1) return is_eventfd;
  if (thread > 0) snprintf(name, sizeof name, "/proc/%d/fdinfo", thread);
  else snprintf(name, sizeof name, "/proc/thread-self/fdinfo");
  size_t length = strlen(name);
  snprintf(name + length, sizeof name - length, "/%d", fd);
  int file = open(name, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? -EBADF : -errno;
  // An eventfd's has a few lines; of one that goes on, what is read says no more than what is not.
  ssize_t count = read(file, text, sizeof text - 1);
  int error = errno;
  close(file);
  // The descriptor was closed in between.
  if (count < 0) return error == ENOENT ? -EBADF : -error;
  text[count] = 0;
  static const char field[] = "\neventfd-id:";
  const char *line = strstr(text, field);
  return line != NULL && sscanf(line + sizeof field - 1, "%" SCNu64, identity) == 1;
}

int csystem_take_eventfd(int fd) {
  uint64_t count;
  struct iovec part = {&count, sizeof count};
  ssize_t got;
  do got = preadv2(fd, &part, 1, -1, RWF_NOWAIT);
  while (got < 0 && errno == EINTR);
  if (got >= 0) return got == sizeof count;
  if (errno != EOPNOTSUPP && errno != ENOSYS) return 0;
  // Before Linux 5.8. Whoever empties a blocking eventfd in between has this thread wait for the next raise.
  struct pollfd set = {.fd = fd, .events = POLLIN};
  return poll(&set, 1, 0) == 1 && set.revents & POLLIN && read(fd, &count, sizeof count) == sizeof count;
}

int csystem_open_raiser(struct csystem_raiser *raiser) {
  *raiser = (struct csystem_raiser){.source = open("/dev/null", O_RDONLY | O_CLOEXEC)};
  if (raiser->source < 0) return -errno;
  aio_context_t context = 0;
  // The kernel gives more, a share for each processor. Without any, raising does the next best thing.
  if (syscall(SYS_io_setup, 64, &context) == 0) raiser->context = context;
  return 0;
}

void csystem_close_raiser(const struct csystem_raiser *raiser) {
  if (raiser->context != 0) syscall(SYS_io_destroy, (aio_context_t)raiser->context);
  close(raiser->source);
}

// Has the kernel add one, as the end of a read of nothing does: it never waits for room. 1 when done.
static int raise_in_kernel(const struct csystem_raiser *raiser, int fd) {
  char byte;
  struct iocb read_of_nothing = {
    .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)raiser->source,
    .aio_buf = (uintptr_t)&byte, .aio_nbytes = sizeof byte,
    .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (uint32_t)fd};
  struct iocb *requests[] = {&read_of_nothing};
  if (syscall(SYS_io_submit, (aio_context_t)raiser->context, 1, requests) != 1) return 0;
  // It has ended, and each thread takes as many ends from the list as it adds: there is always room.
  struct io_event end;
  struct timespec now = {0};
  syscall(SYS_io_getevents, (aio_context_t)raiser->context, 0, 1, &end, &now);
  return 1;
}

void csystem_raise_eventfd(const struct csystem_raiser *raiser, int fd) {
  struct pollfd set = {.fd = fd, .events = POLLOUT};
  if (poll(&set, 1, 0) != 1 || !(set.revents & POLLOUT)) return;
  if (raiser->context != 0 && raise_in_kernel(raiser, fd)) return;
  uint64_t one = 1;
  (void)!write(fd, &one, sizeof one);
}

int csystem_raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}
