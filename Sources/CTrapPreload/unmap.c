// munmap and mremap over windows.
#include "preload.h"

#include <stdarg.h>
#include <sys/mman.h>

// With the lock held: a call that ends what is in a place. First out of the table: something else may be there as soon
// as the kernel has the place back.
static long end_windows(uintptr_t start, uintptr_t end, long number, const long arguments[5]) {
  int result = trap_put_aside(start, end, false);
  if (result != 0) return result;
  long done = trap_system(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], 0);
  if (has_failed(done)) trap_bring_back(start, end);
  else trap_forget_aside(start, end);
  return done;
}

long unmap_place(uintptr_t start, size_t length) {
  uintptr_t end = page_end(start, length);
  const long arguments[5] = {(long)start, (long)length};
  if (end == 0 || start % PAGE != 0 || !windows_touch(start, end))
    return trap_system(SYS_munmap, arguments[0], arguments[1], 0, 0, 0, 0);
  uint64_t before;
  trap_lock(&before);
  long result = end_windows(start, end, SYS_munmap, arguments);
  trap_unlock(before);
  return result;
}

PUBLIC int munmap(void *address, size_t length) {
  return (int)with_errno(unmap_place((uintptr_t)address, length));
}

// MARK: - mremap

struct move {
  uintptr_t start, target;
  size_t old_length, new_length;  // whole pages
  int flags;
};

static long move_pages(const struct move *move) {
  return trap_system(SYS_mremap, (long)move->start, (long)move->old_length, (long)move->new_length, move->flags,
                     (long)move->target, 0);
}

// What the place that is moved is in the table. From a length of 0 a copy is made of the mapping at its start.
static uintptr_t old_end(const struct move *move) {
  return move->start + (move->old_length == 0 ? PAGE : move->old_length);
}

static bool keeps_old(const struct move *move) {
  return move->old_length == 0 || (move->flags & MREMAP_DONTUNMAP) != 0;
}

static int copy_entries(const struct move *move, uintptr_t target) {
  if (move->old_length != 0)
    return trap_table_move(move->start, move->old_length, target, move->new_length, true);
  struct trap_range range = first_place(move->start, move->start + PAGE).range;
  range.start = target;
  range.end = target + move->new_length;
  return trap_table_set(&range, 1);
}

static int drop_old(const struct move *move, uintptr_t target) {
  return keeps_old(move) || target == move->start ? 0 : trap_table_remove(move->start, old_end(move));
}

// To a known place: there in the table before the first touch comes.
static long move_windows_over(const struct move *move) {
  uintptr_t end = move->target + move->new_length;
  long result = trap_put_aside(move->target, end, true);
  if (result != 0) return result;
  result = copy_entries(move, move->target);
  if (result == 0) result = move_pages(move);
  if (has_failed(result)) {
    trap_bring_back(move->target, end);
    return result;
  }
  trap_forget_aside(move->target, end);
  int dropped = drop_old(move, move->target);
  return dropped == 0 ? result : dropped;
}

// Memory over windows: a touch finds them until it finds the memory.
static long move_memory_over(const struct move *move) {
  long result = move_pages(move);
  if (has_failed(result)) return result;
  int removed = trap_table_remove(move->target, move->target + move->new_length);
  return removed == 0 ? result : removed;
}

static long shrink(const struct move *move) {
  const long arguments[5] = {
    (long)move->start, (long)move->old_length, (long)move->new_length, move->flags, (long)move->target};
  return end_windows(move->start + move->new_length, move->start + move->old_length, SYS_mremap, arguments);
}

// Where the kernel chooses, or where it is: nobody touches a place that mremap has not told of yet.
static long grow_or_move(const struct move *move) {
  long target = move_pages(move);
  if (has_failed(target)) return target;
  int result = copy_entries(move, (uintptr_t)target);
  if (result == 0) result = drop_old(move, (uintptr_t)target);
  return result == 0 ? target : result;
}

static long move_windows(const struct move *move) {
  bool is_placed = (move->flags & MREMAP_FIXED) != 0;
  if (!trap_table_has_any(move->start, old_end(move))) return is_placed ? move_memory_over(move) : move_pages(move);
  if (is_placed) return move_windows_over(move);
  bool shrinks = move->new_length < move->old_length && (move->flags & MREMAP_DONTUNMAP) == 0;
  return shrinks ? shrink(move) : grow_or_move(move);
}

// Whether the kernel refuses it whatever is there: then the table need not be touched.
static bool is_refused(const struct move *move) {
  if (move->start % PAGE != 0 || page_end(move->start, move->new_length) == 0) return true;
  if (move->old_length != 0 && page_end(move->start, move->old_length) == 0) return true;
  if ((move->flags & MREMAP_FIXED) == 0) return false;
  uintptr_t end = page_end(move->target, move->new_length);
  return move->target % PAGE != 0 || end == 0 || (move->target < old_end(move) && move->start < end);
}

static bool touches_windows(const struct move *move) {
  if (windows_touch(move->start, old_end(move))) return true;
  return (move->flags & MREMAP_FIXED) != 0 && windows_touch(move->target, move->target + move->new_length);
}

static size_t whole(size_t length) { return (length + PAGE - 1) & ~(size_t)(PAGE - 1); }

PUBLIC void *mremap(void *address, size_t old_length, size_t new_length, int flags, ...) {
  struct move move = {(uintptr_t)address, 0, whole(old_length), whole(new_length), flags};
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    move.target = (uintptr_t)va_arg(arguments, void *);
    va_end(arguments);
  }
  if (is_refused(&move) || !touches_windows(&move)) return (void *)with_errno(move_pages(&move));
  uint64_t before;
  trap_lock(&before);
  long result = move_windows(&move);
  trap_unlock(before);
  return (void *)with_errno(result);
}
