// What the files of this target share.
#pragma once
#include "charness.h"

#include <errno.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>

/// Stamp of a ring entry that is being written.
#define STAMP_BUSY UINT64_MAX

// Faults: guard.c. The pages that this thread is about to touch, and where to go on if it faults.
struct guard {
  sigjmp_buf escape;
  volatile uintptr_t start, end;
  bool is_for_bus;
};
/// Installs the handlers for a watching thread. Returns 0 or -errno.
int guard_begin(void);
void guard_end(void);
/// Expects SIGBUS alone: SIGSEGV is what a trapped window lives on.
struct guard *guard_bus(const volatile void *page);
/// Expects faults in the page at `page`; the caller passes the result's `escape` to sigsetjmp.
struct guard *guard_page(const volatile void *page);
void guard_nothing(struct guard *guard);

/// Keeps a watcher's first violation, and counts all; of what is in it only the time is missing. watch.c.
void keep_violation(struct charness_slot *slot, const struct charness_violation *violation);

// Trapped windows: trapped.c.
void unmap_trapped(struct charness_mapping *mapping);
/// Has bytes of the window from `place` on show those of the file from `offset` on.
int show_trapped(
  const struct charness_mapping *mapping, uint64_t place, uint64_t offset, uint64_t length);

// Slots: board.c.
/// Takes a slot for this thread. EINVAL for crooked options, EBUSY if somebody has it.
int slot_begin(struct charness_board *board, const struct charness_watch_options *options);
void slot_end(struct charness_board *board, uint32_t slot);
/// Runs rounds over the options' pages in a slot of this thread, with faults caught, until the operator says stop or
/// they are done.
int run_rounds(
  struct charness_board *board, const struct charness_watch_options *options,
  void (*look)(uint32_t page, void *argument), void *argument);
/// Waits while the command is to hold. Whether another round is wanted.
bool slot_may_run(struct charness_board *board);

/// Adds to a counter that only this thread writes.
static inline void add(_Atomic uint64_t *counter, uint64_t more) {
  uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, before + more, memory_order_relaxed);
}

static inline void count(struct charness_slot *slot, enum charness_counter counter) {
  add(&slot->counters[counter], 1);
}

/// Ends a round that began when the epoch was `epoch`.
static inline void end_round(struct charness_slot *slot, uint64_t epoch) {
  add(&slot->heartbeat, 1);
  // Release: whoever sees the epoch sees the round's counts and violations.
  atomic_store_explicit(&slot->epoch, epoch, memory_order_release);
}
