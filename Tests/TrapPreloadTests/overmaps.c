// Windows that change while other threads touch them, at the system's limit of mappings, and in children:
// overmaps PATH
#include "rig.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

extern char **environ;

enum { ROUNDS = 60, TOUCHERS = 2 };

// MARK: - A slow kernel: whoever changes mappings stands still for a moment behind each call, so that what is not there
// yet, or not any more, is touched for certain. By a tracer of this thread alone.

static void stand_still(pid_t thread) {
  struct __ptrace_syscall_info info = {0};
  static uint64_t number;
  ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof info, &info);
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) number = info.entry.nr;
  else if (number == SYS_mmap || number == SYS_mremap) usleep(500);
}

__attribute__((noreturn)) static void trace(pid_t thread, int ready) {
  int status;
  if (ptrace(PTRACE_SEIZE, thread, NULL, (void *)PTRACE_O_TRACESYSGOOD) != 0) _exit(1);
  if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) != 0 || write(ready, "", 1) != 1) _exit(1);
  while (waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status)) {
    int signal = WSTOPSIG(status);
    bool is_call = signal == (SIGTRAP | 0x80), is_event = status >> 16 != 0;
    if (is_call) stand_still(thread);
    ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(uintptr_t)(is_call || is_event ? 0 : signal));
  }
  _exit(0);
}

static pid_t slow_down(void) {
  int ends[2];
  char byte;
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  EXPECT(pipe(ends) == 0);
  pid_t tracer = fork(), thread = getpid();
  if (tracer == 0) trace(getppid(), ends[1]);
  close(ends[1]);
  EXPECT(thread == gettid() && read(ends[0], &byte, 1) == 1);
  close(ends[0]);
  return tracer;
}

static void speed_up(pid_t tracer) { EXPECT(kill(tracer, SIGKILL) == 0 && waitpid(tracer, NULL, 0) == tracer); }

// MARK: - Others touch it meanwhile: they find what was there or what is there, never a hole and never a page's image.

static uint8_t *_Atomic place;
static _Atomic uint64_t allowed[2];
static _Atomic bool is_over;
static _Atomic uint64_t touched;

static void *keep_touching(void *argument) {
  uint64_t *seen = argument;
  while (!is_over) {
    uint64_t value = load(place + PAGE, XIVE_ESB_GET);
    if (value == allowed[0]) seen[0]++;
    else if (value == allowed[1]) seen[1]++;
    else {
      printf("a touch found %#llx\n", (unsigned long long)value);
      seen[2]++;
    }
    touched++;
  }
  return NULL;
}

// Does two things in turn to `place` while threads load from its second page.
static void under_fire(const char *name, void (*one)(void), void (*other)(void), uint64_t first, uint64_t second) {
  uint64_t seen[TOUCHERS][3] = {0};
  pthread_t threads[TOUCHERS];
  allowed[0] = first;
  allowed[1] = second;
  is_over = false;
  one();
  for (int i = 0; i < TOUCHERS; i++) pthread_create(&threads[i], NULL, keep_touching, seen[i]);
  for (int i = 0; i < ROUNDS; i++) {
    // Some touches of each.
    uint64_t before = touched;
    (i % 2 == 0 ? other : one)();
    while (touched < before + 2) sched_yield();
  }
  is_over = true;
  for (int i = 0; i < TOUCHERS; i++) pthread_join(threads[i], NULL);
  uint64_t firsts = seen[0][0] + seen[1][0], seconds = seen[0][1] + seen[1][1];
  if (firsts > 0 && (seconds > 0 || first == second) && seen[0][2] + seen[1][2] == 0) return;
  printf("%s: %llu of the one, %llu of the other\n", name, (unsigned long long)firsts, (unsigned long long)seconds);
  failures++;
}

static void show_off(void) { map_sources(place, 6, 1, MAP_FIXED); }
static void show_pending(void) { map_sources(place, 7, 1, MAP_FIXED); }

