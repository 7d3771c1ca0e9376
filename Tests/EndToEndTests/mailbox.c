// Accesses by a mailbox against a device that `xive serve` serves: mailbox COMMAND DEVICE SERVER-PID.
// Together with the client's half, whose state it looks into. Says on standard output what is wrong; exit code 0 or 1.
#include "../../Sources/CTrap/mailbox.c"

#include <linux/kvm.h>
#include <pthread.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum { page_size = 4096, quiet_source = 40, rounds = 5000 };

static const char *device_path;
static pid_t server;
static bool needs_mail = true;  // else what nobody takes is done by a system call

#define fail(...) (printf(__VA_ARGS__), putchar('\n'), exit(1))
#define expect(condition, ...) ((condition) ? (void)0 : fail(__VA_ARGS__))

static int open_device(int flags) {
  int fd = open(device_path, flags | O_DIRECT | O_CLOEXEC);
  if (fd < 0) fail("%s: %s", device_path, strerror(errno));
  return fd;
}

static struct trap_path *open_path(int fd) {
  struct trap_path *path = trap_path_open(fd);
  if (!path) fail("no mailbox for descriptor %d", fd);
  return path;
}

static uint64_t management(uint32_t lisn) { return xive_esb_offset(lisn, XIVE_MANAGEMENT, page_size); }
static uint64_t trigger(uint32_t lisn) { return xive_esb_offset(lisn, XIVE_TRIGGER, page_size); }

// One access by a system call: bytes or -errno.
static long by_call(int fd, bool is_store, uint64_t offset, void *bytes, size_t size) {
  long moved = is_store ? pwrite(fd, bytes, size, (off_t)offset) : pread(fd, bytes, size, (off_t)offset);
  return moved < 0 ? -errno : moved;
}

// Has the server be awake: it looks for more after each request, unless it has lost its patience.
static void wake(int fd) {
  uint64_t value;
  long moved = by_call(fd, false, management(quiet_source) + XIVE_ESB_GET, &value, sizeof value);
  expect(moved == 8 || moved == -EBADF, "the server does not answer: %ld", moved);
}

static int waker = -1;
static _Atomic uint64_t mailed;

// One access by the mailbox, however often it takes to find the server awake.
static long by_mail(struct trap_path *path, bool is_store, uint64_t offset, void *bytes, size_t size) {
  long result;
  uint64_t deadline = now() + 60000000000u;
  while (!trap_path_access(path, is_store, offset, bytes, size, &result)) {
    if (!needs_mail) return by_call(path->fd, is_store, offset, bytes, size);
    if (now() > deadline) fail("the mailbox does not take 0x%llx, %zu bytes", (unsigned long long)offset, size);
    wake(waker);
    path->left_out = 0;
  }
  mailed++;
  return result;
}

// On two processors of their own the server finds the next access while it looks for it.
static void part(void) {
  cpu_set_t all, ours, theirs;
  if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) < 2) return;
  CPU_ZERO(&ours);
  CPU_ZERO(&theirs);
  for (int cpu = 0, found = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, found++ == 0 ? &ours : &theirs);
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/task", server);
  DIR *tasks = opendir(name);
  if (!tasks) return;
  for (struct dirent *task; (task = readdir(tasks));)
    if (atoi(task->d_name) > 0) sched_setaffinity(atoi(task->d_name), sizeof theirs, &theirs);
  closedir(tasks);
  sched_setaffinity(0, sizeof ours, &ours);
}

// MARK: - The same as a system call

// Whether a byte is the vCPU's own number, 0 of one and 1 of the other, the lowest byte of word 2 of the OS ring.
static bool is_number(uint64_t offset, size_t size, int index, uint8_t one, uint8_t other) {
  bool is_tima = offset < xive_kernel_tima_offset(XIVE_VIEWS, page_size);
  if (!is_tima || index >= (int)size || one != 0 || other != 1) return false;
  uint64_t place = offset % page_size;
  return place + (uint64_t)index == XIVE_TIMA_OS_WORD2 + 3 || (place == XIVE_TIMA_PULL_OS && index == 3);
}

