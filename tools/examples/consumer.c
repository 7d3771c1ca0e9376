/// A consumer of a xive device file in plain C: what a VMM does with it, and what it sees.
///
///     cc -std=gnu11 -I Sources/CXIVE/include -o consumer tools/examples/consumer.c
///     consumer PATH [LISN] [--hole LISN]
///     LD_PRELOAD=libxive-trap.so.0 consumer PATH [LISN] [--hole LISN]
///
/// It maps the device as VMMs do, and finds out what its windows are: mapped, that is memory that shows
/// pages' images, or trapped, where each load and store is one exact operation. It checks what is right
/// for that kind.
///
/// LISN (default 16) must be an MSI source that exists and that nobody else uses meanwhile; its PQ
/// is put back at the end. --hole names one that was never created: touching its page must raise
/// SIGBUS, or give all ones where it is exact. Exit status: 0 all as expected, 1 not, 64 usage.

// For O_DIRECT, whatever -std= says.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "xive.h"

enum { EXIT_USAGE = 64, LIVE_TIMEOUT_MS = 2000 };

/// One of the two windows, mapped as QEMU maps those of the kernel's device.
struct window {
  uint8_t *base;
  uint64_t offset;  // of `base` in the device file
  uint64_t length;
  bool is_trapped;  // and not mapped
};

struct consumer {
  int fd;
  uint64_t page_size;  // device page
  struct xive_info_geometry geometry;
  struct window tima;
  struct window esb;
  uint32_t lisn;
};

static int failures;

// MARK: - Reporting

__attribute__((format(printf, 2, 3)))
static void report(const char *what, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("%s: ", what);
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
}

static void expect(const char *what, uint64_t expected, uint64_t seen) {
  if (seen == expected) {
    report(what, "%#" PRIx64, seen);
    return;
  }
  report(what, "FAILED: expected %#" PRIx64 " saw %#" PRIx64, expected, seen);
  failures++;
}

__attribute__((noreturn))
static void give_up(const char *what, int error) {
  report(what, "FAILED: expected success saw %s", strerror(error));
  exit(EXIT_FAILURE);
}

// MARK: - Access through a pointer

static sigjmp_buf landing;
static volatile sig_atomic_t landing_is_set;
static void *volatile fault_address;

static void on_bus_error(int signal_number, siginfo_t *info, void *context) {
  (void)context;
  if (!landing_is_set) {
    // Not one of our accesses: let the default action end the process when it faults again.
    signal(signal_number, SIG_DFL);
    return;
  }
  fault_address = info->si_addr;
  siglongjmp(landing, 1);
}

static void catch_bus_errors(void) {
  struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
  if (sigaction(SIGBUS, &action, NULL) != 0) give_up("sigaction", errno);
}

/// False when the page is not there; `fault_address` then says where the load went.
static bool pointer_load(const uint8_t *address, uint64_t *value) {
  if (sigsetjmp(landing, 1) != 0) {
    landing_is_set = 0;
    return false;
  }
  landing_is_set = 1;
  // A compiler may split or repeat a plain load; a volatile one of 8 bytes stays one instruction.
  *value = xive_be64_to_host(*(const volatile uint64_t *)address);
  landing_is_set = 0;
  return true;
}

static bool pointer_store(uint8_t *address, uint64_t value) {
  if (sigsetjmp(landing, 1) != 0) {
    landing_is_set = 0;
    return false;
  }
  landing_is_set = 1;
  *(volatile uint64_t *)address = xive_host_to_be64(value);
  landing_is_set = 0;
  return true;
}

/// Where an address of a window is in the device file, in bytes.
static uint64_t device_offset(const struct window *window, const void *address) {
  return window->offset + (uint64_t)((const uint8_t *)address - window->base);
}

static uint8_t *address_of(const struct window *window, uint64_t offset) {
  return window->base + (offset - window->offset);
}

static void bus_error(const char *what, const struct window *window) {
  report(what, "FAILED: expected a page saw SIGBUS at device offset %#" PRIx64,
    device_offset(window, fault_address));
  failures++;
}

// MARK: - Page signatures

