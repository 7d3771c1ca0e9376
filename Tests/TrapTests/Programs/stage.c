#include "internal.h"

#include "stage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct stage stage;
static ctrap_device *device;

static void require(bool is_met, const char *what) {
  if (is_met) return;
  perror(what);
  exit(1);
}

static uint8_t *map_guarded(int protection, int flags) {
  uint8_t *room = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  require(room != MAP_FAILED, "mmap");
  void *middle = mmap(room + PAGE, PAGE, protection, MAP_SHARED | MAP_FIXED, stage.memory, 0);
  require(middle != MAP_FAILED, "mmap");
  return room + PAGE;
}

static struct view map_view(int flags) {
  struct view view = {
    map_guarded(PROT_READ, flags), map_guarded(PROT_READ | PROT_WRITE, flags), map_guarded(PROT_NONE, flags)};
  stage_trap(view.window);
  return view;
}

// Far from everything else, so that what it can reach by its own address is free.
static uint8_t *map_code(uint64_t random) {
  void *wish = (void *)(UINT64_C(0x100000000000) + (random & 0xffff) * PAGE);
  int protection = PROT_READ | PROT_WRITE | PROT_EXEC;
  uint8_t *code = mmap(wish, 2 * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(code != MAP_FAILED && mprotect(code + PAGE, PAGE, PROT_NONE) == 0, "mmap");
  return code + PAGE;
}

// The first window as programs make one, which installs the handler; the others at addresses of their own.
static void start_traps(void) {
  void *address;
  require(ctrap_device_open(stage.memory, &device) == 0, "ctrap_device_open");
  require(ctrap_map(device, 0, PAGE, PROT_READ | PROT_WRITE, &address) == 0, "ctrap_map");
}

void stage_start(uint64_t random) {
  stage.memory = memfd_create("stage", MFD_CLOEXEC);
  require(stage.memory >= 0 && ftruncate(stage.memory, PAGE) == 0, "memfd_create");
  stage.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, stage.memory, 0);
  require(stage.page != MAP_FAILED, "mmap");
  start_traps();
  stage.high = map_view(0);
  stage.low = map_view(MAP_32BIT);
  stage.code_end = map_code(random);
}

uint8_t *stage_show(uint64_t address, int protection) {
  void *wish = (void *)address;
  uint8_t *shown = mmap(wish, PAGE, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, stage.memory, 0);
  if (shown == MAP_FAILED) return NULL;
  if (shown == wish) return shown;
  munmap(shown, PAGE);
  return NULL;
}

void stage_trap(uint8_t *shown) {
  uintptr_t start = (uintptr_t)shown;
  const struct trap_range range = {start, start + PAGE, device, 0, PROT_READ | PROT_WRITE};
  uint64_t before;
  require(mprotect(shown, PAGE, PROT_NONE) == 0, "mprotect");
  trap_lock(&before);
  require(trap_table_set(&range, 1) == 0, "trap_table_set");
  trap_unlock(before);
}

void stage_hide(uint8_t *shown) {
  require(ctrap_unmap(shown, PAGE) == 0, "ctrap_unmap");
}