static void show_memory(void) {
  mapped(place, PAIR, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

// To a known place from elsewhere, by mremap.
static void move_pending(void) {
  uint8_t *from = map_sources(NULL, 7, 1, 0);
  EXPECT(mremap(from, PAIR, PAIR, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
}

static void move_memory(void) {
  uint8_t *from = mapped(NULL, PAIR, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(mremap(from, PAIR, PAIR, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
}

// A window of two pages with a third one before it: mapped over partly, so that it is a mixture.
static void show_with_neighbour(void) {
  mapped(place - PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  mapped(place - PAGE, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, device,
         xive_esb_offset(7, XIVE_TRIGGER, PAGE) - PAGE);
}

// Refused, for it is over a part of itself: nobody may see what it would have been.
static void move_over_itself(void) {
  int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
  EXPECT(mremap(place - PAIR, 2 * PAIR, 2 * PAIR, flags, place) == MAP_FAILED && errno == EINVAL);
}

static void overmaps(void) {
  set_pq(5, XIVE_PQ_QUEUED);
  set_pq(6, XIVE_PQ_OFF);
  set_pq(7, XIVE_PQ_PENDING);
  place = map_sources(NULL, 5, 2, 0) + PAIR;
  pid_t tracer = slow_down();
  under_fire("a move that is refused", move_over_itself, move_over_itself, XIVE_PQ_OFF, XIVE_PQ_OFF);
  under_fire("window over window", show_off, show_pending, XIVE_PQ_OFF, XIVE_PQ_PENDING);
  under_fire("window over memory", show_memory, show_pending, 0, XIVE_PQ_PENDING);
  under_fire("window moved over memory", show_memory, move_pending, 0, XIVE_PQ_PENDING);
  under_fire("memory moved over window", show_off, move_memory, XIVE_PQ_OFF, 0);
  under_fire("window over window and memory", show_off, show_with_neighbour, XIVE_PQ_OFF, XIVE_PQ_PENDING);
  speed_up(tracer);
  EXPECT(munmap(place - PAIR, 2 * PAIR) == 0);
}

// MARK: - The limit: where the kernel refuses, everything is as it was.

static long limit(void) {
  FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
  long count = -1;
  if (file == NULL || fscanf(file, "%ld", &count) != 1) EXPECT(false);
  if (file != NULL) fclose(file);
  return count;
}

// As many mappings as there may be: every other page of a large one has other rights.
static uint8_t *use_all(size_t length) {
  uint8_t *all = (uint8_t *)syscall(SYS_mmap, NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (size_t at = PAGE; at < length; at += 2 * PAGE)
    if (syscall(SYS_mprotect, all + at, PAGE, PROT_READ) != 0) break;
  return all;
}

static void at_the_limit(void) {
  long count = limit();
  if (count > 1 << 20) return;
  uint8_t *window = map_sources(NULL, 10, 8, 0);
  uint8_t *memory = mapped(NULL, 4 * PAIR, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  size_t length = (size_t)(count + 100) * PAGE;
  uint8_t *all = use_all(length);
  EXPECT(munmap(window + 2 * PAIR, PAIR) == -1 && errno == ENOMEM);
  EXPECT(mremap(window + 2 * PAIR, PAIR, PAIR, MREMAP_MAYMOVE | MREMAP_FIXED, memory + PAIR) == MAP_FAILED
         && errno == ENOMEM);
  EXPECT(mmap(memory + 2 * PAIR, PAIR, PROT_READ, MAP_SHARED | MAP_FIXED, device, 0) == MAP_FAILED && errno == ENOMEM);
  EXPECT(mmap(window + 2 * PAIR, PAIR, PROT_READ, MAP_SHARED | MAP_FIXED, device, 0) == MAP_FAILED && errno == ENOMEM);
  EXPECT(mmap(window + 2 * PAIR, PAIR, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
           == MAP_FAILED
         && errno == ENOMEM);
  EXPECT(syscall(SYS_munmap, all, length) == 0);
  EXPECT_WINDOWS(window, 10, 8);
  for (int i = 0; i < 4; i++) EXPECT_MEMORY(memory + i * PAIR);
  close_memory(memory, 4 * PAIR);
  for (int i = 0; i < 8; i++) EXPECT_CLOSED(memory + i * PAGE, false);
  EXPECT(munmap(window, 8 * PAIR) == 0 && munmap(memory, 4 * PAIR) == 0);
}

// Fills what is free above, until the next page that the kernel places would come to lie in [start, end).
static void fill_up_to(const uint8_t *start, const uint8_t *end) {
  for (int i = 0; i < 100000; i++) {
    uint8_t *page = (uint8_t *)syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page < start || page >= end) continue;
    EXPECT(syscall(SYS_munmap, page, PAGE) == 0);
    return;
  }
  EXPECT(false);
}

// What the first window of a process brings along does not lie in a hole of the program's either.
static void first_window(void) {
  uint8_t *place = mapped(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(munmap(place + 32 * PAGE, 16 * PAGE) == 0);
  fill_up_to(place, place + 64 * PAGE);
  map_sources(place, 2, 1, MAP_FIXED);
  EXPECT(munmap(place + 32 * PAGE, 16 * PAGE) == 0);
  EXPECT_WINDOW(place, 2);
  EXPECT(munmap(place, 64 * PAGE) == 0);
}

// A hole between windows may be anybody's: nothing of the library may lie there when the whole is unmapped.
static void holes(void) {
  uint8_t *window = map_sources(NULL, 0, 32, 0);
  uint8_t *other = map_sources(NULL, 40, 2, 0);
  for (int i = 1; i < 32; i += 2) EXPECT(munmap(window + i * PAIR, PAIR) == 0);
  // What each change gives back above is filled again: all there is would lie in the holes in the end.
  for (int i = 0; i < 8; i++) {
    fill_up_to(window, window + 32 * PAIR);
    EXPECT(mprotect(window, PAIR, i % 2 == 0 ? PROT_READ : PROT_READ | PROT_WRITE) == 0);
  }
  EXPECT(munmap(window, 32 * PAIR) == 0);
  EXPECT_WINDOWS(other, 40, 2);
  EXPECT(munmap(other, 2 * PAIR) == 0);
}

// MARK: - Children

static int ended(pid_t child) {
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void children(void) {
  uint8_t *window = map_sources(NULL, 20, 4, 0);
  pid_t child = fork();
  if (child == 0) {
    failures = 0;
    EXPECT_WINDOWS(window, 20, 4);
    EXPECT(munmap(window, PAIR) == 0);
    EXPECT_GONE(window);
    EXPECT_WINDOWS(map_sources(NULL, 30, 2, 0), 30, 2);
    fflush(stdout);
    _exit(failures == 0 ? 7 : 8);
  }
  EXPECT(ended(child) == 7);
  // The child's is its own.
  EXPECT_WINDOWS(window, 20, 4);
  char *arguments[] = {"/bin/sh", "-c", "exit 3", NULL};
  EXPECT(posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ) == 0 && ended(child) == 3);
  child = vfork();
  if (child == 0) {
    execv(arguments[0], arguments);
    _exit(1);
  }
  EXPECT(ended(child) == 3);
  EXPECT(system("exit 5") == 5 << 8);
  EXPECT_WINDOWS(window, 20, 4);
  EXPECT(munmap(window, 4 * PAIR) == 0);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  setvbuf(stdout, NULL, _IOLBF, 0);
  open_device(values[1]);
  catch_faults();
  first_window();
  holes();
  at_the_limit();
  children();
  overmaps();
  return conclude();
}
