// What a debugger hides: its breakpoint is in memory only, the instruction is still in the file that the code is of.
#include "internal.h"
#include "system.h"

#if defined __x86_64__
#include <fcntl.h>

enum { BREAKPOINT = 0xcc };

// MARK: - A text of the kernel's, a character at a time

struct text {
  int fd;
  size_t count, next;
  char bytes[256];
};

static bool text_open(struct text *text, const char *path) {
  text->fd = (int)trap_system(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
  text->count = text->next = 0;
  return text->fd >= 0;
}

static void text_close(const struct text *text) { trap_system(SYS_close, text->fd, 0, 0, 0, 0, 0); }

// The next character; 0 at the end.
static char text_peek(struct text *text) {
  if (text->next == text->count) {
    long count = trap_system(SYS_read, text->fd, (long)text->bytes, sizeof text->bytes, 0, 0, 0);
    text->count = count > 0 ? (size_t)count : 0;
    text->next = 0;
  }
  return text->count == 0 ? 0 : text->bytes[text->next];
}

static char text_take(struct text *text) {
  char character = text_peek(text);
  if (character != 0) text->next++;
  return character;
}

static void skip_until(struct text *text, char end) {
  while (text_peek(text) != end && text_peek(text) != 0) text_take(text);
}

// The value of a digit; negative for what is none.
static int digit(char character, int base) {
  int value = character >= 'a' ? character - 'a' + 10 : character - '0';
  return character >= '0' && (character <= '9' || character >= 'a') && value < base ? value : -1;
}

// A number and the character that ends it.
static uint64_t number(struct text *text, unsigned base) {
  uint64_t value = 0;
  while (digit(text_peek(text), (int)base) >= 0) value = value * base + (uint64_t)digit(text_take(text), (int)base);
  text_take(text);
  return value;
}

// MARK: - The file that code is of; proc_pid_maps(5)

struct mapping {
  uint64_t start, end, offset;
  char path[1024];
};

// False at the end, and for a path that is longer.
static bool next_mapping(struct text *text, struct mapping *mapping) {
  if (text_peek(text) == 0) return false;
  mapping->start = number(text, 16);
  mapping->end = number(text, 16);
  skip_until(text, ' ');
  text_take(text);
  mapping->offset = number(text, 16);
  skip_until(text, ' ');  // the device
  text_take(text);
  skip_until(text, ' ');  // the inode
  while (text_peek(text) == ' ') text_take(text);
  size_t length = 0;
  while (text_peek(text) != '\n' && text_peek(text) != 0 && length < sizeof mapping->path - 1)
    mapping->path[length++] = text_take(text);
  mapping->path[length] = 0;
  skip_until(text, '\n');
  text_take(text);
  return true;
}

static bool find_mapping(uint64_t address, struct mapping *mapping) {
  struct text text;
  if (!text_open(&text, "/proc/thread-self/maps")) return false;
  bool is_found = false;
  while (!is_found && next_mapping(&text, mapping))
    is_found = mapping->start <= address && address < mapping->end;
  text_close(&text);
  return is_found;
}

// Whether code in memory is what the file has, but for breakpoints.
static bool is_same(const uint8_t *code, const uint8_t *original, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (code[i] != original[i] && code[i] != BREAKPOINT) return false;
  return original[0] != BREAKPOINT;
}

bool trap_reveal(uint8_t *code, size_t count, uint64_t address) {
  struct mapping mapping;
  if (!find_mapping(address, &mapping) || mapping.path[0] != '/') return false;
  long fd = trap_system(SYS_openat, AT_FDCWD, (long)mapping.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, 0, 0);
  if (fd < 0) return false;
  uint8_t original[16] = {BREAKPOINT};
  uint64_t offset = mapping.offset + (address - mapping.start);
  long got = trap_system(SYS_pread64, fd, (long)original, (long)count, (long)offset, 0, 0);
  trap_system(SYS_close, fd, 0, 0, 0, 0, 0);
  if (got != (long)count || !is_same(code, original, count)) return false;
  code[0] = original[0];
  return true;
}

// MARK: - Debuggers; proc_pid_status(5)

static bool is_next(struct text *text, const char *word) {
  while (*word != 0 && text_peek(text) == *word) {
    text_take(text);
    word++;
  }
  return *word == 0;
}

bool trap_is_traced(void) {
  struct text text;
  if (!text_open(&text, "/proc/thread-self/status")) return false;
  uint64_t tracer = 0;
  while (text_peek(&text) != 0) {
    if (is_next(&text, "TracerPid:\t")) {
      tracer = number(&text, 10);
      break;
    }
    skip_until(&text, '\n');
    text_take(&text);
  }
  text_close(&text);
  return tracer != 0;
}
#endif
