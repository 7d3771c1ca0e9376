#pragma once
/// What Swift's Glibc module leaves out (GNU and variadic calls) and what Swift cannot say (volatile).
/// A call that fails returns -errno.
#include <stddef.h>
#include <stdint.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
  CSYSTEM_READ_ONLY = 0,
  CSYSTEM_WRITE_ONLY = 1,
  CSYSTEM_READ_WRITE = 2,
  CSYSTEM_CREATE = 1 << 8,
  CSYSTEM_DIRECT = 1 << 9,
};

// Files
/// Waits until all dirty pages of a file have been written back.
int csystem_flush(int fd);
int csystem_open(const char *path, int flags, unsigned mode);
/// Creates a file of a name that ends in XXXXXX, which are replaced; for the owner alone. Returns a descriptor.
int csystem_make_temporary(char *name);
int csystem_duplicate(int fd);
int csystem_set_nonblocking(int fd);
/// Closes what a descriptor stands for and leaves its number to its owner, open on nothing.
int csystem_retire(int fd);
/// Reads a whole small file; the caller frees the bytes.
ssize_t csystem_read_file(const char *path, char **bytes);
ssize_t csystem_pread(int fd, void *bytes, size_t count, uint64_t offset);
ssize_t csystem_pwrite(int fd, const void *bytes, size_t count, uint64_t offset);
ssize_t csystem_writev(int fd, const struct iovec *parts, int count);
/// Writes all bytes to a pipe. A pipe that nobody reads any more is -EPIPE and raises no signal.
int csystem_write_pipe(int fd, const void *bytes, size_t count);
int csystem_ioctl(int fd, unsigned request, void *payload);
int64_t csystem_seek_data(int fd, uint64_t offset);
int64_t csystem_seek_hole(int fd, uint64_t offset);
/// Starts write-back of all dirty pages of a file and does not wait for it.
int csystem_start_writeback(int fd);
/// Drops the clean cached pages of a range.
int csystem_drop_cache(int fd, uint64_t offset, uint64_t length);
/// Waits for the end of a child process on a thread of its own, which nobody hears of.
void csystem_reap_later(int child);
/// Opens `path` read-only in a child process. Returns 0, -errno of the open, or -ETIMEDOUT.
int csystem_probe_open(const char *path, int milliseconds);
/// The halves of a file system's number.
static inline uint32_t csystem_device_major(uint64_t device) { return gnu_dev_major(device); }
static inline uint32_t csystem_device_minor(uint64_t device) { return gnu_dev_minor(device); }
int csystem_unmount_lazily(const char *path);
int csystem_unmount_forcibly(const char *path);

/// A pipe that children do not inherit by themselves: read end, write end.
int csystem_pipe(int ends[2]);

/// Connects to a stream socket in the file system.
int csystem_connect(const char *path);

// Memory
/// Loads one byte; where that raises SIGBUS, -EFAULT and no signal. One thread at a time does it; the program's own
/// handler is away meanwhile.
int csystem_touch(const void *address);
enum { CSYSTEM_SHARED = 1, CSYSTEM_WRITABLE = 2 };
int csystem_map(int fd, uint64_t offset, size_t length, int flags, void **address);
/// Maps a part of a file, shared, in place of whole pages that the caller has mapped (MAP_FIXED).
int csystem_map_over(int fd, uint64_t offset, size_t length, int flags, void *address);
/// Creates memory as a file without a name, which can be shared by its descriptor and never changes its size.
int csystem_sealed_memory(const char *name, uint64_t size);
ssize_t csystem_read_process(int pid, void *bytes, size_t count, uint64_t address);
ssize_t csystem_write_process(int pid, const void *bytes, size_t count, uint64_t address);

// Descriptors of other processes
/// Takes a copy of a descriptor that a thread has; `thread` is its number as this process sees it.
int csystem_take_descriptor(int thread, int fd);
/// Finds the number of the file system that a thread's descriptor leads to. Sends the file system nothing.
/// -EBADF when the descriptor is not open, another error when this process may not look.
int csystem_find_file_system(int thread, int fd, unsigned *major, unsigned *minor);
/// The seals of a file in memory; -EINVAL for all others, whose file system hears nothing of it.
int csystem_seals(int fd);
/// Whether a file lies in memory of huge pages from the pool (hugetlbfs): 1 or 0, or a negative error number.
int csystem_is_in_huge_pages(int fd);

