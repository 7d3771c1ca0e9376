#pragma once
/// What accesses that trap are measured against, where Swift cannot do it. x86-64 alone; results: 0 or -errno,
/// -ENOTSUP elsewhere. One thread at a time.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// An access of 8 bytes, by pread or pwrite.
struct cbench_access {
  int fd;
  bool is_store;
  uint64_t offset;
};

/// Takes faults of a load from a page without any right of access, with a handler that does nothing but go on behind
/// the load: what no handler of SIGSEGV can be faster than. The process's own handler is away meanwhile.
/// `after`: an access that follows each of them and is measured with it; NULL for none. `nanoseconds`: how long each of
/// `count` took. -EIO when an access is not whole.
int cbench_fault(const struct cbench_access *after, size_t count, uint64_t *nanoseconds);

/// A virtual machine that loads from where no memory is, again and again.
struct cbench_guest;

int cbench_guest_open(struct cbench_guest **guest);

/// Answers `count` of its loads. `nanoseconds`: from each answer to the next exit.
int cbench_guest_run(struct cbench_guest *guest, size_t count, uint64_t *nanoseconds);

void cbench_guest_close(struct cbench_guest *guest);
