// What the C programs of these tests share: a device with 64 sources, and judges of what an address shows.
//
// They know nothing of the library but how many accesses it has performed, and are preloaded or linked with it.
#ifndef RIG_H
#define RIG_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "xive.h"
#include "xive_trap.h"

enum { PAGE = 4096, PAIR = 2 * PAGE, SOURCES = 64 };

static int failures;
static int device = -1;  // open for reading and writing, O_DIRECT
static const char *device_path;

#define EXPECT(condition)                                                \
  do {                                                                   \
    if (!(condition)) {                                                  \
      printf("line %d: not so: %s (errno %d)\n", __LINE__, #condition, errno); \
      failures++;                                                        \
    }                                                                    \
  } while (0)

static inline int conclude(void) {
  if (failures == 0) printf("all as expected\n");
  return failures == 0 ? 0 : 1;
}

static inline void open_device(const char *path) {
  device_path = path;
  device = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
  if (device < 0) {
    perror(path);
    exit(1);
  }
}

// MARK: - Exact access by pread and pwrite: the judge

static inline uint64_t exact_load(uint32_t lisn, uint32_t operation) {
  uint64_t value = 0;
  EXPECT(xive_load(device, xive_esb_offset(lisn, XIVE_MANAGEMENT, PAGE) + operation, &value) == 0);
  return value;
}

static inline uint64_t exact_pq(uint32_t lisn) { return exact_load(lisn, XIVE_ESB_GET); }

static inline void set_pq(uint32_t lisn, uint32_t pq) {
  exact_load(lisn, XIVE_ESB_SET_PQ_00 + pq * XIVE_ESB_SET_PQ_STEP);
}

// MARK: - Through pointers

static inline uint64_t load(const void *page, uint32_t offset) {
  return xive_be64_to_host(*(const volatile uint64_t *)((const uint8_t *)page + offset));
}

static inline void store(void *page, uint32_t offset, uint64_t value) {
  *(volatile uint64_t *)((uint8_t *)page + offset) = xive_host_to_be64(value);
}

static inline void *mapped(void *address, size_t length, int protection, int flags, int fd, uint64_t offset) {
  void *result = mmap(address, length, protection, flags, fd, (off_t)offset);
  EXPECT(result != MAP_FAILED);
  return result;
}

// The page pairs of `count` sources from a number on, in region 1.
static inline uint8_t *map_sources(void *address, uint32_t first, uint32_t count, int flags) {
  return mapped(address, (size_t)count * PAIR, PROT_READ | PROT_WRITE, MAP_SHARED | flags, device,
                xive_esb_offset(first, XIVE_TRIGGER, PAGE));
}

// Closes memory behind the library's back: were a window still known there, a touch would be an access.
static inline void close_memory(void *start, size_t length) {
  EXPECT(syscall(SYS_mprotect, start, length, PROT_NONE) == 0);
}

// MARK: - Touches that may fail

static sigjmp_buf landing;
static _Thread_local volatile bool may_land;
static volatile sig_atomic_t caught, caught_code;
static void *volatile caught_address;

static inline void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  if (!may_land) {
    static const char words[] = "a fault of a touch that never fails\n";
    if (write(1, words, sizeof words - 1) > 0) _exit(2);
    _exit(3);
  }
  may_land = false;
  caught = number;
  caught_code = info->si_code;
  caught_address = info->si_addr;
  siglongjmp(landing, 1);
}

