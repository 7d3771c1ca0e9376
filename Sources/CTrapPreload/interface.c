// xive_trap.h
#include "preload.h"

#include "xive_trap.h"

static int begin(void) {
  uint64_t before;
  trap_lock(&before);
  int result = windows_begin();
  trap_unlock(before);
  return result;
}

PUBLIC int xive_trap_map(int fd, uint64_t offset, size_t length, int protection, void **address) {
  int result = make_exact(fd);
  if (result == 0) result = begin();
  if (result != 0) return result;
  ctrap_device *device;
  result = ctrap_device_open(fd, &device);
  if (result != 0) return result;
  result = ctrap_map(device, offset, length, protection, address);
  ctrap_device_close(device);
  return result;
}

PUBLIC int xive_trap_unmap(void *address, size_t length) {
  return (int)unmap_place((uintptr_t)address, length);
}

PUBLIC uint64_t xive_trap_access_count(void) { return ctrap_access_count(); }

PUBLIC const char *xive_trap_version(void) { return XIVE_TRAP_VERSION; }