// Threads
enum { CSYSTEM_THREAD_SLOTS = 64 };
/// A number that no other living thread of this process has, below CSYSTEM_THREAD_SLOTS; -1 when all are taken.
/// The same in each call; free again when the thread ends.
int csystem_thread_slot(void);
/// The calling thread's number, as gettid() gives it, without a system call after the first time.
uint32_t csystem_thread_id(void);
/// Looks up the process of a thread, and the thread's name. Neither allocates nor touches the process's memory.
/// -1 when there is no such thread.
int csystem_task(uint32_t thread, uint32_t *process, char name[16]);

// Waiting
int csystem_eventfd(void);
void csystem_signal_eventfd(int fd);
void csystem_clear_eventfd(int fd);
/// An eventfd that is 1 and hands out one at a time; taking it waits.
int csystem_baton(void);
void csystem_take_baton(int fd);
/// Waits for input on one or two descriptors (-1: none); bit 0 and 1 of the result tell which.
int csystem_wait_readable(int first, int second, int milliseconds);
int csystem_epoll(void);
/// Adds a descriptor for input, level-triggered.
int csystem_epoll_add(int epoll, int fd, uint64_t number);
int csystem_epoll_remove(int epoll, int fd);
/// Waits for input; the count and the numbers of descriptors that have some, no more than there is room for and than
/// 64, 0 after that time or a signal. Those that there was no room for come first the next time.
int csystem_epoll_wait(int epoll, int milliseconds, uint64_t *numbers, int room);

// Eventfds that another process has, too: nothing here waits for it, nor changes their flags, which it sees.
/// Whether a descriptor leads to an eventfd, 1 or 0. `thread` is 0 for this process's own descriptors, another's is only
/// looked at, by its name: nothing that anybody has is locked, and no file system is asked. -EBADF when the descriptor is
/// not open, another error when this process may not look.
int csystem_is_eventfd(int thread, int fd);
/// Which eventfd a descriptor leads to: 1 and its number, which no other has while it lives; 0 for anything else.
/// `thread` is 0 for this process's own descriptors, another's is only looked at. Sends no file system anything.
/// -EBADF when the descriptor is not open, another error when this process may not look.
int csystem_identify_eventfd(int thread, int fd, uint64_t *identity);
/// Takes what an eventfd counts, or one of it when it is a semaphore: 1 when there was something, else 0.
int csystem_take_eventfd(int fd);
/// What is needed to add to eventfds: a context for asynchronous requests, 0 for none, and a file for them.
struct csystem_raiser {
  unsigned long context;
  int source;
};
int csystem_open_raiser(struct csystem_raiser *raiser);
void csystem_close_raiser(const struct csystem_raiser *raiser);
/// Adds one to an eventfd, unless it is full; any thread.
void csystem_raise_eventfd(const struct csystem_raiser *raiser, int fd);
/// Lets this process have as many descriptors as it may allow itself.
int csystem_raise_descriptor_limit(void);
uint64_t csystem_monotonic_nanoseconds(void);
void csystem_sleep_nanoseconds(uint64_t nanoseconds);

// Threads and signals
/// The processors that this process may run on, at least 1.
int csystem_processor_count(void);
void csystem_name_thread(const char *name);
/// Blocks SIGINT and SIGTERM in this thread and those it starts later, and ignores SIGPIPE and SIGHUP.
void csystem_block_stop_signals(void);
/// Waits for SIGINT or SIGTERM, for input on `fd`, or for a change of the mounts that the open mount table
/// `mounts` lists. Returns the signal, 0 for the descriptor, -EAGAIN for the mounts.
int csystem_wait_stop_signal(int fd, int mounts);
/// A descriptor that becomes readable when the process that started this one ends.
int csystem_open_parent(void);
/// Sends a state line to systemd; 0 also when nobody asked for it.
int csystem_notify_service_manager(const char *state);

