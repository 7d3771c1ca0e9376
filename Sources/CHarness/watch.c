// Watchers: they look at pages and judge what they see.
#include "internal.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "xive.h"

// What a look depends on, read before the page is touched.
struct look {
  const struct charness_board *board;
  struct charness_slot *slot;
  uint32_t slot_number, page_number;
  struct charness_page *page;
  uint64_t floor, presence;
  struct charness_sight seen;
};

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// The fields of struct charness_sight that say which page it is, as announced for the generation.
static void report(
  const struct look *look, enum charness_kind kind, const struct charness_sight *expected
) {
  struct charness_violation violation = {
    .kind = kind, .page = look->page_number, .slot = look->slot_number, .floor = look->floor,
    .seen = look->seen};
  if (expected) violation.expected = *expected;
  keep_violation(look->slot, &violation);
}

void keep_violation(struct charness_slot *slot, const struct charness_violation *violation) {
  count(slot, CHARNESS_STALE_COUNT + (violation->kind - CHARNESS_STALE));
  if (atomic_load_explicit(&slot->first_kind, memory_order_relaxed) != 0) return;
  slot->first = *violation;
  slot->first.nanoseconds = now();
  // Release: whoever sees the kind sees the record.
  atomic_store_explicit(&slot->first_kind, violation->kind, memory_order_release);
}

// MARK: - Touching

static uint64_t load(const volatile uint8_t *address) {
  // Acquire: no later look at the page or the board moves before it.
  return xive_be64_to_host(
    __atomic_load_n((const volatile uint64_t *)address, __ATOMIC_ACQUIRE));
}

// Loads a signature; `again` is its generation once more. 0, or the signal that ended it.
static int touch(const uint8_t *page, struct charness_sight *seen, uint64_t *again) {
  struct guard *guard = guard_page(page);
  int signal_number = sigsetjmp(guard->escape, 0);
  if (signal_number == 0) {
    const volatile uint8_t *at = page + XIVE_SIGNATURE_OFFSET;
    seen->generation = load(at + offsetof(struct xive_page_signature, generation));
    seen->magic = load(at + offsetof(struct xive_page_signature, magic));
    uint64_t source = load(at + offsetof(struct xive_page_signature, lisn));
    uint64_t server = load(at + offsetof(struct xive_page_signature, backing));
    uint64_t hwirq = load(at + offsetof(struct xive_page_signature, hwirq));
    seen->device_offset = load(at + offsetof(struct xive_page_signature, device_offset));
    *again = load(at + offsetof(struct xive_page_signature, generation));
    seen->lisn = (uint32_t)(source >> 32), seen->half = (uint32_t)source;
    seen->backing = (uint32_t)(server >> 32), seen->phb = (uint32_t)server;
    seen->hwirq = (uint32_t)(hwirq >> 32), seen->zero = (uint32_t)hwirq;
  }
  guard_nothing(guard);
  return signal_number;
}

static int store(uint8_t *page, uint32_t at, uint64_t value) {
  struct guard *guard = guard_page(page);
  int signal_number = sigsetjmp(guard->escape, 0);
  if (signal_number == 0)
    __atomic_store_n((volatile uint64_t *)(page + at), xive_host_to_be64(value), __ATOMIC_RELAXED);
  guard_nothing(guard);
  return signal_number;
}

// MARK: - Judging

// Whether an expectation held all the time: its word counts its changes.
static bool held(
  const struct look *look, enum charness_presence presence, uint64_t presence_after
) {
  return (look->presence & 3) == presence && look->presence == presence_after;
}

static void judge_fault(const struct look *look, int signal_number, uint64_t presence_after) {
  if (signal_number == SIGSEGV) {
    count(look->slot, CHARNESS_GAPS);
    return;
  }
  count(look->slot, CHARNESS_FAULTS);
  if (held(look, CHARNESS_MUST_NOT_BE_HOLE, presence_after))
    report(look, CHARNESS_UNEXPECTED_HOLE, NULL);
}

// The oldest generation that a look saw must not be below the floor, nor below what was seen before.
static void judge_age(const struct look *look, uint64_t newest) {
  uint64_t oldest = look->seen.generation < newest ? look->seen.generation : newest;
  _Atomic uint64_t *cell = charness_seen_cell(look->board, look->slot_number, look->page_number);
  uint64_t before = atomic_load_explicit(cell, memory_order_relaxed);
  if (oldest < look->floor) report(look, CHARNESS_STALE, NULL);
  else if (oldest + 1 < before || newest < look->seen.generation)
    report(look, CHARNESS_BACKWARD, NULL);
  if (before != 0 && before != newest + 1) count(look->slot, CHARNESS_CHANGES);
  atomic_store_explicit(cell, newest + 1, memory_order_relaxed);
}

static bool same_page(const struct charness_sight *a, const struct charness_sight *b) {
  return a->lisn == b->lisn && a->half == b->half && a->backing == b->backing &&
    a->phb == b->phb && a->hwirq == b->hwirq && a->device_offset == b->device_offset;
}

