// Mappings: made, moved, protected, advised, dropped.
#include "consumer.h"

#include <ctrap.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static struct mapping mappings[slot_count];

static uint64_t page_size(void) { return (uint64_t)sysconf(_SC_PAGESIZE); }

static uint64_t round_to_page(uint64_t length) {
  return (length + page_size() - 1) & ~(page_size() - 1);
}

bool contains(const struct mapping *mapping, uint64_t offset, uint64_t length) {
  return offset <= mapping->length && length <= mapping->length - offset;
}

struct mapping *parse_mapping(const char *text) {
  unsigned slot;
  if (!parse_slot(text, &slot)) return NULL;
  if (mappings[slot].base) return &mappings[slot];
  set_refusal("no mapping %u", slot);
  return NULL;
}

struct mapping *parse_range(char **texts, uint64_t *offset, uint64_t *length) {
  uint64_t numbers[2];
  struct mapping *mapping = parse_mapping(texts[0]);
  if (!mapping || !parse_numbers(texts + 1, 2, numbers)) return NULL;
  *offset = numbers[0];
  *length = numbers[1];
  if (contains(mapping, *offset, *length)) return mapping;
  set_refusal("outside the mapping");
  return NULL;
}

static bool parse_protection(const char *text, int *protection) {
  static const char *const words[] = {"none", "r", "w", "rw", NULL};
  static const int values[] = {PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE};
  int word = parse_word(text, words);
  if (word >= 0) *protection = values[word];
  return word >= 0;
}

// Other names for memory that is gone would reach whatever comes to lie there next.
static void forget_inside(const uint8_t *base, uint64_t length, const struct mapping *except) {
  for (unsigned i = 0; i < slot_count; i++) {
    struct mapping *mapping = &mappings[i];
    if (mapping != except && mapping->base && mapping->base >= base &&
        mapping->base + mapping->length <= base + length)
      mapping->base = NULL;
  }
}

bool do_map(int count, char **arguments) {
  static const char *const sharings[] = {"private", "shared", NULL};
  unsigned slot, descriptor_slot;
  int descriptor, protection, sharing;
  uint64_t numbers[2], place;
  if (!parse_slot(arguments[0], &slot) || !parse_descriptor(arguments[1], &descriptor) ||
      !parse_slot(arguments[1], &descriptor_slot) || !parse_numbers(arguments + 2, 2, numbers) ||
      !parse_protection(arguments[4], &protection) ||
      (sharing = parse_word(arguments[5], sharings)) < 0)
    return false;
  if (mappings[slot].base) return refuse("mapping %u exists", slot);
  int flags = sharing ? MAP_SHARED : MAP_PRIVATE;
  void *wanted = NULL;
  if (count > 6) {
    if (count != 9 || strcasecmp(arguments[6], "ADDRESS_OF")) return false;
    struct mapping *below = parse_mapping(arguments[7]);
    if (!below || !parse_numbers(arguments + 8, 1, &place)) return false;
    if (!contains(below, place, numbers[1])) return refuse("outside the mapping");
    wanted = below->base + place;
    flags |= MAP_FIXED;
  }
  void *base = mmap(wanted, numbers[1], protection, flags, descriptor, (off_t)numbers[0]);
  if (base == MAP_FAILED) return answer_result(-1);
  mappings[slot] =
    (struct mapping){base, round_to_page(numbers[1]), numbers[0], descriptor_slot, false};
  return answer_result(0);
}

bool keep_window(unsigned slot, void *base, uint64_t length, uint64_t file_offset) {
  if (mappings[slot].base) return refuse("mapping %u exists", slot);
  mappings[slot] = (struct mapping){base, round_to_page(length), file_offset, 0, true};
  return true;
}

static int unmap(const struct mapping *mapping, uint8_t *base, uint64_t length) {
  if (!mapping->is_trapped) return munmap(base, length);
  int result = ctrap_unmap(base, length);
  errno = -result;
  return result < 0 ? -1 : 0;
}

