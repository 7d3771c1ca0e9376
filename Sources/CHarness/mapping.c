// The window of the device file in a consumer.
#include "internal.h"

#include <sys/mman.h>

static uint8_t *reserve(uint64_t length, void *at) {
  return mmap(
    at, length, PROT_NONE,
    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);
}

// Over address space that is taken already: nobody else's mapping can be hit.
static int place(
  const struct charness_mapping *mapping, const struct charness_board *board, uint8_t *at,
  uint64_t offset, uint64_t length
) {
  int protection = PROT_READ | (mapping->writable ? PROT_WRITE : 0);
  void *placed = mmap(
    at, length, protection, MAP_SHARED | MAP_FIXED, mapping->fd,
    (off_t)(board->window_offset + offset));
  return placed == MAP_FAILED ? -errno : 0;
}

int charness_map(
  struct charness_mapping *mapping, const struct charness_board *board, int device_fd,
  enum charness_layout layout, int writable
) {
  *mapping = (struct charness_mapping){.fd = device_fd, .layout = layout, .writable = writable};
  mapping->length = layout == CHARNESS_WINDOW ? board->window_length
                                              : 2ull * CHARNESS_PAGE_SIZE * board->page_count;
  uint8_t *base = reserve(mapping->length, NULL);
  if (base == MAP_FAILED) return -errno;
  mapping->base = base;
  int result = 0;
  if (layout == CHARNESS_WINDOW) result = place(mapping, board, base, 0, mapping->length);
  else for (uint32_t page = 0; page < board->page_count && result == 0; page++)
    result = place(
      mapping, board, charness_address(mapping, board, page),
      charness_page_at(board, page)->offset, CHARNESS_PAGE_SIZE);
  if (result < 0) charness_unmap(mapping);
  return result;
}

void charness_unmap(struct charness_mapping *mapping) {
  if (mapping->trapped) unmap_trapped(mapping);
  else munmap(mapping->base, mapping->length);
  mapping->base = NULL;
}

void *charness_address(
  const struct charness_mapping *mapping, const struct charness_board *board, uint32_t page
) {
  return mapping->base + (mapping->layout == CHARNESS_WINDOW
    ? charness_page_at(board, page)->offset : 2ull * CHARNESS_PAGE_SIZE * page);
}

int charness_split(
  const struct charness_mapping *mapping, const struct charness_board *board, uint64_t offset,
  uint64_t length
) {
  if (mapping->layout != CHARNESS_WINDOW || length == 0 || offset > mapping->length ||
      length > mapping->length - offset || (offset | length) % CHARNESS_PAGE_SIZE != 0)
    return -EINVAL;
  if (mapping->trapped) return show_trapped(mapping, offset, board->window_offset + offset, length);
  if (reserve(length, mapping->base + offset) == MAP_FAILED) return -errno;
  return place(mapping, board, mapping->base + offset, offset, length);
}