/// Copies the signature out of the mapping in 8-byte loads, the size of all of a page's registers.
static bool read_signature(const uint8_t *page, struct xive_page_signature *signature) {
  uint8_t *copy = (uint8_t *)signature;
  for (size_t at = 0; at < sizeof *signature; at += sizeof(uint64_t)) {
    uint64_t value;
    if (!pointer_load(page + XIVE_SIGNATURE_OFFSET + at, &value)) return false;
    value = xive_host_to_be64(value);
    memcpy(copy + at, &value, sizeof value);
  }
  return true;
}

static const char *backing_name(uint32_t backing) {
  switch (backing) {
  case XIVE_BACKING_IPI: return "ipi";
  case XIVE_BACKING_PHB: return "phb";
  case XIVE_BACKING_TIMA: return "tima";
  case XIVE_BACKING_END: return "end";
  default: return "unknown";
  }
}

static void print_signature(const char *what, const struct xive_page_signature *signature) {
  report(what,
    "lisn %" PRIu32 " half %" PRIu32 " backing %s phb %" PRIu32 " hwirq %" PRIu32
    " generation %" PRIu64 " device offset %#" PRIx64,
    xive_be32_to_host(signature->lisn), xive_be32_to_host(signature->half),
    backing_name(xive_be32_to_host(signature->backing)), xive_be32_to_host(signature->phb),
    xive_be32_to_host(signature->hwirq), xive_be64_to_host(signature->generation),
    xive_be64_to_host(signature->device_offset));
}

/// Reads and prints the signature of the page at a device offset. False when there is none.
static bool signature_at(
  const char *what, const struct window *window, uint64_t offset,
  struct xive_page_signature *signature
) {
  if (!read_signature(address_of(window, offset), signature)) {
    bus_error(what, window);
    return false;
  }
  uint64_t magic = xive_be64_to_host(signature->magic);
  if (magic != XIVE_SIGNATURE_MAGIC) {
    expect(what, XIVE_SIGNATURE_MAGIC, magic);
    return false;
  }
  print_signature(what, signature);
  return true;
}

/// Finds out whether a window traps, where a load changes nothing in either kind: at the signature of a
/// trigger page, or of a TIMA's. Exact, it gives all ones; of a mapped page it gives the signature, or
/// SIGBUS where there is no page.
static void find_kind(const char *what, struct window *window, uint64_t page) {
  uint64_t value;
  const uint8_t *address = address_of(window, page + XIVE_SIGNATURE_OFFSET);
  window->is_trapped = pointer_load(address, &value) && value == XIVE_ALL_ONES;
  report(what, window->is_trapped ? "trapped, each load and store is one exact operation"
                                  : "mapped, pages are memory");
}

static void check_tima_signature(const struct consumer *consumer) {
  struct xive_page_signature signature;
  uint64_t offset = xive_kernel_tima_offset(XIVE_VIEW_OS, consumer->page_size);
  if (!signature_at("tima os page", &consumer->tima, offset, &signature)) return;
  expect("tima os page backing", XIVE_BACKING_TIMA, xive_be32_to_host(signature.backing));
}

/// A page has several names: the one in the kernel's window, the one in region 1, a PHB's own.
static bool names_page(
  uint64_t offset, const struct consumer *consumer, uint32_t half,
  const struct xive_page_signature *signature
) {
  if (offset == xive_kernel_esb_offset(consumer->lisn, half, consumer->page_size)) return true;
  if (offset == xive_esb_offset(consumer->lisn, half, consumer->page_size)) return true;
  return xive_be32_to_host(signature->backing) == XIVE_BACKING_PHB
    && offset == xive_phb_offset(xive_be32_to_host(signature->phb),
      xive_be32_to_host(signature->hwirq), consumer->page_size);
}

static void check_esb_signature(const char *what, const struct consumer *consumer, uint32_t half) {
  struct xive_page_signature signature;
  uint64_t offset = xive_kernel_esb_offset(consumer->lisn, half, consumer->page_size);
  if (!signature_at(what, &consumer->esb, offset, &signature)) return;

  char detail[64];
  snprintf(detail, sizeof detail, "%s lisn", what);
  expect(detail, consumer->lisn, xive_be32_to_host(signature.lisn));
  snprintf(detail, sizeof detail, "%s half", what);
  expect(detail, half, xive_be32_to_host(signature.half));
  uint64_t named = xive_be64_to_host(signature.device_offset);
  if (!names_page(named, consumer, half, &signature)) {
    snprintf(detail, sizeof detail, "%s device offset", what);
    expect(detail, offset, named);
  }
}

