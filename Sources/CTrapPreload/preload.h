// What the parts of libxive-trap.so share: the C library's functions as a program with windows has to see them.
//
// They are called before and inside malloc, from signal handlers and in children of vfork, so they allocate nothing
// and make their system calls themselves. What has nothing to do with a window takes no lock: a memory allocator may
// unmap with a lock of its own held that a fork, which holds ours, waits for.
#pragma once
#include "internal.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "system.h"

#define PUBLIC __attribute__((visibility("default")))

enum { PAGE = 4096 };

// Whether a system call that gives an address has failed.
static inline bool has_failed(long result) { return result < 0 && result > -4096; }

// The result of a system call as the C library gives it.
static inline long with_errno(long result) {
  if (!has_failed(result)) return result;
  errno = (int)-result;
  return -1;
}

// The end of the pages that [start, start + length) touches; 0 where there is no such place.
static inline uintptr_t page_end(uintptr_t start, size_t length) {
  uintptr_t end = start + length, whole = (end + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
  return length == 0 || end < start || whole < end ? 0 : whole;
}

// MARK: - places.c: parts of the address space

// Has the handler of faults be there from now on, and windows be looked for. With the lock held.
int windows_begin(void);
// Whether there may be windows in this process: without any, nothing here does more than a system call.
bool windows_may_be(void);
// Without the lock: whether a part of [start, end) is a window.
bool windows_touch(uintptr_t start, uintptr_t end);

struct place {
  uintptr_t start, end;
  bool is_window;
  struct trap_range range;  // of a window
};

// With the lock held: the first part of [start, end) that is one window, or none at all.
struct place first_place(uintptr_t start, uintptr_t end);

// MARK: - files.c: which files are devices, and which of their pages become windows

// Whether a descriptor is a xive device's, with the binary logarithm of its device page. Asks only a file that looks
// like one.
bool is_device(int fd, uint32_t *page_shift);
// The end of the part of [offset, end) that begins at `offset` and is of one kind.
uint64_t kind_end(uint64_t offset, uint64_t end, uint32_t page_shift, bool *is_window);
// Sets O_DIRECT, without which a load is answered from the page's image.
int make_exact(int fd);

// MARK: - unmap.c

// munmap, with its result as of a system call.
long unmap_place(uintptr_t start, size_t length);

// MARK: - masks.c: SIGSEGV is never blocked, whatever the program believes

// The first word of a set, which is all that the kernel knows of it, without SIGSEGV.
uint64_t open_mask(const sigset_t *set);
bool has_fault(const sigset_t *set);
