// The board: its file, and the slots that watchers take in it.
#include "internal.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the board is shared between processes");

static uint64_t round_up(uint64_t bytes, uint64_t unit) { return (bytes + unit - 1) / unit * unit; }

static int map_board(int fd, uint64_t bytes, struct charness_board **board) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return -errno;
  *board = memory;
  return 0;
}

int charness_board_create(int fd, const struct charness_shape *shape, struct charness_board **board) {
  const uint64_t window = shape->window_offset | shape->window_length;
  // So that no product below can overflow.
  const uint32_t most = 1u << 20;
  if (shape->pages == 0 || shape->slots == 0 || shape->pages > most || shape->slots > most ||
      shape->window_length == 0 || window % CHARNESS_PAGE_SIZE != 0)
    return -EINVAL;
  struct charness_board start = {
    .magic = CHARNESS_MAGIC, .version = CHARNESS_VERSION,
    .page_count = shape->pages, .slot_count = shape->slots,
    .window_offset = shape->window_offset, .window_length = shape->window_length,
    .pages_at = sizeof start};
  start.slots_at = start.pages_at + shape->pages * sizeof(struct charness_page);
  start.seen_at = start.slots_at + shape->slots * sizeof(struct charness_slot);
  start.byte_count = round_up(
    start.seen_at + (uint64_t)shape->slots * shape->pages * sizeof(uint64_t), CHARNESS_PAGE_SIZE);
  // Emptied first: the board begins as zeros.
  if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)start.byte_count) < 0) return -errno;
  int result = map_board(fd, start.byte_count, board);
  if (result < 0) return result;
  memcpy(*board, &start, sizeof start);
  for (uint32_t page = 0; page < shape->pages; page++) {
    charness_page_at(*board, page)->device_offset = CHARNESS_ANY_OFFSET;
    charness_page_at(*board, page)->answers = CHARNESS_ANY_ANSWER;
  }
  return 0;
}

int charness_board_map(int fd, struct charness_board **board) {
  struct charness_board start;
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  ssize_t got = pread(fd, &start, sizeof start, 0);
  if (got < 0) return -errno;
  if (got != sizeof start || start.magic != CHARNESS_MAGIC || start.version != CHARNESS_VERSION ||
      start.byte_count > (uint64_t)status.st_size)
    return -EPROTO;
  return map_board(fd, start.byte_count, board);
}

void charness_board_unmap(struct charness_board *board) { munmap(board, board->byte_count); }

// MARK: - Slots

int slot_begin(struct charness_board *board, const struct charness_watch_options *options) {
  if (options->slot >= board->slot_count || options->page_count == 0 ||
      options->page_count > board->page_count ||
      options->first_page > board->page_count - options->page_count)
    return -EINVAL;
  struct charness_slot *slot = charness_slot_at(board, options->slot);
  uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
  if (state == CHARNESS_WATCHING || !atomic_compare_exchange_strong_explicit(
      &slot->state, &state, CHARNESS_WATCHING, memory_order_acq_rel, memory_order_relaxed))
    return -EBUSY;
  atomic_store_explicit(&slot->pid, (uint32_t)getpid(), memory_order_relaxed);
  atomic_store_explicit(&slot->tid, (uint32_t)syscall(SYS_gettid), memory_order_relaxed);
  return 0;
}

void slot_end(struct charness_board *board, uint32_t slot) { charness_end_slot(board, slot); }

bool slot_may_run(struct charness_board *board) {
  for (;;) {
    uint32_t command = atomic_load_explicit(&board->command, memory_order_acquire);
    if (command != CHARNESS_HOLD) return command == CHARNESS_RUN;
    // Not private: the operator is another process.
    syscall(SYS_futex, &board->command, FUTEX_WAIT, CHARNESS_HOLD, NULL, NULL, 0);
  }
}