/// Copies this process with all its mappings; the copy has this thread alone and ends when it does. Returns
/// 0 in the copy, which must not allocate and ends by csystem_exit_copy().
int csystem_fork(void);
void csystem_exit_copy(int code) __attribute__((noreturn));

// A terminal's whole screen, once in a process
/// Takes it: keys come one by one and silently, Control-C as well. A signal that ends the process gives it back first; one
/// that tells of a change of size ends a wait. -ENOTTY where there is no terminal.
int csystem_enter_screen(int from, int to);
/// Gives it back as it was; does nothing the second time.
void csystem_leave_screen(void);
int csystem_screen_size(int fd, int *columns, int *rows);

// Watchdog: a child process that ends the connection of a mount whose server was killed and cannot end
// because one of its threads waits for an answer that nobody will give.
/// What is watched: the mount point, below PIPE_BUF so that it is written at once, and its device number.
struct csystem_watched {
  uint64_t device;
  char path[4000];
};
/// A child, the thread that started it, and the descriptors that reach both.
struct csystem_watchdog {
  uintptr_t thread;
  int child, control, alive;
};
int csystem_start_watchdog(struct csystem_watchdog *watchdog);
int csystem_arm_watchdog(const struct csystem_watchdog *watchdog, const char *path);
void csystem_end_watchdog(const struct csystem_watchdog *watchdog);

// Samples of what the kernel does for a thread (perf_event_open)
enum {
  CSYSTEM_PERF_SOFTWARE = 1,
  CSYSTEM_PERF_TRACEPOINT = 2,
  // Software events: every page fault when it begins; those that gave a page, when they are over.
  CSYSTEM_PERF_FAULTS = 2,
  CSYSTEM_PERF_MINOR = 5,
  CSYSTEM_PERF_MAJOR = 6,
  // Flags: with a tracepoint's own fields; also what is mapped and executed; not what happens in the kernel.
  CSYSTEM_PERF_RAW = 1,
  CSYSTEM_PERF_MAPPINGS = 2,
  CSYSTEM_PERF_USER_ONLY = 4,
};
/// Has the kernel sample every such event of a thread, and of those that it starts, on one processor, with times of
/// CLOCK_MONOTONIC. Returns a descriptor.
int csystem_perf_open(uint32_t type, uint64_t config, int flags, int thread, int processor);
/// The number that the event's samples carry.
int csystem_perf_identify(int fd, uint64_t *identity);
/// Has an event's samples go to the ring of another event of the same processor.
int csystem_perf_redirect(int fd, int owner);
/// Takes all bytes that are in a ring, and gives their place back; one thread at a time. There must be room for a
/// whole ring.
size_t csystem_perf_take(void *ring, void *bytes, size_t room);

// Errors of C callers
/// Keeps a line for this thread, replacing the one before; a control character becomes '?'.
void csystem_keep_message(const char *line);
/// The line that this thread keeps, or an empty one.
const char *csystem_kept_message(void);

// Register pages: a load or a store must happen exactly where and as often as it is written.
static inline uint64_t csystem_load64(const void *address) {
  return __builtin_bswap64(*(const volatile uint64_t *)address);
}
/// Loads like csystem_load64, and survives a page that is not there: returns 0, or SIGBUS and where.
/// Replaces the process's handler of that signal while it runs: one thread at a time.
int csystem_probe64(const void *address, uint64_t *value, const void **fault);
static inline void csystem_store64(void *address, uint64_t value) {
  *(volatile uint64_t *)address = __builtin_bswap64(value);
}

// Memory that others write without a lock: words in big-endian order.
/// Loads a word before anything that is loaded after it.
static inline uint32_t csystem_load32_acquire(const void *address) {
  return __builtin_bswap32(__atomic_load_n((const uint32_t *)address, __ATOMIC_ACQUIRE));
}
/// Stores a word after everything that was stored before it.
static inline void csystem_store32_release(void *address, uint32_t value) {
  __atomic_store_n((uint32_t *)address, __builtin_bswap32(value), __ATOMIC_RELEASE);
}