// MARK: - The source's operations

static uint64_t management(const struct consumer *consumer, uint32_t operation) {
  return xive_kernel_esb_offset(consumer->lisn, XIVE_MANAGEMENT, consumer->page_size) + operation;
}

/// Where a store triggers. A source with one page takes triggers at the start of that page.
static uint64_t trigger(const struct consumer *consumer) {
  uint32_t half = consumer->geometry.esb_pages == 1 ? XIVE_MANAGEMENT : XIVE_TRIGGER;
  return xive_kernel_esb_offset(consumer->lisn, half, consumer->page_size);
}

static uint64_t exact_load(const char *what, const struct consumer *consumer, uint32_t operation) {
  uint64_t value = 0;
  int result = xive_load(consumer->fd, management(consumer, operation), &value);
  if (result != 0) give_up(what, -result);
  return value;
}

/// Loads PQ through the mapping until it is `expected`: updates of a live page are asynchronous.
static void expect_live_pq(const char *what, const struct consumer *consumer, uint64_t expected) {
  const struct timespec pause = {.tv_nsec = 1000000};
  const uint8_t *address = address_of(&consumer->esb, management(consumer, XIVE_ESB_GET));
  uint64_t seen = 0;
  for (int waited = 0; waited <= LIVE_TIMEOUT_MS; waited++) {
    if (!pointer_load(address, &seen)) {
      bus_error(what, &consumer->esb);
      return;
    }
    if (seen == expected) break;
    nanosleep(&pause, NULL);
  }
  expect(what, expected, seen);
}

static void exercise_exact(const struct consumer *consumer) {
  report("set pq 00, exact", "was %#" PRIx64,
    exact_load("set pq 00, exact", consumer, XIVE_ESB_SET_PQ_00));
  int result = xive_store(consumer->fd, trigger(consumer), 0);
  if (result != 0) give_up("trigger, exact", -result);
  report("trigger, exact", "stored");
  expect("pq after it, exact", XIVE_PQ_PENDING,
    exact_load("pq after it, exact", consumer, XIVE_ESB_GET));
  expect("eoi, exact", 0, exact_load("eoi, exact", consumer, XIVE_ESB_LOAD_EOI));
}

static void exercise_mapped(const struct consumer *consumer) {
  // PENDING from the exact trigger may still be on the live page: without this wait the last check
  // could see that one and prove nothing.
  expect_live_pq("pq before mapped trigger, live", consumer, XIVE_PQ_RESET);

  uint8_t *address = address_of(&consumer->esb, trigger(consumer));
  if (!pointer_store(address, 0)) {
    bus_error("trigger, mapped", &consumer->esb);
    return;
  }
  if (msync(address, consumer->page_size, MS_SYNC) != 0) give_up("msync", errno);
  report("trigger, mapped", "stored and synchronised");

  // The fault that lets the store through marks the page as written before the store is done. When
  // the server's tick comes in between, the page is delivered twice: a second trigger, which waits in Q.
  uint64_t pq = exact_load("pq after it, exact", consumer, XIVE_ESB_GET);
  bool twice = pq == XIVE_PQ_QUEUED;
  expect_live_pq("pq after it, live", consumer, twice ? XIVE_PQ_QUEUED : XIVE_PQ_PENDING);
  expect("eoi after mapped trigger, exact", twice,
    exact_load("eoi after mapped trigger, exact", consumer, XIVE_ESB_LOAD_EOI));
  if (twice) {
    expect("eoi after the second trigger, exact", 0,
      exact_load("eoi after the second trigger, exact", consumer, XIVE_ESB_LOAD_EOI));
  }
}

/// Loads through the pointer; gives up where a mapped page would be missing.
static uint64_t trapped_load(const char *what, const struct consumer *consumer, uint32_t operation) {
  uint64_t value = 0;
  const uint8_t *address = address_of(&consumer->esb, management(consumer, operation));
  if (!pointer_load(address, &value)) bus_error(what, &consumer->esb);
  return value;
}

static void trapped_trigger(const char *what, const struct consumer *consumer) {
  if (!pointer_store(address_of(&consumer->esb, trigger(consumer)), 0)) bus_error(what, &consumer->esb);
  else report(what, "stored");
}

