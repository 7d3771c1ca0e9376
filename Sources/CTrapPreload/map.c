// mmap: pages of a device file become windows; whatever is mapped over a window ends it.
#include "preload.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/shm.h>

struct mapping {
  uintptr_t start;
  size_t length;
  int protection, flags, fd;
  uint64_t offset;
};

static long map_plain(const struct mapping *mapping) {
  return trap_system(SYS_mmap, (long)mapping->start, (long)mapping->length, mapping->protection, mapping->flags,
                     mapping->fd, (long)mapping->offset);
}

// Pages that nobody may touch: a touch comes to the handler.
static long map_closed(const struct mapping *mapping) {
  struct mapping closed = *mapping;
  closed.protection &= ~(PROT_READ | PROT_WRITE | PROT_EXEC);
  return map_plain(&closed);
}

// The part of a mapping from one offset of the file to another, where it is.
static struct mapping part_of(const struct mapping *mapping, uint64_t offset, uint64_t end) {
  struct mapping part = *mapping;
  part.start += offset - mapping->offset;
  part.offset = offset;
  part.length = end - offset;
  part.flags = (mapping->flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
  return part;
}

// MARK: - One kind at a known place. With the lock held.

static int enter(const struct mapping *mapping, ctrap_device *device) {
  const struct trap_range range = {
    mapping->start, mapping->start + mapping->length, device, mapping->offset, mapping->protection};
  return trap_table_set(&range, 1);
}

// Over windows alone: no touch gets through before or after, so the table alone says what it finds.
static long overmap(const struct mapping *mapping, ctrap_device *device) {
  long result = map_closed(mapping);
  return has_failed(result) ? result : enter(mapping, device);
}

// Over anything else: in the table before the first touch comes.
static long map_over(const struct mapping *mapping, ctrap_device *device) {
  uintptr_t end = mapping->start + mapping->length;
  int result = trap_put_aside(mapping->start, end, true);
  if (result != 0) return result;
  long mapped = enter(mapping, device);
  if (mapped == 0) mapped = map_closed(mapping);
  if (has_failed(mapped)) trap_bring_back(mapping->start, end);
  else trap_forget_aside(mapping->start, end);
  return mapped;
}

static long map_window(const struct mapping *mapping, ctrap_device *device) {
  bool are_windows = trap_table_has_all(mapping->start, mapping->start + mapping->length);
  return are_windows ? overmap(mapping, device) : map_over(mapping, device);
}

// A touch finds the window until there is memory to find.
static long map_memory(const struct mapping *mapping) {
  long result = map_plain(mapping);
  if (has_failed(result)) return result;
  int removed = trap_table_remove(mapping->start, page_end(mapping->start, mapping->length));
  return removed == 0 ? result : removed;
}

// MARK: - Device files

// With the lock held: each part of a mapping as its kind wants it. `is_closed`: it is there, without any rights.
static long map_parts(const struct mapping *mapping, ctrap_device *device, uint32_t page_shift, bool is_closed) {
  long result = 0;
  uint64_t end = mapping->offset + mapping->length, next;
  for (uint64_t offset = mapping->offset; offset < end && !has_failed(result); offset = next) {
    bool is_window;
    next = kind_end(offset, end, page_shift, &is_window);
    struct mapping part = part_of(mapping, offset, next);
    if (!is_window) result = map_memory(&part);
    else result = is_closed ? enter(&part, device) : map_window(&part, device);
  }
  return has_failed(result) ? result : (long)mapping->start;
}

// Where the kernel chooses: the whole first, which nobody can know of yet.
static long map_anywhere(struct mapping *mapping, ctrap_device *device, uint32_t page_shift) {
  long mapped = map_closed(mapping);
  if (has_failed(mapped)) return mapped;
  mapping->start = (uintptr_t)mapped;
  long result = map_parts(mapping, device, page_shift, true);
  if (has_failed(result)) {
    trap_table_remove(mapping->start, mapping->start + mapping->length);
    trap_system(SYS_munmap, mapped, (long)mapping->length, 0, 0, 0, 0);
  }
  return result;
}

static long map_device(struct mapping *mapping, uint32_t page_shift) {
  int result = make_exact(mapping->fd);
  if (result != 0) return result;
  ctrap_device *device;
  result = ctrap_device_open(mapping->fd, &device);
  if (result != 0) return result;
  // Whole pages, as the kernel takes it.
  mapping->length = (mapping->length + PAGE - 1) & ~(size_t)(PAGE - 1);
  bool is_placed = (mapping->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;
  uint64_t before;
  trap_lock(&before);
  long mapped = windows_begin();
  if (mapped == 0)
    mapped = is_placed ? map_parts(mapping, device, page_shift, false) : map_anywhere(mapping, device, page_shift);
  trap_unlock(before);
  ctrap_device_close(device);
  return mapped;
}

// What the kernel refuses is left to it: the program gets the errors that it knows.
static bool is_refused(const struct mapping *mapping) {
  bool is_placed = (mapping->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;
  uintptr_t end = page_end(mapping->start, mapping->length);
  if (end == 0 || mapping->offset % PAGE != 0 || (is_placed && mapping->start % PAGE != 0)) return true;
  // Of the rights the kernel sees none; that the file may be read it asks all the same.
  long flags = trap_system(SYS_fcntl, mapping->fd, F_GETFL, 0, 0, 0, 0);
  return (mapping->protection & PROT_WRITE) != 0 && (flags & O_ACCMODE) == O_RDONLY;
}

// Whether a part of a mapping is to be a window.
static bool has_windows(const struct mapping *mapping, uint32_t *page_shift) {
  // Of the types of mappings only the two shared ones have this bit.
  bool is_shared_file = (mapping->flags & (MAP_SHARED | MAP_ANONYMOUS)) == MAP_SHARED;
  if (!is_shared_file || mapping->fd < 0 || !is_device(mapping->fd, page_shift)) return false;
  const uint64_t size = UINT64_C(1) << 62;
  if (is_refused(mapping) || mapping->offset >= size || mapping->length > size - mapping->offset) return false;
  bool is_window;
  uint64_t end = mapping->offset + mapping->length;
  uint64_t next = kind_end(mapping->offset, end, *page_shift, &is_window);
  return is_window || next < end;
}

static long map(struct mapping *mapping) {
  uint32_t page_shift;
  if (has_windows(mapping, &page_shift)) return map_device(mapping, page_shift);
  bool is_placed = (mapping->flags & MAP_FIXED) != 0;
  uintptr_t end = page_end(mapping->start, mapping->length);
  if (!is_placed || end == 0 || !windows_touch(mapping->start, end)) return map_plain(mapping);
  uint64_t before;
  trap_lock(&before);
  long mapped = map_memory(mapping);
  trap_unlock(before);
  return mapped;
}

PUBLIC void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  struct mapping mapping = {(uintptr_t)address, length, protection, flags, fd, (uint64_t)offset};
  return (void *)with_errno(map(&mapping));
}

PUBLIC void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
  __attribute__((alias("mmap")));

// MARK: - Shared memory, which may be attached over anything.

static long attach_over(int id, const void *address, int flags) {
  uint64_t before;
  trap_lock(&before);
  long attached = trap_system(SYS_shmat, id, (long)address, flags, 0, 0, 0);
  struct shmid_ds status;
  if (!has_failed(attached) && trap_system(SYS_shmctl, id, IPC_STAT, (long)&status, 0, 0, 0) >= 0)
    trap_table_remove((uintptr_t)attached, page_end((uintptr_t)attached, status.shm_segsz));
  trap_unlock(before);
  return attached;
}

PUBLIC void *shmat(int id, const void *address, int flags) {
  bool may_replace = (flags & SHM_REMAP) != 0 && windows_may_be();
  return (void *)with_errno(
    may_replace ? attach_over(id, address, flags) : trap_system(SYS_shmat, id, (long)address, flags, 0, 0, 0));
}