static inline void catch_faults(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  EXPECT(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
}

// The signal that a load or a store of 8 bytes raises, or 0.
static inline int touch(const void *address, bool writes) {
  caught = 0;
  may_land = true;
  if (sigsetjmp(landing, 1) != 0) return caught;
  if (writes) *(volatile uint64_t *)address = 0;
  else (void)*(const volatile uint64_t *)address;
  may_land = false;
  return 0;
}

// MARK: - Judges: what an address shows

// A trapped window on a source's page pair: the source does what the pointer does, at once.
static inline void judge_window(int line, uint8_t *pair, uint32_t lisn) {
  set_pq(lisn, XIVE_PQ_RESET);
  uint64_t count = xive_trap_access_count();
  caught = 0;
  may_land = true;
  if (sigsetjmp(landing, 1) == 0) {
    store(pair, 0, 0);
    uint64_t triggered = exact_pq(lisn);
    uint64_t seen = load(pair + PAGE, XIVE_ESB_GET);
    uint64_t ended = load(pair + PAGE, XIVE_ESB_LOAD_EOI);
    may_land = false;
    if (triggered == XIVE_PQ_PENDING && seen == XIVE_PQ_PENDING && ended == 0 && exact_pq(lisn) == XIVE_PQ_RESET
      && xive_trap_access_count() == count + 3)
      return;
    printf("line %d: no window of %u: pq %#llx, loaded %#llx, eoi %#llx, %llu accesses\n", line, lisn,
           (unsigned long long)triggered, (unsigned long long)seen, (unsigned long long)ended,
           (unsigned long long)(xive_trap_access_count() - count));
  } else {
    printf("line %d: no window of %u: signal %d, code %d\n", line, lisn, caught, caught_code);
  }
  failures++;
}

// Memory: what is stored is there, and the library has nothing to do with it.
static inline void judge_memory(int line, uint8_t *page) {
  uint64_t count = xive_trap_access_count();
  int signal = touch(page, true);
  if (signal == 0) {
    store(page, 8, 0x1234);
    if (load(page, 8) == 0x1234 && xive_trap_access_count() == count) return;
  }
  printf("line %d: no memory: signal %d, %llu accesses\n", line, signal,
         (unsigned long long)(xive_trap_access_count() - count));
  failures++;
}

// A mapped page of the device: its image has a signature.
static inline void judge_image(int line, const uint8_t *page, uint32_t lisn) {
  uint64_t count = xive_trap_access_count();
  int signal = touch(page, false);
  uint64_t magic = signal == 0 ? load(page, XIVE_SIGNATURE_OFFSET) : 0;
  uint64_t number = signal == 0 ? load(page, XIVE_SIGNATURE_OFFSET + 8) >> 32 : 0;
  if (magic == XIVE_SIGNATURE_MAGIC && number == lisn && xive_trap_access_count() == count) return;
  printf("line %d: no image of %u: signal %d, magic %#llx\n", line, lisn, signal, (unsigned long long)magic);
  failures++;
}

// Nothing is there, or nothing that may be touched so: the program's own SIGSEGV with the kernel's code.
static inline void judge_fault(int line, const uint8_t *page, bool writes, int code) {
  uint64_t count = xive_trap_access_count();
  const uint8_t *address = page + 0x800;
  int signal = touch(address, writes);
  bool is_right = signal == SIGSEGV && caught_code == code && caught_address == (void *)address;
  if (is_right && xive_trap_access_count() == count) return;
  printf("line %d: no fault: signal %d, code %d\n", line, signal, caught_code);
  failures++;
}

#define EXPECT_WINDOW(pair, lisn) judge_window(__LINE__, pair, lisn)
#define EXPECT_MEMORY(page) judge_memory(__LINE__, page)
#define EXPECT_IMAGE(page, lisn) judge_image(__LINE__, page, lisn)
#define EXPECT_GONE(page) judge_fault(__LINE__, page, false, SEGV_MAPERR)
#define EXPECT_CLOSED(page, writes) judge_fault(__LINE__, page, writes, SEGV_ACCERR)

static inline void expect_windows(int line, uint8_t *pairs, uint32_t first, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) judge_window(line, pairs + (size_t)i * PAIR, first + i);
}
#define EXPECT_WINDOWS(pairs, first, count) expect_windows(__LINE__, pairs, first, count)

#endif
