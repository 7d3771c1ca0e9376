// Children, other programs, and descriptors.
#include "living.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>

static struct window shown;
static _Atomic bool is_over;

static int status_of(pid_t child) {
  int status = -1;
  NEED(child > 0 && waitpid(child, &status, 0) == child);
  return status;
}

static void *touch_on(void *argument) {
  size_t own = (size_t)argument;
  for (uint64_t i = 1; !is_over; i++) {
    shown.words[own] = i;
    EXPECT_EQUAL(shown.words[own], i);
  }
  return NULL;
}

// What a child does: the windows that it has inherited, and some of its own.
static void be_child(void) {
  EXPECT_EQUAL(shown.words[100], word_of(100));
  shown.words[101] = 1;
  EXPECT_EQUAL(file_word(shown.fd, 101), 1);
  volatile uint64_t *own = window_map(shown.device, 0, PAGE_BYTES);
  EXPECT_EQUAL(own[100], word_of(100));
  EXPECT_EQUAL(ctrap_unmap((void *)shown.words, PAGE_BYTES), 0);
  EXPECT_EQUAL(ctrap_unmap((void *)own, PAGE_BYTES), 0);
  fflush(stdout);
  _exit(failures == 0 ? 0 : 1);
}

static void forks(void) {
  shown = window_make(1);
  pthread_t threads[4];
  for (size_t i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, touch_on, (void *)i) == 0);
  for (int round = 0; round < 300; round++) {
    pid_t child = fork();
    if (child == 0) be_child();
    // The parent goes on meanwhile, and maps, which waits for nobody in the child.
    volatile uint64_t *own = window_map(shown.device, 0, PAGE_BYTES);
    EXPECT_EQUAL(own[100], word_of(100));
    EXPECT_EQUAL(ctrap_unmap((void *)own, PAGE_BYTES), 0);
    EXPECT_EQUAL(status_of(child), 0);
  }
  is_over = true;
  for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  EXPECT_EQUAL(shown.words[100], word_of(100));
}

// MARK: - Other programs

// Whether it has got a descriptor of the window's file.
static const char listing[] =
  "for fd in /proc/$$/fd/*; do case $(readlink $fd) in *window*) exit 9;; esac; done; exit 0";
static char *const words[] = {"sh", "-c", (char *)listing, NULL};

static void by_vfork(void) {
  pid_t child = vfork();
  if (child == 0) {
    // It shares the parent's memory, windows included.
    if (shown.words[7] != word_of(7)) _exit(8);
    execv("/bin/sh", words);
    _exit(7);
  }
  EXPECT_EQUAL(status_of(child), 0);
}

static void by_spawn(void) {
  pid_t child = 0;
  EXPECT_EQUAL(posix_spawn(&child, "/bin/sh", NULL, NULL, words, environ), 0);
  EXPECT_EQUAL(status_of(child), 0);
}

static void *exec(void *unused) {
  (void)unused;
  EXPECT_EQUAL(shown.words[7], word_of(7));
  execv("/bin/sh", words);
  return NULL;
}

static void exec_in_thread(void *unused) {
  (void)unused;
  pthread_t threads[5];
  shown.words[0] = 1;
  for (size_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, touch_on, (void *)i);
  pthread_create(&threads[4], NULL, exec, NULL);
  for (;;) pause();
}

static void programs(void) {
  shown = window_make(1);
  for (int i = 0; i < 10; i++) {
    by_vfork();
    by_spawn();
    pid_t child = fork();
    if (child == 0) exec_in_thread(NULL);
    EXPECT_EQUAL(status_of(child), 0);
  }
  EXPECT_EQUAL(shown.words[7], word_of(7));
}

// MARK: - Descriptors

static int descriptor_count(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count;
}

// Not how many mappings: those without a file become one.
static long mapped_pages(void) {
  long pages = 0;
  FILE *sizes = fopen("/proc/self/statm", "r");
  NEED(fscanf(sizes, "%ld", &pages) == 1);
  fclose(sizes);
  return pages;
}

static void leaks(void) {
  struct rlimit few = {64, 64};
  NEED(setrlimit(RLIMIT_NOFILE, &few) == 0);
  shown = window_make(2);
  int descriptors = 0;
  long pages = 0;
  for (int i = 0; i < 10000; i++) {
    int fd = dup(shown.fd);
    ctrap_device *device;
    EXPECT_EQUAL(ctrap_device_open(fd, &device), 0);
    // The program's number is free for others, and the window does not care.
    close(fd);
    volatile uint64_t *words = window_map(device, PAGE_BYTES, PAGE_BYTES);
    ctrap_device_close(device);
    EXPECT_EQUAL(words[1], word_of(513));
    EXPECT_EQUAL(ctrap_unmap((void *)words, PAGE_BYTES), 0);
    // Another file, which nothing else keeps open.
    struct window own = {.fd = memfd_create("own", MFD_CLOEXEC)};
    EXPECT_EQUAL(ctrap_device_open(own.fd, &own.device), 0);
    close(own.fd);
    own.words = window_map(own.device, 0, PAGE_BYTES);
    ctrap_device_close(own.device);
    EXPECT_EQUAL(ctrap_unmap((void *)own.words, PAGE_BYTES), 0);
    if (i == 10) descriptors = descriptor_count(), pages = mapped_pages();
  }
  EXPECT_EQUAL(descriptor_count(), descriptors);
  EXPECT(mapped_pages() <= pages + 64);
}

const struct test_case cases_forks[] = {
  {"fork-loop", forks},
  {"fork-programs", programs},
  {"fork-leaks", leaks},
  {0}};
