// Device files and their regions, and what the environment wants of them.
#include "preload.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define XIVE_NO_INLINE_ACCESS
#include "xive.h"

// MARK: - XIVE_TRAP

enum { KIND_NONE = 0, KIND_ESB = 1, KIND_TIMA = 2, KIND_ALL = KIND_ESB | KIND_TIMA };

// Read early: a program may change its environment while another thread maps.
static _Atomic int wanted = -1;
static _Atomic bool is_misspelt;

static int kind_named(const char *word, size_t length) {
  if (length == 3 && memcmp(word, "esb", length) == 0) return KIND_ESB;
  return length == 4 && memcmp(word, "tima", length) == 0 ? KIND_TIMA : KIND_NONE;
}

static int parse(const char *text) {
  int kinds = KIND_NONE;
  for (;;) {
    size_t length = strcspn(text, ",");
    int kind = kind_named(text, length);
    if (kind == KIND_NONE) return KIND_NONE;
    kinds |= kind;
    if (text[length] == '\0') return kinds;
    text += length + 1;
  }
}

__attribute__((constructor)) static void read_environment(void) {
  const char *text = getenv("XIVE_TRAP");
  int kinds = text == NULL ? KIND_ALL : parse(text);
  if (kinds == KIND_NONE) atomic_store(&is_misspelt, true);
  atomic_store(&wanted, kinds == KIND_NONE ? KIND_ALL : kinds);
}

// Said by a process that has a device, not by each that the library was loaded into.
static void say_misspelt(void) {
  static const char words[] =
    "xive: XIVE_TRAP is none of esb, tima and esb,tima: the windows of both kinds trap\n";
  if (atomic_exchange(&is_misspelt, false)) trap_system(SYS_write, 2, (long)words, sizeof words - 1, 0, 0, 0);
}

static int wanted_kinds(void) {
  if (atomic_load(&wanted) < 0) read_environment();
  say_misspelt();
  return atomic_load(&wanted);
}

// MARK: - Device files

// By what the kernel knows already: another file's server is not asked, and may hang.
static bool looks_like_device(int fd) {
  struct statx status;
  long result = trap_system(SYS_statx, fd, (long)"", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE,
                            (long)&status, 0);
  return result == 0 && S_ISREG(status.stx_mode) && status.stx_size == XIVE_DEVICE_SIZE;
}

bool is_device(int fd, uint32_t *page_shift) {
  if (!looks_like_device(fd)) return false;
  struct statfs system;
  if (trap_system(SYS_fstatfs, fd, (long)&system, 0, 0, 0, 0) != 0 || system.f_type != FUSE_SUPER_MAGIC) return false;
  struct xive_attr attribute = {.group = XIVE_GROUP_INFO, .attr = XIVE_INFO_GEOMETRY};
  if (trap_system(SYS_ioctl, fd, (long)XIVE_GET_ATTR, (long)&attribute, 0, 0, 0) != 0) return false;
  struct xive_info_geometry geometry;
  memcpy(&geometry, attribute.data, sizeof geometry);
  *page_shift = geometry.device_page_shift;
  return *page_shift >= 12 && *page_shift < XIVE_REGION_SHIFT - 2;
}

// The kind of the page at an offset, and where others may begin.
static int kind_at(uint64_t offset, uint32_t page_shift, uint64_t *end) {
  uint64_t region = offset >> XIVE_REGION_SHIFT;
  uint64_t tima_end = (uint64_t)KVM_XIVE_ESB_PAGE_OFFSET << page_shift;
  *end = offset < tima_end ? tima_end : (region + 1) << XIVE_REGION_SHIFT;
  if (offset < tima_end || region == XIVE_REGION_TIMA) return KIND_TIMA;
  if (region == XIVE_REGION_KERNEL || region == XIVE_REGION_ESB || region == XIVE_REGION_END) return KIND_ESB;
  return region >= XIVE_REGION_PHB && region < XIVE_REGION_PHB + XIVE_MAX_PHBS ? KIND_ESB : KIND_NONE;
}

uint64_t kind_end(uint64_t offset, uint64_t end, uint32_t page_shift, bool *is_window) {
  int kinds = wanted_kinds();
  uint64_t next;
  *is_window = (kind_at(offset, page_shift, &next) & kinds) != 0;
  while (next < end) {
    uint64_t behind;
    if (((kind_at(next, page_shift, &behind) & kinds) != 0) != *is_window) return next;
    next = behind;
  }
  return end;
}

int make_exact(int fd) {
  long flags = trap_system(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
  if (flags < 0 || (flags & O_DIRECT) != 0) return flags < 0 ? (int)flags : 0;
  return (int)trap_system(SYS_fcntl, fd, F_SETFL, flags | O_DIRECT, 0, 0, 0);
}