bool do_unmap(int count, char **arguments) {
  struct mapping *mapping = parse_mapping(arguments[0]);
  if (!mapping || count == 2) return false;
  uint64_t offset = 0, length = mapping->length;
  if (count == 3 && !parse_range(arguments, &offset, &length)) return false;
  uint8_t *base = mapping->base + offset;
  int result = unmap(mapping, base, length);
  if (result == 0) forget_inside(base, round_to_page(length), NULL);
  return answer_result(result);
}

bool do_remap(int count, char **arguments) {
  (void)count;
  uint64_t lengths[2];
  struct mapping *mapping = parse_mapping(arguments[0]);
  if (!mapping || !parse_numbers(arguments + 1, 2, lengths)) return false;
  if (!contains(mapping, 0, lengths[0])) return refuse("outside the mapping");
  void *base = mremap(mapping->base, lengths[0], lengths[1], MREMAP_MAYMOVE);
  if (base == MAP_FAILED) return answer_result(-1);
  bool moved = base != mapping->base;
  if (moved) forget_inside(mapping->base, lengths[0], mapping);
  mapping->base = base;
  mapping->length = round_to_page(lengths[1]);
  answer("ok moved=%d", moved);
  return true;
}

bool do_protect(int count, char **arguments) {
  (void)count;
  uint64_t offset, length;
  int protection;
  struct mapping *mapping = parse_range(arguments, &offset, &length);
  if (!mapping || !parse_protection(arguments[3], &protection)) return false;
  return answer_result(mprotect(mapping->base + offset, length, protection));
}

bool do_advise(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"random",        "dontneed",       "willneed", "hugepage",
                                      "populate-read", "populate-write", NULL};
  static const int values[] = {MADV_RANDOM,   MADV_DONTNEED,      MADV_WILLNEED,
                               MADV_HUGEPAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE};
  uint64_t offset, length;
  struct mapping *mapping = parse_range(arguments, &offset, &length);
  int word = mapping ? parse_word(arguments[3], words) : -1;
  if (word < 0) return false;
  return answer_result(madvise(mapping->base + offset, length, values[word]));
}

bool do_resident(int count, char **arguments) {
  (void)count;
  uint64_t offset, length;
  struct mapping *mapping = parse_range(arguments, &offset, &length);
  if (!mapping) return false;
  uint64_t pages = round_to_page(length) / page_size();
  if (pages > most_transferred) return refuse("too long");
  unsigned char *bits = allocate_pages(pages + 1);
  if (mincore(mapping->base + offset, length, bits) < 0) {
    answer_errno();
  } else {
    for (uint64_t i = 0; i < pages; i++) bits[i] = bits[i] & 1 ? '1' : '0';
    answer("ok %s", pages ? (char *)bits : "-");
  }
  free(bits);
  return true;
}

// Which pages are in this process's page table; `resident` asks the page cache.
// Source: Linux Documentation/admin-guide/mm/pagemap.rst: 8 bytes a page, bit 63 is present.
bool do_present(int count, char **arguments) {
  (void)count;
  uint64_t offset, length;
  struct mapping *mapping = parse_range(arguments, &offset, &length);
  if (!mapping) return false;
  uint64_t pages = round_to_page(length) / page_size();
  if (pages == 0 || pages > most_transferred / sizeof(uint64_t)) return refuse("too long or empty");
  uint64_t *entries = allocate_pages(pages * sizeof *entries);
  char *bits = allocate_pages(pages + 1);
  int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  off_t place = (off_t)((uintptr_t)(mapping->base + offset) / page_size() * sizeof *entries);
  ssize_t wanted = (ssize_t)(pages * sizeof *entries);
  if (file < 0 || pread(file, entries, (size_t)wanted, place) != wanted) {
    answer_errno();
  } else {
    for (uint64_t i = 0; i < pages; i++) bits[i] = entries[i] >> 63 ? '1' : '0';
    answer("ok %s", bits);
  }
  if (file >= 0) close(file);
  free(bits);
  free(entries);
  return true;
}

bool do_msync(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"sync", "async", NULL};
  uint64_t offset, length;
  struct mapping *mapping = parse_range(arguments, &offset, &length);
  int word = mapping ? parse_word(arguments[3], words) : -1;
  if (word < 0) return false;
  return answer_result(msync(mapping->base + offset, length, word ? MS_ASYNC : MS_SYNC));
}
