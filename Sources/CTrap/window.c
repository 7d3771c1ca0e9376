// Windows for those who ask for them.
#include "internal.h"
#include "system.h"

#include <errno.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

// Maps pages of the file that nobody may touch: the kernel and debuggers see what they show.
static long map_pages(uintptr_t address, const ctrap_device *device, uint64_t offset, size_t length) {
  int flags = MAP_SHARED | MAP_NORESERVE | (address != 0 ? MAP_FIXED : 0);
  return trap_system(SYS_mmap, (long)address, (long)length, PROT_NONE, flags, device->fd, (long)offset);
}

static int check(const ctrap_device *device, int protection) {
  if (!device->is_readable) return -EACCES;
  return (protection & PROT_WRITE) != 0 && !device->is_writable ? -EACCES : 0;
}

int ctrap_map(
  ctrap_device *device, uint64_t offset, size_t length, int protection, void **address
) {
  int result = check(device, protection);
  if (result != 0) return result;
  uint64_t before;
  trap_lock(&before);
  result = trap_install();
  long mapped = result == 0 ? map_pages(0, device, offset, length) : result;
  if (mapped < 0 && mapped > -4096) result = (int)mapped;
  if (result == 0) {
    uintptr_t start = (uintptr_t)mapped;
    size_t whole = (length + PAGE - 1) / PAGE * PAGE;
    const struct trap_range range = {start, start + whole, device, offset, protection};
    result = trap_table_set(&range, 1);
    if (result != 0) trap_system(SYS_munmap, mapped, (long)length, 0, 0, 0, 0);
    else *address = (void *)mapped;
  }
  trap_unlock(before);
  return result;
}

// MARK: - Showing something else

static int map_again(
  uintptr_t start, uintptr_t end, const struct trap_range *range, void *argument
) {
  (void)argument;
  long mapped = map_pages(start, range->device, range->offset, end - start);
  return mapped < 0 && mapped > -4096 ? (int)mapped : 0;
}

// Whether they are whole pages and end within the address space, where they begin at `start`.
static bool are_whole(uintptr_t start, const struct ctrap_piece *pieces, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (pieces[i].length == 0 || pieces[i].length % PAGE != 0 || pieces[i].offset % PAGE != 0) return false;
    if (pieces[i].length > UINTPTR_MAX - start) return false;
    start += pieces[i].length;
  }
  return count > 0 && start % PAGE == 0;
}

// Leaves where the pages are to be brought back that it has changed, from the first range on, when it fails.
static int show(const struct trap_range *ranges, size_t count, uintptr_t *changed_end) {
  uintptr_t start = ranges[0].start, end = ranges[count - 1].end;
  *changed_end = start;
  int result = trap_table_has_all(start, end) ? 0 : -EINVAL;
  if (result != 0) return result;
  size_t done = 0;
  while (result == 0 && done < count) {
    result = map_again(ranges[done].start, ranges[done].end, &ranges[done], NULL);
    done++;
  }
  // Nobody can touch what is mapped: what a touch finds changes here, in one step.
  if (result == 0) result = trap_table_set(ranges, count);
  *changed_end = result == 0 ? start : ranges[done - 1].end;
  return result;
}

// Room for the ranges of `count` pieces; one needs none. A mapping that continues no other: given back, it leaves room
// for one of those that brings the old pages back at the process's limit of mappings.
static long make_room(size_t count, size_t *length) {
  *length = (count * sizeof(struct trap_range) + PAGE - 1) / PAGE * PAGE;
  return trap_system(SYS_mmap, 0, (long)*length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int ctrap_show(
  void *address, ctrap_device *device, int protection, const struct ctrap_piece *pieces,
  size_t count
) {
  int result = check(device, protection);
  if (result != 0) return result;
  if (!are_whole((uintptr_t)address, pieces, count)) return -EINVAL;
  struct trap_range single, *ranges = &single;
  size_t room = 0;
  if (count > 1) {
    long made = make_room(count, &room);
    if (made < 0 && made > -4096) return (int)made;
    ranges = (struct trap_range *)made;
  }
  uintptr_t start = (uintptr_t)address, changed_end;
  for (size_t i = 0; i < count; i++) {
    ranges[i] = (struct trap_range){start, start + pieces[i].length, device, pieces[i].offset, protection};
    start = ranges[i].end;
  }
  uint64_t before;
  trap_lock(&before);
  result = show(ranges, count, &changed_end);
  if (room != 0) trap_system(SYS_munmap, (long)ranges, (long)room, 0, 0, 0, 0);
  if (changed_end > (uintptr_t)address)
    trap_table_visit((uintptr_t)address, changed_end, map_again, NULL);
  trap_unlock(before);
  return result;
}

int ctrap_unmap(void *address, size_t length) {
  uintptr_t start = (uintptr_t)address, end = start + (length + PAGE - 1) / PAGE * PAGE;
  uint64_t before;
  trap_lock(&before);
  // First out of the table: another mapping may have the place as soon as the kernel has it back.
  int result = trap_put_aside(start, end, false);
  if (result == 0) {
    result = (int)trap_system(SYS_munmap, (long)start, (long)(end - start), 0, 0, 0, 0);
    // At the limit of mappings the kernel refuses even one that makes them fewer.
    if (result != 0) trap_bring_back(start, end);
    else trap_forget_aside(start, end);
  }
  trap_unlock(before);
  return result;
}