static void judge_identity(const struct look *look) {
  const struct charness_page *page = look->page;
  const struct charness_sight *seen = &look->seen;
  const struct charness_ring_entry *entry = &page->ring[seen->generation % CHARNESS_RING];
  uint64_t stamp = atomic_load_explicit(&entry->stamp, memory_order_acquire);
  struct charness_sight expected = {
    .magic = XIVE_SIGNATURE_MAGIC, .generation = seen->generation,
    .lisn = page->lisn, .half = page->half,
    .backing = atomic_load_explicit(&entry->backing, memory_order_acquire),
    .phb = atomic_load_explicit(&entry->phb, memory_order_acquire),
    .hwirq = atomic_load_explicit(&entry->hwirq, memory_order_acquire),
    .device_offset =
      page->device_offset == CHARNESS_ANY_OFFSET ? seen->device_offset : page->device_offset};
  // Announced before it was made, so that its entry is at least that new: an older one is an alarm.
  if (stamp < seen->generation + 1) report(look, CHARNESS_WRONG_PAGE, NULL);
  else if (stamp != seen->generation + 1 ||
           stamp != atomic_load_explicit(&entry->stamp, memory_order_relaxed))
    count(look->slot, CHARNESS_UNJUDGED);
  else if (!same_page(seen, &expected)) report(look, CHARNESS_WRONG_PAGE, &expected);
}

static void judge_page(const struct look *look, uint64_t newest, uint64_t presence_after) {
  count(look->slot, CHARNESS_READS);
  if (held(look, CHARNESS_MUST_BE_HOLE, presence_after))
    report(look, CHARNESS_UNEXPECTED_PAGE, NULL);
  if (look->seen.magic != XIVE_SIGNATURE_MAGIC) {
    report(look, CHARNESS_UNSIGNED, NULL);
    return;
  }
  judge_age(look, newest);
  if (newest == look->seen.generation) judge_identity(look);
  else count(look->slot, CHARNESS_TORN);
}

// MARK: - Rounds

struct watch {
  struct look look;
  const struct charness_mapping *mapping;
  bool stores;
};

static void watch_page(uint32_t page_number, void *argument) {
  struct watch *watch = argument;
  struct look *look = &watch->look;
  const struct charness_mapping *mapping = watch->mapping;
  look->page_number = page_number;
  struct charness_page *page = charness_page_at(look->board, look->page_number);
  uint8_t *address = charness_address(mapping, look->board, look->page_number);
  uint64_t newest = 0;
  look->page = page;
  look->seen = (struct charness_sight){0};
  // The rule of the header: the floor first, the page afterwards, the expectation on both sides.
  look->floor = atomic_load_explicit(&page->floor, memory_order_acquire);
  look->presence = atomic_load_explicit(&page->presence, memory_order_acquire);
  int signal_number = touch(address, &look->seen, &newest);
  uint64_t after = atomic_load_explicit(&page->presence, memory_order_acquire);
  if (signal_number != 0) {
    look->seen = (struct charness_sight){0};
    judge_fault(look, signal_number, after);
    return;
  }
  judge_page(look, newest, after);
  if (!watch->stores || !page->stores) return;
  signal_number = store(address, page->store_at, page->store_value);
  if (signal_number == 0) count(look->slot, CHARNESS_STORES);
  else count(look->slot, signal_number == SIGBUS ? CHARNESS_FAULTS : CHARNESS_GAPS);
}

int run_rounds(
  struct charness_board *board, const struct charness_watch_options *options,
  void (*look)(uint32_t page, void *argument), void *argument
) {
  int result = slot_begin(board, options);
  if (result < 0) return result;
  result = guard_begin();
  for (uint64_t round = 0; result == 0 && (options->rounds == 0 || round < options->rounds);
       round++) {
    if (!slot_may_run(board)) break;
    uint64_t epoch = atomic_load_explicit(&board->epoch, memory_order_acquire);
    for (uint32_t page = 0; page < options->page_count; page++)
      look(options->first_page + page, argument);
    end_round(charness_slot_at(board, options->slot), epoch);
  }
  if (result == 0) guard_end();
  slot_end(board, options->slot);
  return result;
}

int charness_watch(
  const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_watch_options *options
) {
  const bool stores = options->flags & CHARNESS_STORE;
  if (stores && !mapping->writable) return -EACCES;
  struct watch watch = {
    .look = {.board = board, .slot = charness_slot_at(board, options->slot), .slot_number = options->slot},
    .mapping = mapping, .stores = stores};
  return run_rounds(board, options, watch_page, &watch);
}

int charness_load(
  int device_fd, struct charness_board *board, const struct charness_watch_options *options
) {
  int result = slot_begin(board, options);
  if (result < 0) return result;
  struct charness_slot *slot = charness_slot_at(board, options->slot);
  for (uint64_t round = 0; options->rounds == 0 || round < options->rounds; round++) {
    if (!slot_may_run(board)) break;
    uint64_t epoch = atomic_load_explicit(&board->epoch, memory_order_acquire);
    for (uint32_t page = 0; page < options->page_count; page++) {
      uint64_t offset = board->window_offset +
        charness_page_at(board, options->first_page + page)->offset + XIVE_ESB_GET;
      uint64_t value;
      bool loaded = xive_load(device_fd, offset, &value) == 0;
      count(slot, loaded ? CHARNESS_LOADS : CHARNESS_LOAD_ERRORS);
    }
    end_round(slot, epoch);
  }
  slot_end(board, options->slot);
  return 0;
}
