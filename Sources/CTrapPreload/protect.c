// mprotect, madvise and mlock over windows: part by part, for the kernel knows only that nobody may touch them.
#include "preload.h"

#include <sys/mman.h>

enum { RIGHTS = PROT_READ | PROT_WRITE | PROT_EXEC };

// With the lock held: does something to each part of a place in ascending order, until one refuses.
static long each_place(
  uintptr_t start, uintptr_t end, long (*act)(const struct place *place, const void *argument),
  const void *argument
) {
  long result = 0;
  while (start < end && result == 0) {
    struct place place = first_place(start, end);
    result = act(&place, argument);
    start = place.end;
  }
  return result;
}

static long with_lock(
  uintptr_t start, uintptr_t end, long (*act)(const struct place *place, const void *argument),
  const void *argument
) {
  uint64_t before;
  trap_lock(&before);
  long result = each_place(start, end, act, argument);
  trap_unlock(before);
  return result;
}

static long call(const struct place *place, long number, long third, long fourth) {
  return trap_system(number, (long)place->start, (long)(place->end - place->start), third, fourth, 0, 0);
}

// MARK: - mprotect

struct protection {
  int rights;
  int key;  // -1: none is given
};

static long protect_pages(const struct place *place, int rights, int key) {
  return key == -1 ? call(place, SYS_mprotect, rights, 0) : call(place, SYS_pkey_mprotect, rights, key);
}

static long protect_place(const struct place *place, const void *argument) {
  const struct protection *protection = argument;
  if (!place->is_window) return protect_pages(place, protection->rights, protection->key);
  if ((protection->rights & PROT_WRITE) != 0 && !place->range.device->is_writable) return -EACCES;
  // The rights stay none; the kernel says whether it would take the rest.
  long result = protect_pages(place, protection->rights & ~RIGHTS, protection->key);
  return result != 0 ? result : trap_table_protect(place->start, place->end, protection->rights & RIGHTS);
}

static int protect(void *address, size_t length, const struct protection *protection) {
  uintptr_t start = (uintptr_t)address, end = page_end(start, length);
  if (end == 0 || start % PAGE != 0 || !windows_touch(start, end)) {
    const struct place all = {.start = start, .end = start + length};
    return (int)with_errno(protect_pages(&all, protection->rights, protection->key));
  }
  return (int)with_errno(with_lock(start, end, protect_place, protection));
}

PUBLIC int mprotect(void *address, size_t length, int rights) {
  const struct protection protection = {rights, -1};
  return protect(address, length, &protection);
}

PUBLIC int pkey_mprotect(void *address, size_t length, int rights, int key) {
  const struct protection protection = {rights, key};
  return protect(address, length, &protection);
}

// MARK: - madvise: a window has no pages to be filled beforehand.

static bool may(const struct trap_range *range, int advice) {
  return (range->protection & (advice == MADV_POPULATE_WRITE ? PROT_WRITE : RIGHTS)) != 0;
}

static long populate_place(const struct place *place, const void *argument) {
  int advice = *(const int *)argument;
  if (!place->is_window) return call(place, SYS_madvise, advice, 0);
  return may(&place->range, advice) ? 0 : -EINVAL;
}

PUBLIC int madvise(void *address, size_t length, int advice) {
  uintptr_t start = (uintptr_t)address, end = page_end(start, length);
  bool populates = advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;
  if (!populates || end == 0 || start % PAGE != 0 || !windows_touch(start, end))
    return (int)with_errno(trap_system(SYS_madvise, (long)start, (long)length, advice, 0, 0, 0));
  return (int)with_errno(with_lock(start, end, populate_place, &advice));
}

// MARK: - mlock

struct locking {
  long number;  // of the system call
  unsigned flags;
};

static long lock_place(const struct place *place, const void *argument) {
  const struct locking *locking = argument;
  long result = call(place, locking->number, (long)locking->flags, 0);
  // Locked, but nobody may touch what should be filled.
  return place->is_window && result == -ENOMEM ? 0 : result;
}

static int lock_pages(const void *address, size_t length, const struct locking *locking) {
  uintptr_t start = (uintptr_t)address & ~(uintptr_t)(PAGE - 1);
  uintptr_t end = page_end((uintptr_t)address, length);
  if (end == 0 || !windows_touch(start, end))
    return (int)with_errno(trap_system(locking->number, (long)address, (long)length, locking->flags, 0, 0, 0));
  return (int)with_errno(with_lock(start, end, lock_place, locking));
}

PUBLIC int mlock(const void *address, size_t length) {
  const struct locking locking = {SYS_mlock, 0};
  return lock_pages(address, length, &locking);
}

PUBLIC int mlock2(const void *address, size_t length, unsigned flags) {
  const struct locking locking = {SYS_mlock2, flags};
  return lock_pages(address, length, &locking);
}