// Performs one access on each of two places that are alike, by either way, and compares.
static void compare(
  struct trap_path *path, int fd, bool is_store, uint64_t mailed_at, uint64_t called_at, size_t size
) {
  uint8_t one[16], other[16];
  for (int i = 0; i < 16; i++) one[i] = other[i] = (uint8_t)(called_at * 7 + i * 0x11 + size);
  long a = by_mail(path, is_store, mailed_at, one, size);
  long b = by_call(fd, is_store, called_at, other, size);
  expect(a == b, "%s of %zu at 0x%llx: %ld by mail, %ld by call", is_store ? "store" : "load", size,
         (unsigned long long)mailed_at, a, b);
  for (int i = 0; i < 16; i++)
    expect(one[i] == other[i] || is_number(mailed_at, size, i, one[i], other[i]),
           "load of %zu at 0x%llx: byte %d: %02x, %02x", size, (unsigned long long)mailed_at, i, one[i], other[i]);
}

static void connect_vcpu(int fd, uint32_t number) {
  struct kvm_enable_cap request = {.cap = KVM_CAP_PPC_IRQ_XIVE, .args = {(uint64_t)fd, number}};
  if (ioctl(fd, KVM_ENABLE_CAP, &request) != 0) fail("vCPU %u: %s", number, strerror(errno));
}

// All operations of a source's two pages, in an order that goes through all states; between them refused sizes.
static void compare_sources(int flags) {
  int fd = open_device(flags);
  struct trap_path *path = open_path(fd);
  static const uint32_t places[] = {0x000, 0x3f8, 0x400, 0x7f8, 0x800, 0xbf8, 0xc00, 0xd00, 0xe00, 0xf00, 0xff8};
  for (unsigned i = 0; i < 4 * sizeof places / sizeof *places; i++) {
    uint32_t place = places[i * 7 % (sizeof places / sizeof *places)];
    for (int is_store = 0; is_store < 2; is_store++) {
      compare(path, fd, is_store, management(16) + place, management(17) + place, 8);
      compare(path, fd, is_store, trigger(16) + place, trigger(17) + place, 8);
      compare(path, fd, is_store, management(16) + place + i % 8, management(17) + place + i % 8, 1u << i % 4);
    }
  }
  trap_path_close(path);
  close(fd);
}

// What has no state: offsets of every region, holes and sizes of all kinds.
static void compare_places(void) {
  int fd = open_device(O_RDWR);
  struct trap_path *path = open_path(fd);
  static const uint64_t regions[] = {
    0, 1, 2, 3, 4, 15, 16, 17, 18, 0x40f, 0x410, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x3fff00};
  static const uint64_t places[] = {0x800, 0x4800, 0x22800, 0x51800, 0x10000000800, 0xfffffffff800};
  for (size_t r = 0; r < sizeof regions / sizeof *regions; r++)
    for (size_t p = 0; p < sizeof places / sizeof *places; p++)
      for (uint64_t shift = 0; shift < 9; shift += 1 + shift / 2)
        for (size_t size = 1; size <= 8; size++) {
          uint64_t offset = (regions[r] << XIVE_REGION_SHIFT) + places[p] + shift;
          compare(path, fd, false, offset, offset, size);
          if (regions[r] != 0x1000) compare(path, fd, true, offset, offset, size);
        }
  // The last register of the file, and beyond: the kernel's to answer.
  compare(path, fd, false, XIVE_DEVICE_SIZE - 8, XIVE_DEVICE_SIZE - 8, 8);
  long result;
  uint8_t bytes[16];
  static const uint64_t beyond[] = {XIVE_DEVICE_SIZE - 7, XIVE_DEVICE_SIZE, 2 * XIVE_DEVICE_SIZE, XIVE_ALL_ONES};
  path->page->awake = 1;
  for (int i = 0; i < 4; i++) {
    path->left_out = 0;
    expect(!trap_path_access(path, false, beyond[i], bytes, 8, &result), "taken beyond the end");
    for (unsigned slot = 0; slot < XIVE_MAILBOX_SLOTS; slot++)
      expect(path->page->slots[slot].offset != beyond[i], "posted beyond the end");
  }
  expect(!trap_path_access(path, false, 0x800, bytes, 16, &result), "taken: 16 bytes");
  expect(!trap_path_access(NULL, false, 0x800, bytes, 8, &result), "taken: nowhere");
  trap_path_close(NULL);
}

