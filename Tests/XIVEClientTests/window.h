// What the programs about a guest's window share: its runs, its mappings, the limit of mappings.
#ifndef WINDOW_H
#define WINDOW_H

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect.h"

enum { PAGE = 4096 };

static inline uint64_t own(uint32_t page) { return xive_esb_offset(0, XIVE_TRIGGER, PAGE) + page * PAGE; }

static inline uint64_t of_phb(uint32_t phb, uint32_t irq) { return xive_phb_offset(phb, irq, PAGE); }

// A window's mappings, as the system sees them: without a gap, and all of the base at `offset`,
// unless that is 0.
static inline void check_mappings(const char *start, size_t length, uint64_t offset, int line) {
  char text[512];
  uintptr_t next = (uintptr_t)start;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps != NULL && fgets(text, sizeof text, maps) != NULL) {
    unsigned long first, end;
    unsigned long long place;
    if (sscanf(text, "%lx-%lx %*s %llx", &first, &end, &place) != 3) continue;
    if (end <= (uintptr_t)start || first >= (uintptr_t)start + length) continue;
    if (first > next) break;
    uint64_t expected = offset + (first - (uintptr_t)start);
    if (offset != 0 && place != expected) {
      printf("line %d: not the base: %s", line, text);
      failures++;
    }
    next = end;
  }
  if (maps == NULL || next < (uintptr_t)start + length) {
    printf("line %d: a gap at %lx\n", line, (unsigned long)next);
    failures++;
  }
  if (maps != NULL) fclose(maps);
}

static inline int plug(xive_client_window *window, uint32_t lisn, uint32_t phb, uint32_t irq,
                uint32_t count) {
  struct xive_passthrough run = {.phb = phb, .first_hwirq = irq, .count = count};
  return xive_client_window_plug(window, lisn, &run);
}

static inline int unplug(xive_client_window *window, uint32_t lisn, uint32_t phb, uint32_t irq,
                  uint32_t count) {
  struct xive_passthrough run = {.phb = phb, .first_hwirq = irq, .count = count};
  return xive_client_window_unplug(window, lisn, &run);
}

static inline const char *pages_of(xive_client_window *window, uint32_t lisn) {
  return (const char *)xive_client_window_address(window) + (size_t)lisn * 2 * PAGE;
}

// Leaves room for `count` more mappings, or takes all that there is. No neighbours continue each
// other, so that each page is a mapping.
static void *fillers[1 << 21];
static size_t filled;

static inline void leave_room(int file, size_t count) {
  while (filled < sizeof fillers / sizeof *fillers) {
    void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    if (page == MAP_FAILED) break;
    fillers[filled++] = page;
  }
  EXPECT(errno == ENOMEM);
  while (count-- > 0) munmap(fillers[--filled], PAGE);
}

// At the limit of mappings a run is plugged whole or not at all, and can always be unplugged: the window's base is back
// each time. `is_shown`: whether a run that begins at source 5 is there. Returns how many runs were refused.
static inline int check_limit(
  xive_client_window *window, uint32_t sources, bool (*is_shown)(xive_client_window *, uint32_t count),
  void (*check_base)(xive_client_window *)
) {
  const char *start = pages_of(window, 0);
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), refused = 0, plugged = 0;
  // The heap grows in place, and early.
  mallopt(M_MMAP_THRESHOLD, 1 << 30), mallopt(M_TRIM_THRESHOLD, 1 << 30);
  free(malloc(4 << 20));
  for (uint32_t count = 2; count <= 32; count *= 4) {
    for (size_t room = 0; room < count + 6; room += 1 + count / 16) {
      leave_room(file, room);
      int result = plug(window, 5, 0, 5, count);
      if (result == 0) {
        plugged++;
        EXPECT(is_shown(window, count));
        EXPECT(unplug(window, 5, 0, 5, count) == 0);
      } else {
        refused++;
        EXPECT(result == -ENOMEM);
        EXPECT(strstr(xive_client_error_message(), "vm.max_map_count") != NULL);
        // What was not plugged cannot be unplugged.
        EXPECT(unplug(window, 5, 0, 5, count) == -ENOENT);
      }
      leave_room(file, 16);
      check_mappings(start, (size_t)sources * 2 * PAGE, own(0), __LINE__);
      check_base(window);
    }
  }
  EXPECT(plugged >= 3);
  while (filled > 0) munmap(fillers[--filled], PAGE);
  close(file);
  return refused;
}

#endif
