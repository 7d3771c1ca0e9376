// Which addresses are windows: an array in ascending order, replaced as a whole and read without a lock.
#include "internal.h"
#include "system.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct table {
  size_t count, room;  // ranges
  struct trap_range ranges[];
};

static struct table no_windows;
static struct table *_Atomic current = &no_windows;

// MARK: - Memory. Never malloc's: its owner may be in the middle of a call that brought us here. Nor, as long as it
// can be helped, the kernel's to place: it would come to lie in a hole that the program has made between its windows,
// and go when the program unmaps them all.

// The table, the one that takes its place, and a part of it. More ranges than the system's usual limit of mappings.
enum { SLOTS = 3, SLOT_SIZE = 4 << 20, SMALL = 1 << 16 };
static char slots[SLOTS][SLOT_SIZE] __attribute__((aligned(4096)));
static bool is_taken[SLOTS];

static size_t byte_count(size_t room) {
  return (sizeof(struct table) + room * sizeof(struct trap_range) + 4095) & ~(size_t)4095;
}

static void *take_memory(size_t size) {
  for (int i = 0; i < SLOTS && size <= SLOT_SIZE; i++) {
    if (is_taken[i]) continue;
    is_taken[i] = true;
    return slots[i];
  }
  long made = trap_system(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return made < 0 && made > -4096 ? NULL : (void *)made;
}

static void give_memory(void *memory, size_t size) {
  size_t slot = (size_t)((char *)memory - slots[0]) / SLOT_SIZE;
  if ((char *)memory < slots[0] || slot >= SLOTS) {
    trap_system(SYS_munmap, (long)memory, (long)size, 0, 0, 0, 0);
    return;
  }
  is_taken[slot] = false;
  if (size > SMALL) trap_system(SYS_madvise, (long)memory, (long)size, MADV_DONTNEED, 0, 0, 0);
}

static struct table *table_create(size_t room) {
  struct table *table = take_memory(byte_count(room));
  if (table == NULL) return NULL;
  table->count = 0;
  table->room = room;
  return table;
}

static void table_destroy(struct table *table) {
  for (size_t i = 0; i < table->count; i++) trap_release(table->ranges[i].device);
  if (table != &no_windows) give_memory(table, byte_count(table->room));
}

// MARK: - Ranges

// The part of a range that lies in [start, end).
static struct trap_range cut(const struct trap_range *range, uintptr_t start, uintptr_t end) {
  struct trap_range part = *range;
  if (part.start < start) {
    part.offset += start - part.start;
    part.start = start;
  }
  if (part.end > end) part.end = end;
  return part;
}

static bool continues(const struct trap_range *a, const struct trap_range *b) {
  return a->end == b->start && a->device == b->device && a->protection == b->protection
    && a->offset + (a->end - a->start) == b->offset;
}

static void append(struct table *table, struct trap_range range) {
  if (range.start >= range.end) return;
  struct trap_range *last = table->count > 0 ? &table->ranges[table->count - 1] : NULL;
  if (last != NULL && continues(last, &range)) last->end = range.end;
  else table->ranges[table->count++] = range;
}

// The first range that ends behind an address.
static size_t first_behind(const struct table *table, uintptr_t address) {
  size_t low = 0, high = table->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (table->ranges[middle].end > address) high = middle;
    else low = middle + 1;
  }
  return low;
}

// In place of the one that is current, of which [start, end) goes: whoever changes what pages show may then rely on it
// that nothing reaches the pages of before.
static void publish(struct table *table, uintptr_t start, uintptr_t end) {
  for (size_t i = 0; i < table->count; i++) trap_retain(table->ranges[i].device);
  struct table *old = atomic_exchange(&current, table);
  // First those who look it up, for they begin an access.
  trap_read_drain(&trap_lookups);
  ctrap_device *drained = NULL;
  for (size_t i = first_behind(old, start); i < old->count && old->ranges[i].start < end; i++) {
    if (old->ranges[i].device != drained) trap_read_drain(&old->ranges[i].device->accesses);
    drained = old->ranges[i].device;
  }
  table_destroy(old);
}

// A table with [start, end) replaced by ranges.
static int replace(
  uintptr_t start, uintptr_t end, const struct trap_range *ranges, size_t count
) {
  const struct table *old = atomic_load(&current);
  // One range may be cut into two.
  struct table *table = table_create(old->count + count + 1);
  if (table == NULL) return -ENOMEM;
  size_t i = 0;
  for (; i < old->count && old->ranges[i].start < start; i++) append(table, cut(&old->ranges[i], 0, start));
  for (size_t k = 0; k < count; k++) append(table, ranges[k]);
  for (i = first_behind(old, end); i < old->count; i++)
    append(table, cut(&old->ranges[i], end, UINTPTR_MAX));
  publish(table, start, end);
  return 0;
}