/// What the pointer does has been done when the next instruction runs: no msync, no wait.
static void exercise_trapped(const struct consumer *consumer) {
  expect("set pq 00, trapped", XIVE_PQ_RESET,
    trapped_load("set pq 00, trapped", consumer, XIVE_ESB_SET_PQ_00));
  trapped_trigger("trigger, trapped", consumer);
  expect("pq after it, trapped", XIVE_PQ_PENDING,
    trapped_load("pq after it, trapped", consumer, XIVE_ESB_GET));
  expect("pq after it, exact", XIVE_PQ_PENDING,
    exact_load("pq after it, exact", consumer, XIVE_ESB_GET));
  trapped_trigger("second trigger, trapped", consumer);
  expect("pq after both, trapped", XIVE_PQ_QUEUED,
    trapped_load("pq after both, trapped", consumer, XIVE_ESB_GET));
  expect("eoi, trapped", 1, trapped_load("eoi, trapped", consumer, XIVE_ESB_LOAD_EOI));
  expect("second eoi, trapped", 0, trapped_load("second eoi, trapped", consumer, XIVE_ESB_LOAD_EOI));
}

/// A trapped TIMA page gives what pread gives at the same offset: the OS ring, or all ones of no vCPU.
static void check_trapped_tima(const struct consumer *consumer) {
  uint64_t exact = 0, seen = 0;
  uint64_t offset =
    xive_kernel_tima_offset(XIVE_VIEW_OS, consumer->page_size) + XIVE_TIMA_OS_RING;
  int result = xive_load(consumer->fd, offset, &exact);
  if (result != 0) give_up("tima os ring, exact", -result);
  if (!pointer_load(address_of(&consumer->tima, offset), &seen)) {
    bus_error("tima os ring, trapped", &consumer->tima);
    return;
  }
  expect("tima os ring, trapped", exact, seen);
}

/// Everything with the source. Gives PQ as it was.
static uint64_t exercise_source(const struct consumer *consumer) {
  bool is_trapped = consumer->esb.is_trapped;
  if (!is_trapped && consumer->geometry.esb_pages != 1) {
    check_esb_signature("trigger page", consumer, XIVE_TRIGGER);
  }
  if (!is_trapped) check_esb_signature("management page", consumer, XIVE_MANAGEMENT);

  uint64_t pq_at_start = exact_load("pq at start, exact", consumer, XIVE_ESB_GET);
  report("pq at start, exact", "%#" PRIx64, pq_at_start);
  expect_live_pq(is_trapped ? "pq at start, trapped" : "pq at start, live", consumer, pq_at_start);
  exercise_exact(consumer);
  if (is_trapped) exercise_trapped(consumer);
  else exercise_mapped(consumer);
  return pq_at_start;
}

static void exercise_hole(const struct consumer *consumer, uint32_t hole) {
  // Not the first byte of the page, so that the exact address shows.
  uint64_t offset =
    xive_kernel_esb_offset(hole, XIVE_MANAGEMENT, consumer->page_size) + XIVE_ESB_GET;
  uint64_t value;
  bool is_there = pointer_load(address_of(&consumer->esb, offset), &value);
  if (is_there && consumer->esb.is_trapped) {
    expect("hole, trapped", XIVE_ALL_ONES, value);
    return;
  }
  if (is_there || consumer->esb.is_trapped) {
    report("hole", "FAILED: expected %s saw %s", is_there ? "SIGBUS" : "all ones",
      is_there ? "a page" : "SIGBUS");
    failures++;
    return;
  }
  expect("hole, SIGBUS at device offset", offset, device_offset(&consumer->esb, fault_address));
}

// MARK: - Opening

static struct window map(const char *what, int fd, uint64_t offset, uint64_t length) {
  void *base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
  if (base == MAP_FAILED) give_up(what, errno);
  report(what, "%" PRIu64 " bytes from device offset %#" PRIx64, length, offset);
  return (struct window){.base = base, .offset = offset, .length = length};
}