// Two vCPUs that are alike: each descriptor acts on its own.
static void compare_tima(void) {
  int one = open_device(O_RDWR), other = open_device(O_RDWR);
  struct trap_path *path = open_path(one);
  connect_vcpu(one, 0);
  connect_vcpu(other, 1);
  static const size_t sizes[] = {8, 1, 4, 2, 3};
  for (uint64_t view = 0; view < XIVE_VIEWS; view++)
    for (uint64_t place = 0; place < 0x840; place = place == 0x40 ? 0x800 : place + 1)
      for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int is_store = 0; is_store < 2; is_store++) {
          uint64_t offset = xive_kernel_tima_offset((uint32_t)view, page_size) + place;
          compare(path, other, is_store, offset, offset, sizes[s]);
        }
}

static void test_equal(void) {
  static const int modes[] = {O_RDWR, O_RDONLY, O_WRONLY};
  for (int i = 0; i < 3; i++) compare_sources(modes[i]);
  compare_places();
  compare_tima();
  expect(!needs_mail || mailed > 1000, "only %llu by mail", (unsigned long long)mailed);
}

static void test_vcpus(void) {
  int fd[2] = {open_device(O_RDWR), open_device(O_RDWR)};
  struct trap_path *path[2] = {open_path(fd[0]), open_path(fd[1])};
  uint64_t offset = xive_kernel_tima_offset(XIVE_VIEW_OS, page_size) + XIVE_TIMA_OS_CPPR;
  for (uint32_t i = 0; i < 2; i++) connect_vcpu(fd[i], 2 + i);
  for (uint8_t round = 0; round < 8; round++) {
    for (uint8_t i = 0; i < 2; i++) {
      uint8_t priority = round ^ (uint8_t)(i * 5);
      expect(by_mail(path[i], true, offset, &priority, 1) == 1, "CPPR is not stored");
    }
    for (uint8_t i = 0; i < 2; i++) {
      uint8_t shown, own;
      uint64_t window = xive_tima_offset(2u + i, XIVE_VIEW_OS, page_size) + XIVE_TIMA_OS_CPPR;
      expect(by_call(fd[0], false, window, &shown, 1) == 1 && by_mail(path[i], false, offset, &own, 1) == 1, "no load");
      uint8_t priority = round ^ (uint8_t)(i * 5);
      expect(shown == priority && own == priority, "vCPU %d: CPPR %d, %d by mail, not %d", i, shown, own, priority);
    }
  }
}

// MARK: - Threads

struct task {
  pthread_t thread;
  struct trap_path *path;
  uint32_t lisn;
  unsigned mailed;
};

// Sets PQ, each time finding what was set before; whichever way each access takes.
static void *set_pq(void *argument) {
  struct task *task = argument;
  uint64_t before = XIVE_PQ_OFF;
  uint64_t random = task->lisn;
  for (int i = 0; i < rounds; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint64_t pq = random >> 62, found;
    uint64_t offset = management(task->lisn) + XIVE_ESB_SET_PQ_00 + pq * XIVE_ESB_SET_PQ_STEP;
    long result;
    if (trap_path_access(task->path, false, offset, &found, 8, &result)) task->mailed++;
    else result = by_call(task->path->fd, false, offset, &found, 8);
    expect(result == 8, "LISN %u: %ld", task->lisn, result);
    found = xive_be64_to_host(found);
    expect(found == before, "LISN %u: PQ %llu, not %llu", task->lisn, (unsigned long long)found,
           (unsigned long long)before);
    before = pq;
  }
  return NULL;
}

static void test_threads(void) {
  // More than there are slots.
  enum { count = 40 };
  static struct task tasks[count];
  struct trap_path *path = open_path(open_device(O_RDWR));
  unsigned sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    tasks[i] = (struct task){.path = path, .lisn = i};
    if (i == quiet_source) fail("the quiet source is in use");
    pthread_create(&tasks[i].thread, NULL, set_pq, &tasks[i]);
  }
  for (int i = 0; i < count; i++) pthread_join(tasks[i].thread, NULL), sum += tasks[i].mailed;
  for (int i = 0; i < (int)XIVE_MAILBOX_SLOTS; i++)
    expect(path->page->slots[i].state == XIVE_SLOT_FREE, "slot %d is lost", i);
  printf("%u of %d by mail\n", sum, count * rounds);
}

// MARK: - Processes