int trap_table_set(const struct trap_range *ranges, size_t count) {
  return count == 0 ? 0 : replace(ranges[0].start, ranges[count - 1].end, ranges, count);
}

int trap_table_remove(uintptr_t start, uintptr_t end) {
  return trap_table_has_any(start, end) ? replace(start, end, NULL, 0) : 0;
}

// Copies what is in [start, end), moved to begin at `target`, and calls for it to be put where it belongs.
static int transformed(
  uintptr_t start, uintptr_t end, uintptr_t target, int (*change)(struct table *part, void *argument),
  void *argument
) {
  const struct table *old = atomic_load(&current);
  struct table *part = table_create(old->count + 1);
  if (part == NULL) return -ENOMEM;
  for (size_t i = first_behind(old, start); i < old->count && old->ranges[i].start < end; i++) {
    struct trap_range range = cut(&old->ranges[i], start, end);
    range.start += target - start;
    range.end += target - start;
    part->ranges[part->count++] = range;
  }
  int result = change(part, argument);
  part->count = 0;  // it has no references of its own
  table_destroy(part);
  return result;
}

struct change {
  uintptr_t start, end;
  uintptr_t known_end;  // of what was copied
  int protection;
};

static int put_protected(struct table *part, void *argument) {
  const struct change *change = argument;
  for (size_t i = 0; i < part->count; i++) part->ranges[i].protection = change->protection;
  return replace(change->start, change->end, part->ranges, part->count);
}

int trap_table_protect(uintptr_t start, uintptr_t end, int protection) {
  struct change change = {.start = start, .end = end, .protection = protection};
  return transformed(start, end, start, put_protected, &change);
}

static int put_moved(struct table *part, void *argument) {
  const struct change *change = argument;
  if (part->count == 0) return trap_table_remove(change->start, change->end);
  // Longer than it was: the file goes on.
  struct trap_range *last = &part->ranges[part->count - 1];
  if (last->end == change->known_end) last->end = change->end;
  return replace(change->start, change->end, part->ranges, part->count);
}

int trap_table_move(
  uintptr_t start, size_t old_length, uintptr_t target, size_t new_length, bool keeps_old
) {
  size_t kept = old_length == 0 || old_length > new_length ? new_length : old_length;
  struct change change = {.start = target, .end = target + new_length, .known_end = target + kept};
  // What is copied from a length of 0 is the mapping from its start on, as far as it goes.
  int result = transformed(start, start + kept, target, put_moved, &change);
  if (result != 0 || keeps_old || old_length == 0) return result;
  uintptr_t end = start + old_length;
  // It may have been moved over a part of itself, which the kernel refuses, or stayed where it was.
  if (target == start) return new_length < old_length ? trap_table_remove(start + new_length, end) : 0;
  return trap_table_remove(start, end);
}

// MARK: - Looking

bool trap_table_has_any(uintptr_t start, uintptr_t end) {
  const struct table *table = atomic_load(&current);
  size_t i = first_behind(table, start);
  return i < table->count && table->ranges[i].start < end;
}

static int is_no_window(
  uintptr_t start, uintptr_t end, const struct trap_range *range, void *argument
) {
  (void)start, (void)end, (void)argument;
  return range == NULL;
}

bool trap_table_has_all(uintptr_t start, uintptr_t end) {
  return trap_table_visit(start, end, is_no_window, NULL) == 0;
}

int trap_table_visit(
  uintptr_t start, uintptr_t end,
  int (*visit)(uintptr_t, uintptr_t, const struct trap_range *, void *), void *argument
) {
  const struct table *table = atomic_load(&current);
  int result = 0;
  for (size_t i = first_behind(table, start); start < end && result == 0; i++) {
    bool is_last = i == table->count || table->ranges[i].start >= end;
    uintptr_t next = is_last ? end : table->ranges[i].start;
    if (start < next) result = visit(start, next, NULL, argument);
    if (result != 0 || is_last) break;
    struct trap_range part = cut(&table->ranges[i], start, end);
    result = visit(part.start, part.end, &part, argument);
    start = part.end;
  }
  return result;
}

bool trap_table_find(uintptr_t address, struct trap_range *range, uint32_t *access) {
  uint32_t reading = trap_read_begin(&trap_lookups);
  const struct table *table = atomic_load(&current);
  size_t i = first_behind(table, address);
  bool is_window = i < table->count && table->ranges[i].start <= address;
  if (is_window) {
    *range = table->ranges[i];
    // The table holds it, and waits for the access before it lets it go.
    *access = trap_read_begin(&range->device->accesses);
  }
  trap_read_end(&trap_lookups, reading);
  return is_window;
}
