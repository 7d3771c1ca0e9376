// Descriptors: opened, read and written at exact offsets, synchronised.
#include "consumer.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int opened[slot_count];  // descriptor + 1, so that zero is free

bool parse_slot(const char *text, unsigned *slot) {
  uint64_t number;
  if (!parse_number(text, &number) || number >= slot_count)
    return refuse("not a name below %d: %s", slot_count, text);
  *slot = (unsigned)number;
  return true;
}

int descriptor_in_slot(unsigned slot) { return opened[slot] - 1; }

bool parse_descriptor(const char *text, int *descriptor) {
  unsigned slot;
  if (!parse_slot(text, &slot)) return false;
  *descriptor = descriptor_in_slot(slot);
  return *descriptor >= 0 || refuse("no descriptor %u", slot);
}

// A slot that nothing is open in.
static bool parse_free_slot(const char *text, unsigned *slot) {
  if (!parse_slot(text, slot)) return false;
  return !opened[*slot] || refuse("descriptor %u is open", *slot);
}

bool keep_descriptor(unsigned slot, int descriptor) {
  if (opened[slot]) return refuse("descriptor %u is open", slot);
  opened[slot] = descriptor + 1;
  return true;
}

bool do_open(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"ro", "wo", "rw", "direct", "nonblock", "trunc", NULL};
  static const int values[] = {O_RDONLY, O_WRONLY, O_RDWR, O_DIRECT, O_NONBLOCK, O_TRUNC};
  unsigned slot;
  if (!parse_free_slot(arguments[0], &slot)) return false;
  int flags = O_CLOEXEC, directions = 0;
  char *rest = arguments[2], *text;
  while ((text = strsep(&rest, ","))) {
    int word = parse_word(text, words);
    if (word < 0) return false;
    flags |= values[word];
    directions += word < 3;
  }
  if (directions != 1) return refuse("exactly one of ro, wo, rw");
  int descriptor = open(arguments[1], flags);
  opened[slot] = descriptor + 1;
  return answer_result(descriptor);
}

bool do_memfd(int count, char **arguments) {
  (void)count;
  static const int huge = 1 << 30;
  static const char *const words[] = {"none", "shrink", "grow", "write", "future-write", "huge", NULL};
  static const int values[] = {0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, huge};
  unsigned slot;
  uint64_t size;
  if (!parse_free_slot(arguments[0], &slot) || !parse_numbers(arguments + 1, 1, &size)) return false;
  int seals = 0;
  char *rest = arguments[2], *text;
  while ((text = strsep(&rest, ","))) {
    int word = parse_word(text, words);
    if (word < 0) return false;
    seals |= values[word];
  }
  unsigned kind = seals & huge ? MFD_HUGETLB : 0;
  int descriptor = memfd_create("consumer", MFD_CLOEXEC | MFD_ALLOW_SEALING | kind);
  if (descriptor < 0) return answer_result(-1);
  opened[slot] = descriptor + 1;
  if (ftruncate(descriptor, (off_t)size) < 0) return answer_result(-1);
  return answer_result(fcntl(descriptor, F_ADD_SEALS, seals & ~huge));
}

bool do_eventfd(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"plain", "semaphore", "nonblock", NULL};
  static const int values[] = {0, EFD_SEMAPHORE, EFD_NONBLOCK};
  unsigned slot;
  uint64_t initial;
  int word;
  if (!parse_free_slot(arguments[0], &slot) || !parse_numbers(arguments + 1, 1, &initial) ||
      (word = parse_word(arguments[2], words)) < 0)
    return false;
  if (initial > UINT32_MAX) return refuse("count out of range");
  int descriptor = eventfd((unsigned)initial, EFD_CLOEXEC | values[word]);
  opened[slot] = descriptor + 1;
  return answer_result(descriptor);
}

bool do_raise(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint64_t value;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 1, &value))
    return false;
  return answer_result(write(descriptor, &value, sizeof value) < 0 ? -1 : 0);
}

// Waits for a blocking eventfd that is zero.
bool do_take(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint64_t value;
  if (!parse_descriptor(arguments[0], &descriptor)) return false;
  if (read(descriptor, &value, sizeof value) != sizeof value) return answer_result(-1);
  answer("ok %llu", (unsigned long long)value);
  return true;
}

bool do_duplicate(int count, char **arguments) {
  (void)count;
  int descriptor;
  unsigned slot;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_free_slot(arguments[1], &slot))
    return false;
  int copy = dup(descriptor);
  opened[slot] = copy + 1;
  return answer_result(copy);
}

bool do_number(int count, char **arguments) {
  (void)count;
  int descriptor;
  if (!parse_descriptor(arguments[0], &descriptor)) return false;
  answer("ok %d", descriptor);
  return true;
}

bool do_close(int count, char **arguments) {
  (void)count;
  unsigned slot;
  int descriptor;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_slot(arguments[0], &slot))
    return false;
  opened[slot] = 0;  // gone on Linux whatever close answers
  return answer_result(close(descriptor));
}

bool do_stat(int count, char **arguments) {
  (void)count;
  int descriptor;
  struct stat status;
  if (!parse_descriptor(arguments[0], &descriptor)) return false;
  if (fstat(descriptor, &status) < 0) return answer_result(-1);
  answer("ok size=%lld blksize=%ld ino=%llu dev=%u:%u", (long long)status.st_size,
         (long)status.st_blksize, (unsigned long long)status.st_ino, major(status.st_dev),
         minor(status.st_dev));
  return true;
}

bool do_fsync(int count, char **arguments) {
  (void)count;
  int descriptor;
  return parse_descriptor(arguments[0], &descriptor) && answer_result(fsync(descriptor));
}

bool do_syncrange(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint64_t range[2];
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 2, range))
    return false;
  unsigned flags =
    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  return answer_result(sync_file_range(descriptor, (off_t)range[0], (off_t)range[1], flags));
}

bool do_drop(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint64_t range[2];
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 2, range))
    return false;
  // The one call here that returns its error.
  errno = posix_fadvise(descriptor, (off_t)range[0], (off_t)range[1], POSIX_FADV_DONTNEED);
  return answer_result(errno ? -1 : 0);
}

bool do_pread(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint64_t range[2];
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 2, range))
    return false;
  if (range[1] > most_transferred) return refuse("too long");
  uint8_t *data = allocate_pages(range[1]);
  ssize_t got = pread(descriptor, data, range[1], (off_t)range[0]);
  if (got < 0)
    answer_errno();
  else
    answer_hex("ok", data, (size_t)got);
  free(data);
  return true;
}

bool do_pwrite(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint64_t offset;
  struct bytes bytes;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 1, &offset) ||
      !parse_hex(arguments[2], &bytes))
    return false;
  ssize_t put = pwrite(descriptor, bytes.data, bytes.count, (off_t)offset);
  if (put < 0)
    answer_errno();
  else
    answer("ok count=%zd", put);
  free(bytes.data);
  return true;
}

bool do_seek(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"data", "hole", NULL};
  int descriptor, word;
  uint64_t offset;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 1, &offset) ||
      (word = parse_word(arguments[2], words)) < 0)
    return false;
  off_t found = lseek(descriptor, (off_t)offset, word ? SEEK_HOLE : SEEK_DATA);
  if (found < 0) return answer_result(-1);
  answer("ok 0x%llx", (unsigned long long)found);
  return true;
}