static int wait_for(pid_t child) {
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void check_quiet(int fd, struct trap_path *path) {
  uint64_t value, offset = management(quiet_source) + XIVE_ESB_GET;
  long result = path ? by_mail(path, false, offset, &value, 8) : by_call(fd, false, offset, &value, 8);
  expect(result == 8 && xive_be64_to_host(value) == XIVE_PQ_OFF, "PQ: %ld, %llx", result, (unsigned long long)value);
}

static void test_fork(const char *program) {
  int fd = open_device(O_RDWR);
  struct trap_path *path = open_path(fd);
  check_quiet(fd, path);
  pid_t child = fork();
  if (child == 0) {
    long result;
    uint64_t value;
    for (int i = 0; i < 1000; i++) {
      wake(fd);
      expect(!trap_path_access(path, false, management(quiet_source), &value, 8, &result), "the child has a mailbox");
    }
    trap_path_close(path);
    // One of its own, of the same open file.
    path = open_path(fd);
    check_quiet(fd, path);
    trap_path_close(path);
    exit(0);
  }
  for (int i = 0; i < 100; i++) check_quiet(fd, path);
  expect(wait_for(child) == 0, "the child has failed");
  check_quiet(fd, path);
  // A child of vfork() shares the memory, and may use it.
  child = vfork();
  if (child == 0) {
    long result;
    uint64_t value = 0;
    for (int i = 0; i < 100000; i++) {
      if (trap_path_access(path, false, management(quiet_source) + XIVE_ESB_GET, &value, 8, &result))
        _exit(result == 8 ? 0 : 1);
      wake(fd);
      path->left_out = 0;
    }
    _exit(2);
  }
  expect(wait_for(child) == 0, "the child of vfork() has failed");
  // After exec() nothing of it is left; the open file may be.
  char number[16], id[16];
  snprintf(number, sizeof number, "%d", dup(fd));
  snprintf(id, sizeof id, "%d", server);
  child = fork();
  if (child == 0) {
    execl(program, program, "executed", device_path, id, number, NULL);
    _exit(127);
  }
  expect(wait_for(child) == 0, "the executed child has failed");
  check_quiet(fd, path);
}

static void test_executed(const char *number) {
  int fd = atoi(number);
  check_quiet(fd, open_path(fd));
}

// MARK: - A client that does what it likes

static void *scribble(void *argument) {
  _Atomic uint64_t *words = argument;
  uint64_t random = (uint64_t)pthread_self();
  for (;;) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint64_t word = random >> 55, value = random * random;
    // Otherwise hardly anything would be an access, and it would be left at once.
    if (word % 8 == 0) value = XIVE_SLOT_POSTED;
    else if (word % 8 == 1) value = management((uint32_t)value % 64) + (value >> 32) % 4096;
    else if (word % 8 == 3) value = 8 << 8 | (value & 1);
    if (word == 1) value |= UINT32_MAX, value &= ~XIVE_MAILBOX_LEFT;
    words[word] = value;
  }
  return NULL;
}

static void be_hostile(void) {
  int fd = open_device(O_RDONLY), memory;
  struct page *page = make_page(&memory);
  struct xive_mailbox request = {.version = XIVE_MAILBOX_VERSION, .fd = memory};
  expect(page && ioctl(fd, XIVE_MAILBOX, &request) == 0, "no mailbox: %s", strerror(errno));
  pthread_t thread;
  pthread_create(&thread, NULL, scribble, page);
  uint64_t end = now() + 5000000000u;
  // It wakes the server, too; and takes its memory away under it.
  while (now() < end) {
    wake(fd);
    fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, XIVE_MAILBOX_SIZE);
  }
  exit(0);
}

static void test_hostile(void) {
  pid_t children[2];
  for (int i = 0; i < 2; i++)
    if ((children[i] = fork()) == 0) be_hostile();
  int fd = open_device(O_RDWR);
  struct trap_path *path = open_path(fd);
  struct task task = {.path = path, .lisn = 20};
  set_pq(&task);
  for (int i = 0; i < 100; i++) check_quiet(fd, path);
  for (int i = 0; i < 2; i++) expect(wait_for(children[i]) == 0, "a hostile child has failed");
  // A descriptor that is not writable has changed nothing.
  for (uint32_t lisn = 0; lisn < 64; lisn++) {
    uint64_t pq;
    by_call(fd, false, management(lisn) + XIVE_ESB_GET, &pq, 8);
    expect(lisn == 20 || xive_be64_to_host(pq) == XIVE_PQ_OFF, "LISN %u: PQ %llx", lisn, (unsigned long long)pq);
  }
  check_quiet(fd, path);
}

