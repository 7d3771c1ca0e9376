// Descriptors of other processes: copied, or only looked at.
#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Linux include/uapi/linux/pidfd.h, since 6.9: a descriptor of one thread rather than of a process.
enum { pidfd_thread = O_EXCL };

// The number of the process that a thread belongs to.
static int thread_group(int thread) {
  char path[64], *text = NULL;
  snprintf(path, sizeof path, "/proc/%d/status", thread);
  ssize_t count = csystem_read_file(path, &text);
  if (count < 0) return (int)count;
  // A thread's name cannot contain the end of a line, so that this is the field.
  static const char field[] = "\nTgid:";
  const char *line = memmem(text, (size_t)count, field, sizeof field - 1);
  int group = line ? atoi(line + sizeof field - 1) : -ESRCH;
  free(text);
  return group;
}

static int open_thread(int thread) {
  int opened = (int)syscall(SYS_pidfd_open, thread, pidfd_thread);
  if (opened >= 0 || errno != EINVAL) return opened < 0 ? -errno : opened;
  int group = thread_group(thread);
  if (group < 0) return group;
  opened = (int)syscall(SYS_pidfd_open, group, 0);
  return opened < 0 ? -errno : opened;
}

int csystem_take_descriptor(int thread, int fd) {
  int opened = open_thread(thread);
  if (opened < 0) return opened == -EBADF ? -ESRCH : opened;
  int taken = (int)syscall(SYS_pidfd_getfd, opened, fd, 0);
  if (taken < 0) taken = -errno;
  close(opened);
  return taken;
}

int csystem_find_file_system(int thread, int fd, unsigned *major_number, unsigned *minor_number) {
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/fd", thread);
  // First, so that a thread that cannot be seen is told from a descriptor that is not open.
  int folder = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -errno;
  snprintf(name, sizeof name, "%d", fd);
  int file = openat(folder, name, O_PATH | O_CLOEXEC);
  int result = file >= 0 ? 0 : errno == ENOENT ? -EBADF : -errno;
  close(folder);
  if (file < 0) return result;
  struct statx status;
  // No field is asked for, and none may be fetched: what remains is what the kernel knows.
  result = statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &status) < 0 ? -errno : 0;
  close(file);
  *major_number = status.stx_dev_major;
  *minor_number = status.stx_dev_minor;
  return result;
}

int csystem_seals(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  return seals < 0 ? -errno : seals;
}

int csystem_is_in_huge_pages(int fd) {
  struct statfs status;
  if (fstatfs(fd, &status) < 0) return -errno;
  return status.f_type == HUGETLBFS_MAGIC;
}
