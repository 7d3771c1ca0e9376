// Cases of living with a program, each run in a process of its own: living CASE. Expectations that are not met print a
// line. Windows show a memfd, which takes every size at every offset, unless the case has a device.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#ifdef __cplusplus
#include <atomic>
#define _Atomic(type) std::atomic<type>
#else
#include <stdatomic.h>
#endif
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "ctrap.h"

#ifdef __cplusplus
extern "C" {
#endif

extern _Atomic(int) failures;
// Of a real device and its server, for the cases that need one.
extern const char *device_path;
extern pid_t server;

#define EXPECT(condition) \
  do { \
    if (!(condition)) { \
      printf("%s:%d: not so: %s\n", __FILE_NAME__, __LINE__, #condition); \
      failures++; \
    } \
  } while (0)

#define EXPECT_EQUAL(a, b) \
  do { \
    unsigned long long a_ = (unsigned long long)(a), b_ = (unsigned long long)(b); \
    if (a_ != b_) { \
      printf("%s:%d: %s is 0x%llx, %s is 0x%llx\n", __FILE_NAME__, __LINE__, #a, a_, #b, b_); \
      failures++; \
    } \
  } while (0)

#ifndef __FILE_NAME__
#define __FILE_NAME__ __FILE__
#endif

// What a test cannot go on without.
#define NEED(condition) \
  do { \
    if (!(condition)) { \
      printf("%s:%d: needed: %s: %s\n", __FILE_NAME__, __LINE__, #condition, strerror(errno)); \
      exit(2); \
    } \
  } while (0)

enum { PAGE_BYTES = 4096 };

// A file of pages, word i of which is i << 32 | 0x5a, and a window on it.
struct window {
  int fd;
  ctrap_device *device;
  volatile uint64_t *words;
};
struct window window_make(size_t pages);
// A window on any file; PROT_READ and PROT_WRITE.
volatile uint64_t *window_map(ctrap_device *device, uint64_t offset, size_t length);
static inline uint64_t word_of(size_t i) { return (uint64_t)i << 32 | 0x5a; }
uint64_t file_word(int fd, size_t i);

// A page that nobody may touch.
void *forbidden_page(void);

void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags, ...);
void signal_stack(size_t length);
bool is_on_signal_stack(void);
uint64_t blocked_signals(void);
static inline uint64_t mask_bit(int number) { return UINT64_C(1) << (number - 1); }

// What becomes of a child that runs `body`: how it ends, and the last signal that it was sent before.
struct end {
  int status;
  siginfo_t last;
};
struct end end_of(void (*body)(void *), void *argument);
void expect_killed(struct end end, int number, int code, const void *address, const char *file, int line);
#define EXPECT_KILLED(end, number, code, address) \
  expect_killed(end, number, code, (const void *)(address), __FILE_NAME__, __LINE__)

struct test_case {
  const char *name;
  void (*run)(void);
};
// Ends with a case without a name.
extern const struct test_case cases_chain[], cases_fatal[], cases_later[], cases_bus[], cases_stacks[],
  cases_nested[], cases_threads[], cases_forks[], cases_steps[], cases_device[];
// In C++, which not every build of this program has.
extern const struct test_case cases_throw[] __attribute__((weak));

#ifdef __cplusplus
}
#endif
