// mremap of windows, and over them: moves PATH
#include "rig.h"

static uint8_t *memory(void *address, size_t length) {
  int fixed = address != NULL ? MAP_FIXED : 0;
  return mapped(address, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
}

// A place that nothing is in.
static uint8_t *nowhere(size_t length) {
  uint8_t *place = memory(NULL, length);
  EXPECT(munmap(place, length) == 0);
  return place;
}

static void shrink(void) {
  uint8_t *window = map_sources(NULL, 0, 8, 0);
  EXPECT(mremap(window, 8 * PAIR, 5 * PAIR - 1, 0) == window);
  EXPECT_WINDOWS(window, 0, 5);
  EXPECT_GONE(window + 5 * PAIR);
  EXPECT_GONE(window + 8 * PAIR - PAGE);
  // Refused, and as it was: the length of a shrunk one is not that any more.
  errno = 0;
  EXPECT(mremap(window, 5 * PAIR, 0, 0) == MAP_FAILED && errno == EINVAL);
  errno = 0;
  EXPECT(mremap(window + 1, 5 * PAIR, PAIR, 0) == MAP_FAILED && errno == EINVAL);
  errno = 0;
  EXPECT(mremap(window, 5 * PAIR, 3 * PAIR, 0x100) == MAP_FAILED && errno == EINVAL);
  EXPECT_WINDOWS(window, 0, 5);
  EXPECT(munmap(window, 5 * PAIR) == 0);
}

static void grow(void) {
  uint8_t *place = nowhere(16 * PAIR);
  uint8_t *window = map_sources(place, 20, 2, MAP_FIXED);
  EXPECT(mremap(window, 2 * PAIR, 6 * PAIR, 0) == window);
  EXPECT_WINDOWS(window, 20, 6);
  // What is behind is in the way: not without leave, then elsewhere.
  memory(window + 6 * PAIR, PAGE);
  errno = 0;
  EXPECT(mremap(window, 6 * PAIR, 8 * PAIR, 0) == MAP_FAILED && errno == ENOMEM);
  EXPECT_WINDOWS(window, 20, 6);
  EXPECT_MEMORY(window + 6 * PAIR);
  uint8_t *moved = mremap(window, 6 * PAIR, 8 * PAIR, MREMAP_MAYMOVE);
  EXPECT(moved != MAP_FAILED && moved != window);
  EXPECT_WINDOWS(moved, 20, 8);
  EXPECT_GONE(window);
  EXPECT_GONE(window + 6 * PAIR - PAGE);
  EXPECT_MEMORY(window + 6 * PAIR);
  EXPECT(munmap(moved, 8 * PAIR) == 0 && munmap(place, 16 * PAIR) == 0);
}

static void move_to(void) {
  uint8_t *place = nowhere(16 * PAIR);
  uint8_t *window = map_sources(NULL, 32, 8, 0);
  int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
  // To nothing; longer; to memory; to other windows; a part.
  EXPECT(mremap(window, 8 * PAIR, 8 * PAIR, flags, place) == place);
  EXPECT_WINDOWS(place, 32, 8);
  EXPECT_GONE(window);
  EXPECT_GONE(window + 8 * PAIR - PAGE);
  EXPECT(mremap(place + 2 * PAIR, 6 * PAIR, 7 * PAIR, flags, place + 9 * PAIR) == place + 9 * PAIR);
  EXPECT_WINDOWS(place, 32, 2);
  EXPECT_GONE(place + 2 * PAIR);
  EXPECT_WINDOWS(place + 9 * PAIR, 34, 7);
  memory(place + 2 * PAIR, 4 * PAIR);
  EXPECT(mremap(place, PAIR, PAIR, flags, place + 3 * PAIR) == place + 3 * PAIR);
  EXPECT_GONE(place);
  EXPECT_WINDOW(place + PAIR, 33);
  EXPECT_MEMORY(place + 2 * PAIR);
  EXPECT_WINDOW(place + 3 * PAIR, 32);
  EXPECT_MEMORY(place + 4 * PAIR);
  EXPECT(mremap(place + PAIR, PAIR, PAIR, flags, place + 10 * PAIR) == place + 10 * PAIR);
  EXPECT_WINDOW(place + 9 * PAIR, 34);
  EXPECT_WINDOW(place + 10 * PAIR, 33);
  EXPECT_WINDOWS(place + 11 * PAIR, 36, 5);
  // Shorter, to a place of its own choice.
  EXPECT(mremap(place + 11 * PAIR, 5 * PAIR, 2 * PAIR, flags, place) == place);
  EXPECT_WINDOWS(place, 36, 2);
  EXPECT_GONE(place + 11 * PAIR);
  EXPECT_GONE(place + 15 * PAIR);
  EXPECT(munmap(place, 16 * PAIR) == 0);
}

static void refusals(void) {
  // Apart, so that neither reaches the other, however long it is taken to be.
  uint8_t *place = nowhere(64 * PAIR);
  uint8_t *window = map_sources(place, 0, 4, MAP_FIXED), *other = map_sources(place + 32 * PAIR, 8, 4, MAP_FIXED);
  uint8_t *memories = memory(NULL, 2 * PAIR);
  EXPECT(munmap(memories + PAIR, PAIR) == 0);
  const struct {
    uint8_t *start;
    size_t old, new;
    int flags;
    uint8_t *target;
    int error;
  } cases[] = {
    {window, PAIR, PAIR, MREMAP_FIXED, other, EINVAL},                           // without MAYMOVE
    {window, PAIR, PAIR, MREMAP_FIXED | MREMAP_MAYMOVE, other + 1, EINVAL},      // unaligned
    {window, PAIR, 0, MREMAP_FIXED | MREMAP_MAYMOVE, other, EINVAL},             // empty
    {window, 2 * PAIR, 2 * PAIR, MREMAP_FIXED | MREMAP_MAYMOVE, window + PAIR, EINVAL},  // over itself
    {window, 2 * PAIR, PAIR, MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP, other, EINVAL},
    {window, 6 * PAIR, 7 * PAIR, MREMAP_FIXED | MREMAP_MAYMOVE, other, EFAULT},  // beyond its end
    {memories, 2 * PAIR, 3 * PAIR, MREMAP_FIXED | MREMAP_MAYMOVE, other, EFAULT},
    {window, PAIR, PAIR, MREMAP_FIXED | MREMAP_MAYMOVE, (uint8_t *)-PAIR, EINVAL},  // beyond all memory
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    errno = 0;
    void *result = mremap(cases[i].start, cases[i].old, cases[i].new, cases[i].flags, cases[i].target);
    if (result == MAP_FAILED && errno == cases[i].error) continue;
    printf("refusal %zu: %p, errno %d\n", i, result, errno);
    failures++;
  }
  EXPECT_WINDOWS(window, 0, 4);
  EXPECT_WINDOWS(other, 8, 4);
  EXPECT_MEMORY(memories);
  EXPECT(munmap(window, 4 * PAIR) == 0 && munmap(other, 4 * PAIR) == 0 && munmap(memories, PAIR) == 0);
}

static void copies(void) {
  uint8_t *window = map_sources(NULL, 40, 4, 0);
  // Of length 0: another mapping of the same, here longer than the first.
  uint8_t *copy = mremap(window + PAIR, 0, 5 * PAIR, MREMAP_MAYMOVE);
  EXPECT(copy != MAP_FAILED);
  EXPECT_WINDOWS(window, 40, 4);
  EXPECT_WINDOWS(copy, 41, 5);
  uint8_t *place = memory(NULL, 4 * PAIR);
  EXPECT(mremap(window, 0, 2 * PAIR, MREMAP_MAYMOVE | MREMAP_FIXED, place + PAIR) == place + PAIR);
  EXPECT_WINDOWS(window, 40, 4);
  EXPECT_MEMORY(place);
  EXPECT_WINDOWS(place + PAIR, 40, 2);
  EXPECT_MEMORY(place + 3 * PAIR);
  // Moved, and there all the same: the pages would be filled again.
  uint8_t *moved = mremap(window, 4 * PAIR, 4 * PAIR, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
  EXPECT(moved != MAP_FAILED && moved != window);
  EXPECT_WINDOWS(window, 40, 4);
  EXPECT_WINDOWS(moved, 40, 4);
  EXPECT(munmap(window, 4 * PAIR) == 0 && munmap(moved, 4 * PAIR) == 0);
  EXPECT(munmap(copy, 5 * PAIR) == 0 && munmap(place, 4 * PAIR) == 0);
}

static void memory_over_windows(void) {
  uint8_t *window = map_sources(NULL, 50, 4, 0);
  uint8_t *page = memory(NULL, PAGE);
  store(page, 16, 77);
  EXPECT(mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, window + PAIR) == window + PAIR);
  EXPECT_MEMORY(window + PAIR);
  EXPECT(load(window + PAIR, 16) == 77);
  EXPECT_WINDOW(window, 50);
  EXPECT_WINDOWS(window + 2 * PAIR, 52, 2);
  // Closed, it is memory's fault, not an access.
  close_memory(window + PAIR, PAGE);
  EXPECT_CLOSED(window + PAIR, false);
  EXPECT(munmap(window, 4 * PAIR) == 0);
}

int main(int count, char **values) {
  if (count != 2) return 64;
  open_device(values[1]);
  catch_faults();
  shrink();
  grow();
  move_to();
  refusals();
  copies();
  memory_over_windows();
  return conclude();
}
