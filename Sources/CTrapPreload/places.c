// Where windows are, as functions that change mappings have to know it.
#include "preload.h"

// Set once, when the first window is about to be made.
static _Atomic bool has_begun;

// Before any thread may hold the lock, for what replaces a program's functions takes it without a window, too.
__attribute__((constructor)) static void watch_forks(void) { trap_watch_forks(); }

int windows_begin(void) {
  int result = trap_install();
  if (result == 0) atomic_store(&has_begun, true);
  return result;
}

bool windows_may_be(void) { return atomic_load_explicit(&has_begun, memory_order_acquire); }

bool windows_touch(uintptr_t start, uintptr_t end) {
  if (!windows_may_be()) return false;
  // A handler that changes something would wait for what it has interrupted, and one that jumps would leave it behind.
  uint64_t before = trap_block_signals();
  uint32_t reading = trap_read_begin(&trap_lookups);
  bool any = trap_table_has_any(start, end);
  trap_read_end(&trap_lookups, reading);
  trap_restore_signals(before);
  return any;
}

static int take_first(uintptr_t start, uintptr_t end, const struct trap_range *range, void *argument) {
  struct place *place = argument;
  *place = (struct place){.start = start, .end = end, .is_window = range != NULL};
  if (range != NULL) place->range = *range;
  return 1;
}

struct place first_place(uintptr_t start, uintptr_t end) {
  struct place place = {0};
  trap_table_visit(start, end, take_first, &place);
  return place;
}
