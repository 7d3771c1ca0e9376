// Watchers with a trapped window: what a page's load of PQ answers tells who serves it.
#include "internal.h"

#include <ctrap.h>
#include <sys/mman.h>

#include "xive.h"

int charness_map_trapped(
  struct charness_mapping *mapping, const struct charness_board *board, int device_fd,
  enum charness_layout layout, int writable
) {
  *mapping = (struct charness_mapping){.fd = device_fd, .layout = layout, .writable = writable};
  mapping->length = layout == CHARNESS_WINDOW ? board->window_length
                                              : 2ull * CHARNESS_PAGE_SIZE * board->page_count;
  int result = ctrap_device_open(device_fd, &mapping->trapped);
  if (result < 0) return result;
  void *base;
  result = ctrap_map(
    mapping->trapped, board->window_offset, mapping->length,
    PROT_READ | (writable ? PROT_WRITE : 0), &base);
  if (result < 0) {
    ctrap_device_close(mapping->trapped);
    return result;
  }
  mapping->base = base;
  // What lies between two pages shows others.
  for (uint32_t page = 0; layout == CHARNESS_PER_PAGE && page < board->page_count && result == 0; page++)
    result = show_trapped(
      mapping, 2ull * CHARNESS_PAGE_SIZE * page,
      board->window_offset + charness_page_at(board, page)->offset, CHARNESS_PAGE_SIZE);
  if (result < 0) unmap_trapped(mapping);
  return result;
}

void unmap_trapped(struct charness_mapping *mapping) {
  ctrap_unmap(mapping->base, mapping->length);
  ctrap_device_close(mapping->trapped);
}

int show_trapped(
  const struct charness_mapping *mapping, uint64_t place, uint64_t offset, uint64_t length
) {
  const struct ctrap_piece piece = {.offset = offset, .length = length};
  int protection = PROT_READ | (mapping->writable ? PROT_WRITE : 0);
  return ctrap_show(mapping->base + place, mapping->trapped, protection, &piece, 1);
}

// MARK: - Watching

struct watch {
  const struct charness_mapping *mapping;
  const struct charness_board *board;
  struct charness_slot *slot;
  uint32_t slot_number;
  bool stores;
};

// One bit of enum charness_answer; 0 for a value that no page may give.
static uint64_t ask(const volatile uint64_t *pq) {
  struct guard *guard = guard_bus(pq);
  uint64_t value = 0;
  // The mask as well: the signal comes while others wait.
  int signal_number = sigsetjmp(guard->escape, 1);
  if (signal_number == 0) value = xive_be64_to_host(*pq);
  guard_nothing(guard);
  if (signal_number != 0) return CHARNESS_BUS_ERROR;
  if (value == XIVE_ALL_ONES) return CHARNESS_ALL_ONES;
  return value <= XIVE_PQ_QUEUED ? UINT64_C(1) << value : 0;
}

static void store(volatile uint64_t *address, uint64_t value) {
  struct guard *guard = guard_bus(address);
  if (sigsetjmp(guard->escape, 1) == 0) *address = xive_host_to_be64(value);
  guard_nothing(guard);
}

static void judge(const struct watch *watch, uint32_t page, uint64_t answer, uint64_t right) {
  if ((answer & right) != 0) return;
  struct charness_violation violation = {
    .kind = CHARNESS_WRONG_ANSWER, .page = page, .slot = watch->slot_number};
  violation.seen.generation = answer;
  violation.expected.generation = right;
  keep_violation(watch->slot, &violation);
}

static void ask_page(const struct watch *watch, uint32_t number, const uint8_t *address) {
  struct charness_page *page = charness_page_at(watch->board, number);
  uint64_t before = atomic_load_explicit(&page->answers, memory_order_acquire);
  uint64_t answer = ask((const volatile uint64_t *)(address + XIVE_ESB_GET));
  // The load was a system call: nothing moves over it.
  uint64_t after = atomic_load_explicit(&page->answers, memory_order_acquire);
  count(watch->slot, answer == CHARNESS_BUS_ERROR ? CHARNESS_FAULTS : CHARNESS_LOADS);
  if (before == after) judge(watch, number, answer, before & CHARNESS_ANY_ANSWER);
}

static void watch_page(uint32_t number, void *argument) {
  const struct watch *watch = argument;
  const struct charness_page *page = charness_page_at(watch->board, number);
  uint8_t *address = charness_address(watch->mapping, watch->board, number);
  // Trigger pages answer nothing.
  if (page->half == XIVE_MANAGEMENT) ask_page(watch, number, address);
  if (!watch->stores || !page->stores) return;
  store((volatile uint64_t *)(address + page->store_at), page->store_value);
  count(watch->slot, CHARNESS_STORES);
}

int charness_watch_trapped(
  const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_watch_options *options
) {
  const bool stores = options->flags & CHARNESS_STORE;
  if (stores && !mapping->writable) return -EACCES;
  struct watch watch = {
    .mapping = mapping, .board = board, .slot = charness_slot_at(board, options->slot),
    .slot_number = options->slot, .stores = stores};
  return run_rounds(board, options, watch_page, &watch);
}
