#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

// Everything here runs in a forked child: async-signal-safe calls only, no allocation.

/// From the strongest: one thread that is dying tells more than those that have not noticed yet.
enum state { DYING, ALIVE, GONE };

/// Appends a decimal number; the caller has left room.
static char *append_number(char *at, unsigned number) {
  char digits[12];
  int count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  while (count > 0) *at++ = digits[--count];
  *at = 0;
  return at;
}

static char *append_text(char *at, const char *text) { return stpcpy(at, text); }

/// Reads what a thread is doing. A thread that will end as soon as it can has SIGKILL pending, whether
/// somebody killed the process or it exits by itself; in a crash it waits for the others to dump core.
static enum state thread_state(const char *tasks, const char *thread) {
  char path[96], text[2048];
  append_text(append_text(append_text(append_text(path, tasks), "/"), thread), "/status");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return GONE;
  ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  if (count <= 0) return GONE;
  text[count] = 0;
  const char *state = strstr(text, "\nState:\t"), *pending = strstr(text, "\nSigPnd:\t");
  if (state == NULL || pending == NULL) return ALIVE;
  if (state[8] == 'Z' || state[8] == 'X') return GONE;
  if (strstr(text, "\nCoreDumping:\t1") != NULL) return DYING;
  unsigned long long signals = strtoull(pending + 9, NULL, 16);
  return signals >> (SIGKILL - 1) & 1 ? DYING : ALIVE;
}

static enum state process_state(unsigned process) {
  char tasks[48];
  append_text(append_number(append_text(tasks, "/proc/"), process), "/task");
  int fd = open(tasks, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return GONE;
  struct entry { uint64_t inode; int64_t next; unsigned short length; unsigned char type; char name[]; };
  _Alignas(8) char buffer[4096];
  enum state strongest = GONE;
  for (long count; strongest != DYING && (count = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0;) {
    for (long at = 0; at < count;) {
      const struct entry *entry = (const struct entry *)(buffer + at);
      at += entry->length;
      if (entry->name[0] == '.') continue;
      enum state state = thread_state(tasks, entry->name);
      if (state < strongest) strongest = state;
    }
  }
  close(fd);
  return strongest;
}

/// Ends the connection of the mount on `path`, if it still is the one that we watch.
static void abort_connection(const char *path, uint64_t device) {
  struct statx info;
  // Without asking the server: it cannot answer.
  if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &info) != 0) return;
  if (makedev(info.stx_dev_major, info.stx_dev_minor) == device) umount2(path, MNT_FORCE);
}

static _Noreturn void watch(unsigned server, int control, const sigset_t *deaths) {
  struct csystem_watched mount;
  size_t got = 0;
  while (got < sizeof mount) {
    ssize_t count = read(control, (char *)&mount + got, sizeof mount - got);
    if (count == 0 || (count < 0 && errno != EINTR)) _exit(0);
    if (count > 0) got += (size_t)count;
  }
  for (;;) {
    // Woken by the end of the thread that started us, and now and then: a crash may end no thread at all.
    const struct timespec second = {1, 0};
    (void)sigtimedwait(deaths, NULL, &second);
    // Threads that are just exiting look alive, and others die a moment later than the first.
    enum state state = process_state(server);
    for (int look = 0; look < 50 && state == DYING; look++) {
      csystem_sleep_nanoseconds(5000000);
      state = process_state(server);
    }
    if (state == GONE) _exit(0);
    if (state == DYING) {
      abort_connection(mount.path, mount.device);
      _exit(0);
    }
  }
}

/// What the thread that starts the child gives and takes.
struct starter {
  int control[2], alive[2];
  pid_t server, child;
  int error;
  sigset_t deaths;
};

static void start_child(struct starter *start) {
  start->child = fork();
  start->error = errno;
  if (start->child != 0) return;
  dup2(start->control[0], 0);
  close_range(1, ~0u, 0);
  // The terminal's signals are the server's to handle; it ends us.
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGQUIT, SIG_IGN);
  prctl(PR_SET_NAME, "watchdog");
  prctl(PR_SET_PDEATHSIG, SIGUSR1);
  if (getppid() != start->server) _exit(0);
  watch((unsigned)start->server, 0, &start->deaths);
}

/// The kernel tells a child of the death of the thread that started it. So that is a thread which does
/// nothing else: any other may be the very one that waits in the kernel for ever.
static void *start_and_stay(void *argument) {
  struct starter *start = argument;
  int alive = start->alive[0], started = start->alive[1];
  start_child(start);
  char byte = 0;
  // From here on `start` is gone.
  (void)!write(started, &byte, 1);
  while (read(alive, &byte, 1) < 0 && errno == EINTR) {}
  close(alive);
  close(started);
  return NULL;
}

static void close_pipes(int (*pipes)[2], int count) {
  for (int i = 0; i < count; i++) {
    close(pipes[i][0]);
    close(pipes[i][1]);
  }
}

int csystem_start_watchdog(struct csystem_watchdog *watchdog) {
  struct starter start = {.server = getpid()};
  int pipes[3][2];
  for (int i = 0; i < 3; i++) {
    if (pipe2(pipes[i], O_CLOEXEC) == 0) continue;
    int error = errno;
    close_pipes(pipes, i);
    return -error;
  }
  int *to_thread = pipes[0], *from_thread = pipes[1];
  memcpy(start.control, pipes[2], sizeof start.control);
  start.alive[0] = to_thread[0];
  start.alive[1] = from_thread[1];
  sigemptyset(&start.deaths);
  sigaddset(&start.deaths, SIGUSR1);
  // The thread takes no signals, and the child cannot miss the one it waits for.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int error = pthread_create(&thread, NULL, start_and_stay, &start);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) {
    close_pipes(pipes, 3);
    return -error;
  }
  char byte;
  while (read(from_thread[0], &byte, 1) < 0 && errno == EINTR) {}
  close(from_thread[0]);
  close(start.control[0]);
  watchdog->thread = (uintptr_t)thread;
  watchdog->child = start.child;
  watchdog->control = start.control[1];
  watchdog->alive = to_thread[1];
  if (start.child > 0) return 0;
  csystem_end_watchdog(watchdog);
  return -start.error;
}

int csystem_arm_watchdog(const struct csystem_watchdog *watchdog, const char *path) {
  struct csystem_watched mount = {0};
  struct statx info;
  if (strlen(path) >= sizeof mount.path) return -ENAMETOOLONG;
  if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &info) != 0) return -errno;
  strcpy(mount.path, path);
  mount.device = makedev(info.stx_dev_major, info.stx_dev_minor);
  ssize_t written = write(watchdog->control, &mount, sizeof mount);
  return written == sizeof mount ? 0 : -EIO;
}

void csystem_end_watchdog(const struct csystem_watchdog *watchdog) {
  if (watchdog->child > 0) {
    kill(watchdog->child, SIGKILL);
    while (waitpid(watchdog->child, NULL, 0) < 0 && errno == EINTR) {}
  }
  close(watchdog->alive);
  close(watchdog->control);
  pthread_join((pthread_t)watchdog->thread, NULL);
}
