// Which pages become windows: kinds PATH LETTERS
//
// LETTERS: of the kinds that are chosen, t for TIMA and e for ESB pages. What is not is a mapped page, also within one
// mapping.
#include "rig.h"

static const char *chosen;

// n: the pages of an END that nobody uses, ESB pages without an image.
static bool traps(char kind) { return strchr(chosen, kind == 'n' ? 'e' : kind) != NULL; }

// A load from a signature: exact in a window, else the image, or SIGBUS for a page that has none.
static void judge(int line, const uint8_t *page, char kind, size_t number) {
  uint64_t count = xive_trap_access_count(), value = 0;
  int signal = touch(page + XIVE_SIGNATURE_OFFSET, false);
  bool was_access = xive_trap_access_count() == count + 1;
  if (signal == 0 && !was_access) value = load(page, XIVE_SIGNATURE_OFFSET);
  bool has_answer = was_access ? signal == 0 : signal == SIGBUS || value == XIVE_SIGNATURE_MAGIC;
  bool is_right = was_access == traps(kind) && has_answer;
  // Of the TIMA at offset 0 the OS view alone has an image, of sources every page.
  if (is_right && (was_access || kind != 'e' || signal == 0)) return;
  printf("line %d: page %zu (%c): %s, signal %d, %#llx\n", line, number, kind, was_access ? "access" : "no access",
         signal, (unsigned long long)value);
  failures++;
}

// A letter for each page; m is memory.
static void judge_all(int line, uint8_t *start, const char *kinds) {
  for (size_t i = 0; kinds[i] != '\0'; i++) {
    if (kinds[i] == 'm') judge_memory(line, start + i * PAGE);
    else judge(line, start + i * PAGE, kinds[i], i);
  }
}
#define EXPECT_KINDS(start, kinds) judge_all(__LINE__, start, kinds)

static uint8_t *map_pages(void *address, uint64_t offset, size_t pages, int flags) {
  return mapped(address, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | flags, device, offset);
}

static uint64_t region(uint64_t number, uint64_t page) { return (number << XIVE_REGION_SHIFT) + page * PAGE; }

static void regions(void) {
  const struct {
    uint64_t offset;
    const char *kinds;
  } cases[] = {
    {region(XIVE_REGION_KERNEL, 0), "tttt"},
    {region(XIVE_REGION_KERNEL, 3), "t"},
    {region(XIVE_REGION_KERNEL, 4), "eeee"},
    {region(XIVE_REGION_KERNEL, 0), "tttteeeeee"},
    {region(XIVE_REGION_KERNEL, 2), "ttee"},
    {region(XIVE_REGION_ESB, 0), "eeeeee"},
    {region(XIVE_REGION_END, 0), "nn"},
    {region(XIVE_REGION_TIMA, 0), "tttttttt"},
    {region(XIVE_REGION_PHB, 0), "eeee"},
    {region(XIVE_REGION_PHB + 1, 0), "ee"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t pages = strlen(cases[i].kinds);
    uint8_t *start = map_pages(NULL, cases[i].offset, pages, 0);
    EXPECT_KINDS(start, cases[i].kinds);
    EXPECT(munmap(start, pages * PAGE) == 0);
  }
}

// Over memory, over windows, and other things over both kinds.
static void places(void) {
  uint8_t *place = mapped(NULL, 12 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(map_pages(place + PAGE, region(0, 2), 6, MAP_FIXED) == place + PAGE);
  EXPECT_KINDS(place, "mtteeeemmmmm");
  EXPECT(map_pages(place + 3 * PAGE, region(0, 0), 5, MAP_FIXED) == place + 3 * PAGE);
  EXPECT_KINDS(place, "mttttttemmmm");
  mapped(place + 5 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  EXPECT_KINDS(place, "mttttmmemmmm");
  EXPECT(mremap(place + 7 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + 10 * PAGE) == place + 10 * PAGE);
  EXPECT_GONE(place + 7 * PAGE);
  EXPECT_KINDS(place + 8 * PAGE, "mmem");
  EXPECT(mprotect(place, 7 * PAGE, PROT_NONE) == 0);
  EXPECT_CLOSED(place + PAGE, false);
  EXPECT(mprotect(place, 7 * PAGE, PROT_READ | PROT_WRITE) == 0);
  EXPECT_KINDS(place, "mttttmm");
  EXPECT(munmap(place, 12 * PAGE) == 0);
  EXPECT_GONE(place + 2 * PAGE);
  // At a place that is free, and one that is not.
  EXPECT(map_pages(place, region(0, 3), 3, MAP_FIXED_NOREPLACE) == place);
  EXPECT_KINDS(place, "tee");
  errno = 0;
  EXPECT(mmap(place, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, device, 0) == MAP_FAILED && errno == EEXIST);
  EXPECT_KINDS(place, "tee");
  EXPECT(munmap(place, 3 * PAGE) == 0);
}

int main(int count, char **values) {
  if (count != 3) return 64;
  setvbuf(stdout, NULL, _IOLBF, 0);
  open_device(values[1]);
  chosen = values[2];
  catch_faults();
  regions();
  places();
  return conclude();
}
