#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RESULT(call) ({ __auto_type r_ = (call); r_ < 0 ? -errno : r_; })

int csystem_open(const char *path, int flags, unsigned mode) {
  int real = (flags & 3) | O_CLOEXEC;
  if (flags & CSYSTEM_CREATE) real |= O_CREAT;
  if (flags & CSYSTEM_DIRECT) real |= O_DIRECT;
  return RESULT(open(path, real, mode));
}

int csystem_retire(int fd) {
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0) return -errno;
  int result = RESULT(dup3(nothing, fd, O_CLOEXEC));
  close(nothing);
  return result;
}

int csystem_duplicate(int fd) { return RESULT(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

int csystem_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 ? -errno : RESULT(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

ssize_t csystem_read_file(const char *path, char **bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  size_t size = 0, room = 0;
  char *text = NULL;
  ssize_t got = 0;
  do {
    size += (size_t)got;
    if (room - size < 4096) {
      char *larger = realloc(text, room += 65536);
      if (larger == NULL) break;
      text = larger;
    }
    got = read(fd, text + size, room - size);
  } while (got > 0);
  close(fd);
  *bytes = text;
  return (ssize_t)size;
}

ssize_t csystem_pread(int fd, void *bytes, size_t count, uint64_t offset) {
  return RESULT(pread(fd, bytes, count, (off_t)offset));
}

ssize_t csystem_pwrite(int fd, const void *bytes, size_t count, uint64_t offset) {
  return RESULT(pwrite(fd, bytes, count, (off_t)offset));
}

ssize_t csystem_writev(int fd, const struct iovec *parts, int count) {
  return RESULT(writev(fd, parts, count));
}

int csystem_write_pipe(int fd, const void *bytes, size_t count) {
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  int result = 0;
  for (size_t done = 0; done < count && result == 0;) {
    ssize_t written = write(fd, (const char *)bytes + done, count - done);
    if (written >= 0) done += (size_t)written;
    else if (errno != EINTR) result = -errno;
  }
  // SIGPIPE goes to the thread that wrote, so that it is taken here and nobody else's is.
  const struct timespec now = {0};
  if (result == -EPIPE && !sigismember(&before, SIGPIPE)) sigtimedwait(&pipe_signal, NULL, &now);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return result;
}

int csystem_ioctl(int fd, unsigned request, void *payload) {
  return RESULT(ioctl(fd, request, payload));
}

int64_t csystem_seek_data(int fd, uint64_t offset) {
  return RESULT(lseek(fd, (off_t)offset, SEEK_DATA));
}

int64_t csystem_seek_hole(int fd, uint64_t offset) {
  return RESULT(lseek(fd, (off_t)offset, SEEK_HOLE));
}

int csystem_flush(int fd) { return RESULT(fsync(fd)); }

int csystem_start_writeback(int fd) {
  return RESULT(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
}

int csystem_drop_cache(int fd, uint64_t offset, uint64_t length) {
  return -posix_fadvise(fd, (off_t)offset, (off_t)length, POSIX_FADV_DONTNEED);
}

int csystem_probe_open(const char *path, int milliseconds) {
  // A server that does not answer would hold whoever opens its file for ever: let a child find out.
  pid_t child = fork();
  if (child < 0) return -errno;
  if (child == 0) {
    // It may never end: it must hold nothing that others wait for.
    close_range(0, ~0u, 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    _exit(fd < 0 ? errno : 0);
  }
  for (int waited = 0;; waited++) {
    int status;
    pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended < 0 && errno != EINTR) return -errno;
    if (ended == child) return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
    if (waited >= milliseconds) {
      kill(child, SIGKILL);
      csystem_reap_later(child);
      return -ETIMEDOUT;
    }
    csystem_sleep_nanoseconds(1000000);
  }
}

int csystem_unmount_lazily(const char *path) { return RESULT(umount2(path, MNT_DETACH)); }

int csystem_unmount_forcibly(const char *path) { return RESULT(umount2(path, MNT_FORCE)); }

int csystem_pipe(int ends[2]) { return RESULT(pipe2(ends, O_CLOEXEC)); }

int csystem_map(int fd, uint64_t offset, size_t length, int flags, void **address) {
  int protection = PROT_READ | (flags & CSYSTEM_WRITABLE ? PROT_WRITE : 0);
  int sharing = (flags & CSYSTEM_SHARED ? MAP_SHARED : MAP_PRIVATE) | (fd < 0 ? MAP_ANONYMOUS : 0);
  void *mapped = mmap(NULL, length, protection, sharing, fd, (off_t)offset);
  if (mapped == MAP_FAILED) return -errno;
  *address = mapped;
  return 0;
}

int csystem_map_over(int fd, uint64_t offset, size_t length, int flags, void *address) {
  int protection = PROT_READ | (flags & CSYSTEM_WRITABLE ? PROT_WRITE : 0);
  void *mapped = mmap(address, length, protection, MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
  return mapped == MAP_FAILED ? -errno : 0;
}

ssize_t csystem_read_process(int pid, void *bytes, size_t count, uint64_t address) {
  struct iovec local = {bytes, count}, remote = {(void *)(uintptr_t)address, count};
  return RESULT(process_vm_readv(pid, &local, 1, &remote, 1, 0));
}

ssize_t csystem_write_process(int pid, const void *bytes, size_t count, uint64_t address) {
  struct iovec local = {(void *)bytes, count}, remote = {(void *)(uintptr_t)address, count};
  return RESULT(process_vm_writev(pid, &local, 1, &remote, 1, 0));
}

int csystem_eventfd(void) { return RESULT(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

void csystem_signal_eventfd(int fd) {
  uint64_t one = 1;
  // It fails only when the counter is full, and then the waiter is awake anyway.
  (void)!write(fd, &one, sizeof one);
}

void csystem_clear_eventfd(int fd) {
  uint64_t count;
  (void)!read(fd, &count, sizeof count);
}

int csystem_baton(void) { return RESULT(eventfd(1, EFD_CLOEXEC | EFD_SEMAPHORE)); }

void csystem_take_baton(int fd) {
  uint64_t one;
  while (read(fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

int csystem_wait_readable(int first, int second, int milliseconds) {
  struct pollfd set[2] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
  int ready = poll(set, 2, milliseconds);
  if (ready < 0) return errno == EINTR ? 0 : -errno;
  return (set[0].revents ? 1 : 0) | (set[1].revents ? 2 : 0);
}

int csystem_epoll(void) { return RESULT(epoll_create1(EPOLL_CLOEXEC)); }

int csystem_epoll_add(int epoll, int fd, uint64_t number) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};
  return RESULT(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

int csystem_epoll_remove(int epoll, int fd) {
  return RESULT(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
}

int csystem_epoll_wait(int epoll, int milliseconds, uint64_t *numbers, int room) {
  struct epoll_event events[64];
  int most = sizeof events / sizeof *events;
  int ready = epoll_wait(epoll, events, room < most ? room : most, milliseconds);
  if (ready < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < ready; i++) numbers[i] = events[i].data.u64;
  return ready;
}

uint64_t csystem_monotonic_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void csystem_sleep_nanoseconds(uint64_t nanoseconds) {
  struct timespec time = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
  while (nanosleep(&time, &time) < 0 && errno == EINTR) {}
}

int csystem_processor_count(void) {
  cpu_set_t set;
  // It fails on a machine with more processors than a set has room for.
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : CPU_SETSIZE;
}

void csystem_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

static sigjmp_buf probe_return;
static const void *volatile probe_fault;

static void probe_failed(int number, siginfo_t *info, void *context) {
  (void)context;
  probe_fault = info->si_addr;
  siglongjmp(probe_return, number);
}

int csystem_probe64(const void *address, uint64_t *value, const void **fault) {
  struct sigaction ours = {.sa_sigaction = probe_failed, .sa_flags = SA_SIGINFO};
  struct sigaction bus;
  sigemptyset(&ours.sa_mask);
  sigaction(SIGBUS, &ours, &bus);
  int number = sigsetjmp(probe_return, 1);
  if (number == 0) *value = csystem_load64(address);
  sigaction(SIGBUS, &bus, NULL);
  *fault = probe_fault;
  return number;
}

static void stop_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
}

void csystem_block_stop_signals(void) {
  sigset_t set;
  stop_signals(&set);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  // A runtime's crash handler would wait for all threads, and one of them may wait in the kernel for us.
  const int crashes[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGTRAP};
  for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) signal(crashes[i], SIG_DFL);
}

int csystem_wait_stop_signal(int fd, int mounts) {
  sigset_t set;
  stop_signals(&set);
  int signals = signalfd(-1, &set, SFD_CLOEXEC);
  if (signals < 0) return -errno;
  struct pollfd polled[3] = {
    {.fd = signals, .events = POLLIN}, {.fd = fd, .events = POLLIN}, {.fd = mounts, .events = POLLPRI}};
  int result = 0;
  int ready;
  do ready = poll(polled, 3, -1);
  while (ready < 0 && errno == EINTR);
  struct signalfd_siginfo info;
  if (ready < 0) result = -errno;
  else if (polled[0].revents && read(signals, &info, sizeof info) == sizeof info) result = (int)info.ssi_signo;
  else if (!polled[1].revents) result = -EAGAIN;
  close(signals);
  return result;
}

int csystem_open_parent(void) { return RESULT((int)syscall(SYS_pidfd_open, getppid(), 0)); }

// Room for the longest path and the words around it.
static _Thread_local char kept_message[4096 + 512];

void csystem_keep_message(const char *line) {
  size_t length = strnlen(line, sizeof kept_message - 1);
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)line[i];
    kept_message[i] = byte < 0x20 || byte == 0x7f ? '?' : line[i];
  }
  kept_message[length] = 0;
}

const char *csystem_kept_message(void) { return kept_message; }

int csystem_notify_service_manager(const char *state) {
  const char *path = getenv("NOTIFY_SOCKET");
  if (path == NULL || *path == 0) return 0;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = 0;  // an abstract name
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
  int result = sent < 0 ? -errno : 0;
  close(fd);
  return result;
}