// MARK: - Ends

// A server's half that takes an access and keeps it.
static void *take_and_keep(void *argument) {
  struct page *page = argument;
  for (;;)
    for (unsigned i = 0; i < XIVE_MAILBOX_SLOTS; i++) {
      uint32_t posted = XIVE_SLOT_POSTED;
      if (!atomic_compare_exchange_strong(&page->slots[i].state, &posted, XIVE_SLOT_TAKEN)) continue;
      usleep(300000);
      if (server > 0) {
        kill(server, SIGKILL);
        return NULL;
      }
      // Late, but done.
      page->slots[i].bytes[7] = 0x2a;
      page->slots[i].result = 8;
      atomic_store(&page->slots[i].state, XIVE_SLOT_DONE);
      return NULL;
    }
}

// With memory that the server does not have, so that nobody but take_and_keep() answers.
static long access_kept(struct trap_path *path, uint64_t *value) {
  pthread_t thread;
  struct page *page = calloc(1, sizeof *page);
  path->page = page;
  page->awake = 1;
  path->left_out = 0;
  // All the time that the other needs to take it, and to be stopped after that.
  path->most_looks = 20000000;
  pthread_create(&thread, NULL, take_and_keep, page);
  long result;
  expect(trap_path_access(path, false, 0x800, value, 8, &result), "not taken");
  pthread_join(thread, NULL);
  return result;
}

static void test_killed(void) {
  int fd = open_device(O_RDWR);
  struct trap_path *path = open_path(fd);
  struct page *page = path->page;
  pid_t killed = server;
  uint64_t value = 0;
  server = 0;
  long result = access_kept(path, &value);
  expect(result == 8 && xive_be64_to_host(value) == 0x2a, "late answer: %ld, %llx", result, (unsigned long long)value);
  // Stopped: it says that it is awake, and takes nothing.
  kill(killed, SIGSTOP);
  usleep(100000);
  path->page = page;
  path->most_looks = count_looks();
  page->awake = 1;
  for (int i = 0; i < 1000; i++)
    expect(!trap_path_access(path, false, 0x800, &value, 8, &result), "a stopped server has answered");
  for (unsigned i = 0; i < XIVE_MAILBOX_SLOTS; i++)
    expect(page->slots[i].state == XIVE_SLOT_FREE, "slot %u is lost", i);
  kill(killed, SIGCONT);
  server = killed;
  result = access_kept(path, &value);
  expect(result == -ECONNABORTED, "taken by a server that was killed: %ld", result);
  result = by_call(fd, false, 0x800, &value, 8);
  expect(result == -ENOTCONN || result == -ECONNABORTED, "after its end: %ld", result);
  path->page = page;
  page->awake = 1;
  expect(!trap_path_access(path, false, 0x800, &value, 8, &result), "a dead server has answered");
  trap_path_close(path);
}

static _Atomic bool is_over_now;

static void *load_on(void *argument) {
  struct trap_path *path = argument;
  uint64_t value;
  long result;
  while (!is_over_now)
    if (trap_path_access(path, false, management(quiet_source) + XIVE_ESB_GET, &value, 8, &result))
      expect(result == 8 && xive_be64_to_host(value) == XIVE_PQ_OFF, "%ld, %llx", result, (unsigned long long)value);
  return NULL;
}

static void test_closed(void) {
  int other = open_device(O_RDWR);
  struct trap_path *other_path = open_path(other);
  for (int round = 0; round < 20; round++) {
    int fd = open_device(O_RDWR);
    struct trap_path *path = open_path(fd);
    check_quiet(fd, path);
    pthread_t threads[2];
    is_over_now = false;
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, load_on, path);
    for (int i = 0; i < 100; i++) check_quiet(other, other_path);
    close(fd);
    // The release is a request behind our back; ours come after it, sooner or later.
    uint64_t deadline = now() + 60000000000u;
    for (bool is_open = true; is_open;) {
      check_quiet(other, other_path);
      uint64_t value;
      long result;
      path->page->awake = 1;
      path->left_out = 0;
      is_open = trap_path_access(path, false, management(quiet_source) + XIVE_ESB_GET, &value, 8, &result);
      expect(now() < deadline, "accesses go on after the last close");
    }
    is_over_now = true;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    trap_path_close(path);
  }
}