static struct xive_info_geometry read_geometry(int fd) {
  struct xive_attr attribute = {.group = XIVE_GROUP_INFO, .attr = XIVE_INFO_GEOMETRY};
  if (ioctl(fd, XIVE_GET_ATTR, &attribute) != 0) give_up("geometry", errno);
  struct xive_info_geometry geometry;
  memcpy(&geometry, attribute.data, sizeof geometry);
  report("geometry", "%" PRIu32 " sources, %" PRIu32 " esb pages each, store eoi %s",
    geometry.sources, geometry.esb_pages, geometry.flags & XIVE_INFO_STORE_EOI ? "yes" : "no");
  return geometry;
}

static struct consumer open_device(const char *path, uint32_t lisn) {
  struct consumer consumer = {.lisn = lisn};
  // O_DIRECT makes pread and pwrite exact; mapping the same descriptor is not affected by it.
  consumer.fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
  if (consumer.fd < 0) give_up("open", errno);

  struct stat status;
  if (fstat(consumer.fd, &status) != 0) give_up("fstat", errno);
  consumer.page_size = (uint64_t)status.st_blksize;
  expect("device size", XIVE_DEVICE_SIZE, (uint64_t)status.st_size);
  consumer.geometry = read_geometry(consumer.fd);
  expect("device page", UINT64_C(1) << (consumer.geometry.device_page_shift & 63),
    consumer.page_size);

  consumer.tima = map("tima window", consumer.fd,
    xive_kernel_tima_offset(XIVE_VIEW_HW, consumer.page_size), XIVE_VIEWS * consumer.page_size);
  consumer.esb = map("esb window", consumer.fd,
    xive_kernel_esb_offset(0, XIVE_TRIGGER, consumer.page_size),
    2 * (uint64_t)consumer.geometry.sources * consumer.page_size);
  find_kind("tima window", &consumer.tima,
    xive_kernel_tima_offset(XIVE_VIEW_OS, consumer.page_size));
  find_kind("esb window", &consumer.esb,
    xive_kernel_esb_offset(0, XIVE_TRIGGER, consumer.page_size));
  return consumer;
}

static void close_device(struct consumer *consumer) {
  munmap(consumer->esb.base, consumer->esb.length);
  munmap(consumer->tima.base, consumer->tima.length);
  close(consumer->fd);
}

// MARK: - Command line

static int usage(void) {
  fprintf(stderr, "usage: consumer PATH [LISN] [--hole LISN]\n");
  return EXIT_USAGE;
}

static bool parse_lisn(const char *text, uint32_t *lisn) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 0);
  if (errno != 0 || end == text || *end != '\0' || value >= XIVE_MAX_SOURCES) return false;
  *lisn = (uint32_t)value;
  return true;
}

struct arguments {
  const char *path;
  uint32_t lisn;
  uint32_t hole;
  bool has_hole;
};

static bool parse(int count, char **values, struct arguments *arguments) {
  int positional = 0;
  for (int i = 1; i < count; i++) {
    if (strcmp(values[i], "--hole") == 0) {
      if (++i == count || !parse_lisn(values[i], &arguments->hole)) return false;
      arguments->has_hole = true;
    } else if (positional == 0 && values[i][0] != '-') {
      arguments->path = values[i];
      positional++;
    } else if (positional == 1 && parse_lisn(values[i], &arguments->lisn)) {
      positional++;
    } else {
      return false;
    }
  }
  return positional > 0;
}

int main(int count, char **values) {
  struct arguments arguments = {.lisn = 16};
  if (!parse(count, values, &arguments)) return usage();
  setvbuf(stdout, NULL, _IOLBF, 0);
  catch_bus_errors();

  struct consumer consumer = open_device(arguments.path, arguments.lisn);
  if (arguments.lisn >= consumer.geometry.sources
    || (arguments.has_hole && arguments.hole >= consumer.geometry.sources)) {
    fprintf(stderr, "consumer: the device has sources 0 to %" PRIu32 "\n",
      consumer.geometry.sources - 1);
    return usage();
  }

  if (consumer.tima.is_trapped) check_trapped_tima(&consumer);
  else check_tima_signature(&consumer);
  uint64_t pq_at_start = exercise_source(&consumer);
  if (arguments.has_hole) exercise_hole(&consumer, arguments.hole);

  uint32_t restore = XIVE_ESB_SET_PQ_00 + (uint32_t)(pq_at_start & 3) * XIVE_ESB_SET_PQ_STEP;
  expect("pq put back, exact", XIVE_PQ_RESET,
    exact_load("pq put back, exact", &consumer, restore));
  close_device(&consumer);
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
