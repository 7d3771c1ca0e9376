// Numbers, hex and answer lines.
#include "consumer.h"

#include <ctype.h>
#include <stdarg.h>
#include <time.h>

FILE *output;
static char reason[200];

bool parse_number(const char *text, uint64_t *number) {
  bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  // strtoull would take signs, blanks and octal.
  if (hex ? !isxdigit((unsigned char)text[2]) : !isdigit((unsigned char)text[0])) return false;
  char *end;
  errno = 0;
  *number = strtoull(text, &end, hex ? 16 : 10);
  return *end == 0 && errno == 0;
}

bool parse_numbers(char **texts, int count, uint64_t *numbers) {
  for (int i = 0; i < count; i++)
    if (!parse_number(texts[i], &numbers[i])) return refuse("not a number: %s", texts[i]);
  return true;
}

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  digit |= 0x20;
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool parse_hex(const char *text, struct bytes *bytes) {
  size_t digits = strcmp(text, "-") == 0 ? 0 : strlen(text);
  if (digits % 2) return refuse("odd number of hex digits");
  bytes->count = digits / 2;
  bytes->data = allocate_pages(bytes->count);
  for (size_t i = 0; i < bytes->count; i++) {
    int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) {
      free(bytes->data);
      return refuse("not hex");
    }
    bytes->data[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

int parse_word(const char *text, const char *const *words) {
  for (int i = 0; words[i]; i++)
    if (strcmp(text, words[i]) == 0) return i;
  set_refusal("unknown word: %s", text);
  return -1;
}

void *allocate_pages(size_t count) {
  size_t size = (count + 4096) & ~(size_t)4095;
  void *pages = aligned_alloc(4096, size);
  if (!pages) abort();
  return memset(pages, 0, size);
}

void answer(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vfprintf(output, format, list);
  va_end(list);
  putc('\n', output);
}

void answer_hex(const char *prefix, const void *data, size_t count) {
  static const char digits[] = "0123456789abcdef";
  const uint8_t *bytes = data;
  fprintf(output, count ? "%s " : "%s -", prefix);
  for (size_t i = 0; i < count; i++) {
    putc_unlocked(digits[bytes[i] >> 4], output);
    putc_unlocked(digits[bytes[i] & 15], output);
  }
  putc('\n', output);
}

void answer_errno(void) {
  int error = errno;
  const char *name = strerrorname_np(error);
  answer("errno %s %d", name ? name : "?", error);
}

bool answer_result(int result) {
  if (result < 0)
    answer_errno();
  else
    answer("ok");
  return true;
}

void set_refusal(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(reason, sizeof reason, format, list);
  va_end(list);
}

const char *refusal(void) {
  static char given[sizeof reason];
  memcpy(given, reason, sizeof reason);
  reason[0] = 0;
  return given;
}

uint64_t nanoseconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void sleep_nanoseconds(uint64_t nanoseconds) {
  struct timespec rest = {
    .tv_sec = (time_t)(nanoseconds / 1000000000), .tv_nsec = (long)(nanoseconds % 1000000000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) == EINTR) {
  }
}