static void expect_refused(int fd, struct xive_mailbox request, int error) {
  int result = ioctl(fd, XIVE_MAILBOX, &request);
  expect(result < 0 && errno == error, "version %u flags %u fd %d: %d, %s", request.version, request.flags, request.fd,
         result, strerror(errno));
}

static void test_refused(void) {
  int fd = open_device(O_RDWR), memory;
  make_page(&memory);
  expect_refused(fd, (struct xive_mailbox){.version = 0, .fd = memory}, EINVAL);
  expect_refused(fd, (struct xive_mailbox){.version = 2, .fd = memory}, EINVAL);
  expect_refused(fd, (struct xive_mailbox){.version = 1, .flags = 1, .fd = memory}, EINVAL);
  expect_refused(fd, (struct xive_mailbox){.version = 1, .zero = 1, .fd = memory}, EINVAL);
  expect_refused(fd, (struct xive_mailbox){.version = 1, .fd = -1}, EBADF);
  expect_refused(fd, (struct xive_mailbox){.version = 1, .fd = 999}, EBADF);
  expect_refused(fd, (struct xive_mailbox){.version = 1, .fd = fd}, EINVAL);
  expect_refused(fd, (struct xive_mailbox){.version = 1, .fd = eventfd(0, 0)}, EINVAL);
  int unsealed = memfd_create("unsealed", MFD_ALLOW_SEALING), small = memfd_create("small", MFD_ALLOW_SEALING);
  ftruncate(unsealed, XIVE_MAILBOX_SIZE);
  ftruncate(small, XIVE_MAILBOX_SIZE - 1);
  fcntl(small, F_ADD_SEALS, F_SEAL_SHRINK);
  expect_refused(fd, (struct xive_mailbox){.version = 1, .fd = unsealed}, EINVAL);
  expect_refused(fd, (struct xive_mailbox){.version = 1, .fd = small}, EINVAL);
  for (int round = 0; round < 3; round++) {
    struct trap_path *paths[XIVE_MAX_MAILBOXES + 1];
    int many = open_device(O_RDWR);
    for (unsigned i = 0; i < XIVE_MAX_MAILBOXES; i++) paths[i] = open_path(many);
    expect_refused(fd, (struct xive_mailbox){.version = 1, .fd = memory}, ENOMEM);
    expect(trap_path_open(many) == NULL, "one more than there is room for");
    trap_path_close(paths[round]);
    paths[round] = open_path(many);
    check_quiet(many, paths[round]);
    check_quiet(many, paths[XIVE_MAX_MAILBOXES - 1]);
    expect(trap_path_open(fd) == NULL, "room for two where one was left");
    for (unsigned i = 0; i < XIVE_MAX_MAILBOXES && round == 1; i++) trap_path_close(paths[i]);
    close(many);
    // The release comes a moment later.
    struct trap_path *path = NULL;
    for (int i = 0; i < 60000 && (path = trap_path_open(fd)) == NULL; i++) usleep(1000);
    expect(path != NULL, "no room after the last close");
    trap_path_close(path);
  }
  int pipes[2];
  if (pipe(pipes) != 0) fail("no pipe");
  int files[] = {open("/dev/null", O_RDWR), memory, pipes[0], -1};
  for (int i = 0; i < 4; i++) expect(trap_path_open(files[i]) == NULL, "file %d has a mailbox", i);
}

// MARK: - With pages in the cache

// A store to a mapping comes before the exact access that follows it.
static void test_mapped(void) {
  int fd = open_device(O_RDWR);
  struct trap_path *path = open_path(fd);
  for (uint32_t lisn = 0; lisn < 30; lisn++) {
    uint64_t found;
    check_quiet(fd, path);
    volatile uint64_t *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)management(lisn));
    expect(page != MAP_FAILED, "no mapping: %s", strerror(errno));
    for (uint64_t round = 0; round < 20; round++) {
      uint64_t pq = (lisn + round) % 4;
      volatile uint64_t *slot = &page[(XIVE_ESB_SET_PQ_00 + pq * XIVE_ESB_SET_PQ_STEP) / 8];
      *slot = round + 1;
      wake(waker);
      long result;
      uint64_t offset = management(lisn) + XIVE_ESB_GET;
      if (!trap_path_access(path, false, offset, &found, 8, &result)) result = by_call(fd, false, offset, &found, 8);
      expect(result == 8 && xive_be64_to_host(found) == pq, "LISN %u: PQ %llx, not %llu", lisn,
             (unsigned long long)xive_be64_to_host(found), (unsigned long long)pq);
      // Put back by the server: until then the next image would show this store as well.
      for (uint64_t deadline = now() + 60000000000u; *slot != XIVE_ALL_ONES;)
        expect(now() < deadline, "LISN %u: a store is not put back", lisn);
    }
    munmap((void *)page, page_size);
  }
}

