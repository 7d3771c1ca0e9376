// Reads a device's trace records with nothing but xive.h.
//
//     trace PATH
//
// PATH is a device of 4 KiB pages on which LISN 1 exists and LISN 9 does not. Touches both, and looks whether the
// records say so. Prints a line for each expectation that is not met, and exits 1 if there was one.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xive.h"

enum { PAGE = 4096, MOST = 256 };

static int failures;

#define EXPECT(condition)                                    \
  do {                                                       \
    if (!(condition)) {                                      \
      printf("line %d: not so: %s\n", __LINE__, #condition); \
      failures++;                                            \
    }                                                        \
  } while (0)

// The next records; how many.
static int take(int device, uint64_t *next, struct xive_trace_record *records) {
  ssize_t got = pread(device, records, MOST * sizeof *records, (off_t)xive_trace_offset(*next));
  if (got < 0) return -errno;
  int count = 0;
  while (count < got / XIVE_TRACE_SIZE && records[count].kind != XIVE_TRACE_NOTHING) {
    const struct xive_trace_record *record = &records[count++];
    *next = record->sequence + (record->kind == XIVE_TRACE_GAP ? record->value : 1);
  }
  return count;
}

// Waits until a record of a kind by this process is there.
static int find(int device, uint64_t *next, unsigned kind, struct xive_trace_record *found) {
  static struct xive_trace_record records[MOST];
  for (int rounds = 0; rounds < 1000; rounds++) {
    int count = take(device, next, records);
    if (count < 0) return 0;
    for (int i = 0; i < count; i++)
      if (records[i].kind == kind && records[i].pid == (uint32_t)getpid()) {
        *next = records[i].sequence + 1;
        *found = records[i];
        return 1;
      }
    struct pollfd set = {device, POLLIN, 0};
    if (count == 0 && poll(&set, 1, 60000) != 1) return 0;
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 2) return 64;
  int reader = open(argv[1], O_RDONLY | O_DIRECT), device = open(argv[1], O_RDWR | O_DIRECT);
  uint64_t next = 0, value = 0;
  struct xive_trace_record records[MOST], found;
  memset(&found, 0, sizeof found);
  EXPECT(reader >= 0 && device >= 0);
  EXPECT(take(reader, &next, records) >= 0);
  uint64_t start = next;

  EXPECT(xive_load(device, xive_esb_offset(1, XIVE_MANAGEMENT, PAGE) + XIVE_ESB_GET, &value) == 0);
  EXPECT(find(reader, &next, XIVE_TRACE_LOAD, &found));
  EXPECT(found.version == XIVE_TRACE_VERSION && found.result == XIVE_TRACE_OK);
  EXPECT(found.number == 1 && found.half == XIVE_MANAGEMENT && found.backing == XIVE_BACKING_IPI);
  EXPECT(found.value == value && found.has_pq && found.pq_before == value);
  EXPECT(found.tid == (uint32_t)getpid() && 1u << found.log2_size == 8 && found.sequence >= start);

  EXPECT(xive_load(device, xive_esb_offset(9, XIVE_MANAGEMENT, PAGE), &value) == 0);
  EXPECT(find(reader, &next, XIVE_TRACE_LOAD, &found));
  EXPECT(found.result == XIVE_TRACE_NOT_CREATED && found.value == XIVE_ALL_ONES);
  EXPECT(found.number == 9 && found.backing == XIVE_TRACE_NO_BACKING);

  uint64_t page = xive_esb_offset(1, XIVE_TRIGGER, PAGE);
  volatile uint8_t *mapped =
    (volatile uint8_t *)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device, (off_t)page);
  EXPECT((const volatile void *)mapped != MAP_FAILED);
  (void)*mapped;
  EXPECT(find(reader, &next, XIVE_TRACE_FILL, &found));
  EXPECT(found.offset == page && found.value == PAGE && found.cause == XIVE_TRACE_FIRST);

  struct pollfd set = {reader, POLLIN, 0};
  while (take(reader, &next, records) > 0) {}
  EXPECT(poll(&set, 1, 0) == 0);
  errno = 0;
  EXPECT(pread(reader, records, 32, (off_t)xive_trace_offset(0)) < 0 && errno == EINVAL);
  close(reader);
  close(device);
  if (failures == 0) printf("all as expected\n");
  return failures == 0 ? 0 : 1;
}
