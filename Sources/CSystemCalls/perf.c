// Samples of what the kernel does for a thread: perf_event_open(2), which glibc has no function for.
#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(CSYSTEM_PERF_SOFTWARE == PERF_TYPE_SOFTWARE, "the kernel's number");
_Static_assert(CSYSTEM_PERF_TRACEPOINT == PERF_TYPE_TRACEPOINT, "the kernel's number");
_Static_assert(CSYSTEM_PERF_FAULTS == PERF_COUNT_SW_PAGE_FAULTS, "the kernel's number");
_Static_assert(CSYSTEM_PERF_MINOR == PERF_COUNT_SW_PAGE_FAULTS_MIN, "the kernel's number");
_Static_assert(CSYSTEM_PERF_MAJOR == PERF_COUNT_SW_PAGE_FAULTS_MAJ, "the kernel's number");

int csystem_perf_open(uint32_t type, uint64_t config, int flags, int thread, int processor) {
  struct perf_event_attr attr = {
    .type = type,
    .size = sizeof attr,
    .config = config,
    .sample_period = 1,
    .sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME
      | PERF_SAMPLE_ADDR | (flags & CSYSTEM_PERF_RAW ? PERF_SAMPLE_RAW : 0),
    .inherit = 1,
    .inherit_thread = 1,
    .exclude_kernel = !!(flags & CSYSTEM_PERF_USER_ONLY),
    .mmap = !!(flags & CSYSTEM_PERF_MAPPINGS),
    .mmap_data = !!(flags & CSYSTEM_PERF_MAPPINGS),
    .mmap2 = !!(flags & CSYSTEM_PERF_MAPPINGS),
    .comm = !!(flags & CSYSTEM_PERF_MAPPINGS),
    .comm_exec = !!(flags & CSYSTEM_PERF_MAPPINGS),
    .sample_id_all = 1,
    .use_clockid = 1,
    .clockid = CLOCK_MONOTONIC,
  };
  int fd = (int)syscall(SYS_perf_event_open, &attr, thread, processor, -1, PERF_FLAG_FD_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int csystem_perf_identify(int fd, uint64_t *identity) {
  return ioctl(fd, PERF_EVENT_IOC_ID, identity) < 0 ? -errno : 0;
}

int csystem_perf_redirect(int fd, int owner) {
  return ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, owner) < 0 ? -errno : 0;
}

size_t csystem_perf_take(void *ring, void *bytes, size_t room) {
  struct perf_event_mmap_page *page = ring;
  const char *data = (const char *)ring + page->data_offset;
  uint64_t size = page->data_size, tail = page->data_tail;
  // The kernel writes records, then the head; it takes their place again once the tail is behind them.
  uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
  uint64_t count = head - tail;
  if (count > room) return 0;
  uint64_t start = tail % size, first = count < size - start ? count : size - start;
  memcpy(bytes, data + start, first);
  memcpy((char *)bytes + first, data, count - first);
  __atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
  return count;
}