// MARK: - Traces

// Finds the record of a load at an offset.
static struct xive_trace_record find_record(int fd, uint64_t offset) {
  static struct xive_trace_record records[64];
  static uint64_t next;
  for (uint64_t deadline = now() + 60000000000u; now() < deadline;) {
    long moved = by_call(fd, false, xive_trace_offset(next), records, sizeof records);
    expect(moved == sizeof records, "records: %ld", moved);
    for (int i = 0; i < 64 && records[i].kind != XIVE_TRACE_NOTHING; i++) {
      next = records[i].sequence + (records[i].kind == XIVE_TRACE_GAP ? records[i].value : 1);
      if (records[i].kind == XIVE_TRACE_LOAD && records[i].offset == offset) return records[i];
    }
  }
  fail("no record of a load at 0x%llx", (unsigned long long)offset);
}

static int trace_fd;
static struct trap_path *traced_path;

static void *load_traced(void *argument) {
  // Each its own place, where PQ reads the same.
  uint64_t value, offset = management(quiet_source) + XIVE_ESB_GET + 8 * (uintptr_t)argument;
  check_quiet(0, traced_path);
  expect(by_mail(traced_path, false, offset, &value, 8) == 8, "no load");
  struct xive_trace_record record = find_record(trace_fd, offset);
  expect(record.tid == (uint32_t)gettid() && record.pid == (uint32_t)getpid(), "%u of %u, not %d of %d", record.tid,
         record.pid, gettid(), getpid());
  expect(record.result == XIVE_TRACE_OK && record.value == XIVE_PQ_OFF && record.number == quiet_source
           && record.log2_size == 3, "result %u value %llx", record.result, (unsigned long long)record.value);
  return NULL;
}

static void test_traced(void) {
  uint8_t record[XIVE_TRACE_SIZE];
  trace_fd = open_device(O_RDONLY);
  by_call(trace_fd, false, xive_trace_offset(0), record, sizeof record);
  traced_path = open_path(open_device(O_RDWR));
  load_traced((void *)1);
  for (uintptr_t i = 2; i < 5; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, load_traced, (void *)i);
    pthread_join(thread, NULL);
  }
  // Under another's name nothing is performed.
  thread_id = 1;
  uint64_t value;
  long result;
  for (int i = 0; i < 2000; i++) {
    wake(waker);
    traced_path->left_out = 0;
    expect(!trap_path_access(traced_path, false, management(quiet_source) + XIVE_ESB_GET, &value, 8, &result),
           "performed under another's name");
  }
}

int main(int count, char **arguments) {
  if (count < 4) return 64;
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char *command = arguments[1];
  device_path = arguments[2];
  server = atoi(arguments[3]);
  needs_mail = strcmp(command, "confined") != 0;
  waker = open_device(O_RDONLY);
  if (needs_mail) part();
  if (strcmp(command, "equal") == 0 || !needs_mail) test_equal();
  else if (strcmp(command, "vcpus") == 0) test_vcpus();
  else if (strcmp(command, "threads") == 0) test_threads();
  else if (strcmp(command, "fork") == 0) test_fork(arguments[0]);
  else if (strcmp(command, "executed") == 0) test_executed(arguments[4]);
  else if (strcmp(command, "hostile") == 0) test_hostile();
  else if (strcmp(command, "killed") == 0) test_killed();
  else if (strcmp(command, "closed") == 0) test_closed();
  else if (strcmp(command, "refused") == 0) test_refused();
  else if (strcmp(command, "mapped") == 0) test_mapped();
  else if (strcmp(command, "traced") == 0) test_traced();
  else return 64;
  return 0;
}
