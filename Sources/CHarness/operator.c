// The operator's side of the board: what it says, and what it reads of the watchers.
#include "internal.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "xive.h"

int charness_set_page(
  struct charness_board *board, uint32_t page, const struct charness_page_setup *setup
) {
  if (page >= board->page_count || setup->offset % CHARNESS_PAGE_SIZE != 0 ||
      setup->offset >= board->window_length)
    return -EINVAL;
  struct charness_page *entry = charness_page_at(board, page);
  entry->offset = setup->offset;
  entry->device_offset = setup->device_offset;
  entry->lisn = setup->lisn;
  entry->half = setup->half;
  return 0;
}

int charness_set_store(struct charness_board *board, uint32_t page, uint32_t at, uint64_t value) {
  if (page >= board->page_count || at % 8 != 0 || at >= XIVE_SIGNATURE_OFFSET) return -EINVAL;
  struct charness_page *entry = charness_page_at(board, page);
  entry->store_at = at;
  entry->store_value = value;
  entry->stores = 1;
  return 0;
}

void charness_announce(
  struct charness_board *board, uint32_t page, uint64_t generation, uint32_t backing, uint32_t phb,
  uint32_t hwirq
) {
  struct charness_ring_entry *entry =
    &charness_page_at(board, page)->ring[generation % CHARNESS_RING];
  // A sequence lock. Each release keeps the stores before it before it: who sees a new word sees at least
  // the busy stamp, who sees the new stamp sees all new words.
  atomic_store_explicit(&entry->stamp, STAMP_BUSY, memory_order_relaxed);
  atomic_store_explicit(&entry->backing, backing, memory_order_release);
  atomic_store_explicit(&entry->phb, phb, memory_order_release);
  atomic_store_explicit(&entry->hwirq, hwirq, memory_order_release);
  atomic_store_explicit(&entry->stamp, generation + 1, memory_order_release);
}

void charness_raise_floor(struct charness_board *board, uint32_t page, uint64_t generation) {
  struct charness_page *entry = charness_page_at(board, page);
  if (generation > atomic_load_explicit(&entry->floor, memory_order_relaxed))
    atomic_store_explicit(&entry->floor, generation, memory_order_release);
}

void charness_expect(
  struct charness_board *board, uint32_t page, enum charness_presence presence
) {
  struct charness_page *entry = charness_page_at(board, page);
  uint64_t before = atomic_load_explicit(&entry->presence, memory_order_relaxed);
  atomic_store_explicit(&entry->presence, ((before >> 2) + 1) << 2 | presence, memory_order_release);
}

void charness_expect_answers(struct charness_board *board, uint32_t page, uint32_t answers) {
  struct charness_page *entry = charness_page_at(board, page);
  uint64_t before = atomic_load_explicit(&entry->answers, memory_order_relaxed);
  atomic_store_explicit(&entry->answers, ((before >> 8) + 1) << 8 | answers, memory_order_release);
}

void charness_order(struct charness_board *board, enum charness_command command) {
  atomic_store_explicit(&board->command, command, memory_order_release);
  syscall(SYS_futex, &board->command, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

uint64_t charness_begin_epoch(struct charness_board *board) {
  return atomic_fetch_add_explicit(&board->epoch, 1, memory_order_release) + 1;
}

static bool all_reached(const struct charness_board *board, uint64_t epoch, uint32_t watchers) {
  for (uint32_t number = 0; number < watchers && number < board->slot_count; number++) {
    const struct charness_slot *slot = charness_slot_at(board, number);
    uint32_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    if (state == CHARNESS_ENDED) continue;
    // One that has not begun has done no round: its epoch is 0.
    if (atomic_load_explicit(&slot->epoch, memory_order_acquire) < epoch) return false;
  }
  return true;
}

int charness_await(
  const struct charness_board *board, uint64_t epoch, uint32_t watchers, uint32_t milliseconds
) {
  const struct timespec pause = {.tv_nsec = 100000};
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  while (!all_reached(board, epoch, watchers)) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t passed = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
    if (passed >= milliseconds) return -ETIMEDOUT;
    nanosleep(&pause, NULL);
  }
  return 0;
}

void charness_end_slot(struct charness_board *board, uint32_t slot) {
  atomic_store_explicit(
    &charness_slot_at(board, slot)->state, CHARNESS_ENDED, memory_order_release);
}

uint64_t charness_count(
  const struct charness_board *board, uint32_t slot, enum charness_counter counter
) {
  return atomic_load_explicit(
    &charness_slot_at(board, slot)->counters[counter], memory_order_relaxed);
}

uint64_t charness_sum(const struct charness_board *board, enum charness_counter counter) {
  uint64_t sum = 0;
  for (uint32_t slot = 0; slot < board->slot_count; slot++)
    sum += charness_count(board, slot, counter);
  return sum;
}

uint64_t charness_violations(const struct charness_board *board) {
  uint64_t sum = 0;
  for (unsigned counter = CHARNESS_STALE_COUNT; counter < CHARNESS_COUNTERS; counter++)
    sum += charness_sum(board, counter);
  return sum;
}

int charness_first_violation(
  const struct charness_board *board, uint32_t slot, struct charness_violation *violation
) {
  const struct charness_slot *entry = charness_slot_at(board, slot);
  if (atomic_load_explicit(&entry->first_kind, memory_order_acquire) == 0) return 0;
  *violation = entry->first;
  return 1;
}

struct charness_slot_status charness_status(const struct charness_board *board, uint32_t slot) {
  const struct charness_slot *entry = charness_slot_at(board, slot);
  return (struct charness_slot_status){
    .state = atomic_load_explicit(&entry->state, memory_order_acquire),
    .pid = atomic_load_explicit(&entry->pid, memory_order_relaxed),
    .tid = atomic_load_explicit(&entry->tid, memory_order_relaxed),
    .epoch = atomic_load_explicit(&entry->epoch, memory_order_acquire),
    .heartbeat = atomic_load_explicit(&entry->heartbeat, memory_order_relaxed)};
}

uint64_t charness_seen(const struct charness_board *board, uint32_t slot, uint32_t page) {
  return atomic_load_explicit(charness_seen_cell(board, slot, page), memory_order_relaxed);
}
