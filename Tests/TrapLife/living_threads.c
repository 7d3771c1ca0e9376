// Threads that touch the same windows while others change what is there, fork, or exit.
#include "living.h"

#include "internal.h"

#include <sched.h>

enum { THREADS = 16 };

static _Atomic bool is_over;
static _Atomic uint64_t touches;
static struct window shown, other;

// MARK: - On one page

static void *count_up(void *argument) {
  size_t own = (size_t)argument;
  for (uint64_t i = 1; i <= 5000; i++) {
    shown.words[own] = i;
    EXPECT_EQUAL(shown.words[own], i);
    EXPECT_EQUAL(shown.words[256 + i % 256], word_of(256 + i % 256));
  }
  return NULL;
}

static void one_page(void) {
  shown = window_make(1);
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, count_up, (void *)i) == 0);
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  EXPECT_EQUAL(ctrap_access_count(), THREADS * 5000 * 3);
}

// MARK: - While windows come, go and show other files

// Each page of a file says in its words which file and which page it is.
static struct window marked(uint64_t file) {
  struct window window = window_make(8);
  for (size_t i = 0; i < 8 * 512; i++) {
    uint64_t word = file << 48 | i / 512;
    NEED(pwrite(window.fd, &word, sizeof word, (off_t)(8 * i)) == sizeof word);
  }
  return window;
}

static void *load_either(void *argument) {
  size_t i = (size_t)argument;
  for (; !is_over; i = (i + 509) % (4 * 512), touches++) {
    uint64_t page = i / 512, value = shown.words[i];
    // What the base shows, or an overlay: the other file's page, four further on.
    bool is_either = value == (UINT64_C(1) << 48 | page) || value == (UINT64_C(2) << 48 | (page + 4));
    EXPECT(is_either);
    if (!is_either) break;
  }
  return NULL;
}

static void change_windows(void) {
  for (int round = 0; round < 100 || touches < 500; round++) {
    struct ctrap_piece piece = {.offset = 4 * PAGE_BYTES, .length = 4 * PAGE_BYTES};
    EXPECT_EQUAL(ctrap_show((void *)shown.words, other.device, PROT_READ, &piece, 1), 0);
    volatile uint64_t *more = window_map(other.device, 0, 2 * PAGE_BYTES);
    EXPECT_EQUAL(more[512], UINT64_C(2) << 48 | 1);
    piece.offset = 0;
    EXPECT_EQUAL(ctrap_show((void *)shown.words, shown.device, PROT_READ | PROT_WRITE, &piece, 1), 0);
    EXPECT_EQUAL(ctrap_unmap((void *)more, 2 * PAGE_BYTES), 0);
    if (round % 10 == 0) {
      pid_t child = fork();
      NEED(child >= 0);
      if (child == 0) _exit(shown.words[1] == UINT64_C(1) << 48 ? 0 : 1);
      int status = -1;
      NEED(waitpid(child, &status, 0) == child);
      EXPECT_EQUAL(status, 0);
    }
  }
}

static void changes(void) {
  shown = marked(1);
  other = marked(2);
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, load_either, (void *)(i * 64)) == 0);
  change_windows();
  is_over = true;
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

// MARK: - A window that is plain memory for a while

static char *own_page;
static _Thread_local sigjmp_buf back;

// Genuine faults are of one page only.
static void leave(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  if (info->si_addr == own_page) siglongjmp(back, 1);
  printf("a fault at %p, code %d\n", info->si_addr, info->si_code);
  fflush(stdout);
  _exit(1);
}

// A thread that has just had a fault of its own knows the table as it is, and must not take a change of it for none.
static void *load_either_kind(void *argument) {
  volatile size_t i = (size_t)argument;
  for (; !is_over; i = (i + 1) % 512, touches++) {
    if (i % 4 == 0 && sigsetjmp(back, 1) == 0) *(volatile char *)own_page = 1;
    uint64_t value = shown.words[i];
    EXPECT(value == word_of(i) || value == 0);
  }
  return NULL;
}

// As a program unmaps a window and has other memory there; what lies between the two is no fault, for there is always
// something at the address.
static void replaced(void) {
  handle(SIGSEGV, leave, SA_SIGINFO, 0);
  shown = window_make(1);
  own_page = forbidden_page();
  void *spot = (void *)shown.words;
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, load_either_kind, (void *)(i * 16)) == 0);
  for (int round = 0; round < 300 || touches < 1000; round++) {
    // Plain memory first, which a touch finds from then on; then the window is forgotten.
    uint64_t before;
    trap_lock(&before);
    void *plain = mmap(spot, PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (round % 8 == 0) sched_yield();
    EXPECT(plain == spot && trap_table_remove((uintptr_t)spot, (uintptr_t)spot + PAGE_BYTES) == 0);
    trap_unlock(before);
    trap_lock(&before);
    const struct trap_range range = {(uintptr_t)spot, (uintptr_t)spot + PAGE_BYTES, shown.device, 0, PROT_READ};
    plain = mmap(spot, PAGE_BYTES, PROT_NONE, MAP_SHARED | MAP_FIXED, shown.fd, 0);
    if (round % 8 == 0) sched_yield();
    EXPECT(plain == spot && trap_table_set(&range, 1) == 0);
    trap_unlock(before);
  }
  is_over = true;
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

// Lengths that come round to the window again: what lies behind it stays as it is.
static void too_long(void) {
  shown = window_make(3);
  char *memory = (char *)shown.words + PAGE_BYTES;
  EXPECT_EQUAL(ctrap_unmap(memory, 2 * PAGE_BYTES), 0);
  int rights = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  NEED(mmap(memory, 2 * PAGE_BYTES, rights, flags, -1, 0) == memory);
  memory[1] = 1;
  const struct ctrap_piece pieces[2] = {{0, 3 * PAGE_BYTES}, {0, -(size_t)(3 * PAGE_BYTES)}};
  EXPECT_EQUAL(ctrap_show((void *)shown.words, shown.device, rights, pieces, 2), -EINVAL);
  EXPECT_EQUAL(memory[1], 1);
  EXPECT_EQUAL(shown.words[1], word_of(1));
}

const struct test_case cases_threads[] = {
  {"threads-one-page", one_page},
  {"threads-changes", changes},
  {"threads-replaced", replaced},
  {"show-too-long", too_long},
  {0}};
