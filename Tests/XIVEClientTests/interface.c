// Every function of xive_client.h and every refusal, through libxive-client.so.
//
//     interface PATH PLAIN_FILE
//
// PATH is a device of 32 sources and 4 KiB pages, none of them created; it is changed. Prints a
// line for each expectation that is not met, and exits 1 if there was one.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"

enum { PAGE = 4096, SOURCES = 32, UNTOUCHED = 77 };

static int open_error(const char *path, bool writable) {
  int error = UNTOUCHED;
  xive_client *client = xive_client_open(path, writable, &error);
  EXPECT(client == NULL);
  xive_client_close(client);
  return error;
}

static void check_open(const char *path, const char *plain_file) {
  EXPECT(strcmp(xive_client_error_message(), "") == 0);
  EXPECT_REFUSED(open_error("/nonexistent/device", true), ENOENT, "/nonexistent/device");
  EXPECT_REFUSED(open_error(plain_file, true), ENOTTY, plain_file);
  EXPECT(xive_client_open("/nonexistent/device", true, NULL) == NULL);
  EXPECT_REFUSED(open_error("/nonexistent\nline", true), ENOENT, "/nonexistent?line");
  int error = UNTOUCHED;
  xive_client *client = xive_client_open(path, true, &error);
  EXPECT(client != NULL && error == UNTOUCHED);
  xive_client_close(client);
  xive_client_close(NULL);
}

static void check_geometry(const xive_client *client) {
  struct xive_info_geometry geometry;
  EXPECT(xive_client_geometry(client, &geometry) == 0);
  EXPECT(geometry.sources == SOURCES && geometry.device_page_shift == 12);
  EXPECT(geometry.esb_pages == 2 && geometry.flags == 0 && geometry.source_blocks == 0);
  EXPECT(xive_client_create_source(client, 1, 0) == 0);
  EXPECT(xive_client_geometry(client, &geometry) == 0 && geometry.source_blocks == 1);
}

static void check_sources(const xive_client *client) {
  uint64_t pq = UNTOUCHED;
  bool forwarded = true;
  EXPECT(xive_client_pq(client, 2, &pq) == 0 && pq == XIVE_ALL_ONES);
  EXPECT(xive_client_create_source(client, 2, 0) == 0);
  EXPECT(xive_client_pq(client, 2, &pq) == 0 && pq == XIVE_PQ_OFF);
  EXPECT(xive_client_set_pq(client, 2, XIVE_PQ_RESET, &pq) == 0 && pq == XIVE_PQ_OFF);
  EXPECT(xive_client_trigger(client, 2) == 0);
  EXPECT(xive_client_pq(client, 2, &pq) == 0 && pq == XIVE_PQ_PENDING);
  EXPECT(xive_client_trigger(client, 2) == 0);
  EXPECT(xive_client_end_of_interrupt(client, 2, &forwarded) == 0 && forwarded);
  EXPECT(xive_client_end_of_interrupt(client, 2, &forwarded) == 0 && !forwarded);
  EXPECT(xive_client_end_of_interrupt(client, 2, NULL) == 0);
  for (uint32_t state = XIVE_PQ_RESET; state <= XIVE_PQ_QUEUED; state++) {
    EXPECT(xive_client_set_pq(client, 2, state, NULL) == 0);
    EXPECT(xive_client_pq(client, 2, &pq) == 0 && pq == state);
  }
  EXPECT(xive_client_create_source(client, 3, KVM_XIVE_LEVEL_SENSITIVE) == 0);
  EXPECT(xive_client_create_source(client, 3,
    KVM_XIVE_LEVEL_SENSITIVE | KVM_XIVE_LEVEL_ASSERTED) == 0);
}

static void check_source_refusals(const xive_client *client) {
  uint64_t pq = UNTOUCHED;
  bool forwarded = true;
  EXPECT_REFUSED(xive_client_create_source(client, SOURCES, 0), E2BIG, "0x20");
  EXPECT_REFUSED(xive_client_create_source(client, 1, 4), EINVAL, "flags: 4");
  EXPECT_REFUSED(xive_client_trigger(client, SOURCES), E2BIG, "0x20");
  EXPECT_REFUSED(xive_client_pq(client, SOURCES, &pq), E2BIG, "0x20");
  EXPECT_REFUSED(xive_client_set_pq(client, UINT32_MAX, 0, &pq), E2BIG, "0xffffffff");
  EXPECT_REFUSED(xive_client_set_pq(client, 1, 4, &pq), EINVAL, "pq: 4");
  EXPECT_REFUSED(xive_client_set_pq(client, 1, 256, &pq), EINVAL, "pq: 256");
  EXPECT_REFUSED(xive_client_end_of_interrupt(client, SOURCES, &forwarded), E2BIG, "0x20");
  EXPECT(pq == UNTOUCHED && forwarded);
}

static void check_exact_access(const xive_client *client) {
  uint64_t management = xive_esb_offset(4, XIVE_MANAGEMENT, PAGE), value = UNTOUCHED;
  EXPECT(xive_client_create_source(client, 4, 0) == 0);
  EXPECT(xive_client_load(client, management + XIVE_ESB_SET_PQ_10, &value) == 0 && value == 1);
  EXPECT(xive_client_load(client, management + XIVE_ESB_GET, &value) == 0 && value == 2);
  EXPECT(xive_client_store(client, xive_esb_offset(4, XIVE_TRIGGER, PAGE), 0) == 0);
  EXPECT(xive_client_load(client, management + XIVE_ESB_GET, &value) == 0 && value == 3);
  EXPECT(xive_client_load(client, xive_esb_offset(9, XIVE_MANAGEMENT, PAGE), &value) == 0);
  EXPECT(value == XIVE_ALL_ONES);
  value = UNTOUCHED;
  EXPECT_REFUSED(xive_client_load(client, management + 4, &value), EINVAL, "0x10000009004");
  EXPECT_REFUSED(xive_client_store(client, management + 4, 0), EINVAL, "0x10000009004");
  uint64_t behind = xive_esb_offset(SOURCES, XIVE_TRIGGER, PAGE);
  EXPECT_REFUSED(xive_client_load(client, behind, &value), EINVAL, "0x10000040000");
  EXPECT_REFUSED(xive_client_load(client, UINT64_MAX - 7, &value), EINVAL, "0xfffffffffffffff8");
  EXPECT_REFUSED(xive_client_store(client, UINT64_MAX - 7, 0), EINVAL, "0xfffffffffffffff8");
  EXPECT(value == UNTOUCHED);
}

static bool is_mapped(void *address) {
  unsigned char resident;
  return mincore(address, PAGE, &resident) == 0;
}

static void check_mapping(xive_client_mapping *mapping, size_t length) {
  EXPECT(mapping != NULL);
  if (mapping == NULL) return;
  char *address = xive_client_mapping_address(mapping);
  EXPECT(xive_client_mapping_length(mapping) == length);
  EXPECT(is_mapped(address) && is_mapped(address + length - PAGE));
  xive_client_unmap(mapping);
  EXPECT(!is_mapped(address) && !is_mapped(address + length - PAGE));
}

static void check_mappings(const xive_client *client) {
  int error = UNTOUCHED;
  check_mapping(xive_client_map_kernel_window(client, 0, 4, &error), 4 * PAGE);
  check_mapping(xive_client_map_kernel_window(client, 0, 1, &error), PAGE);
  check_mapping(
    xive_client_map_kernel_window(client, 4, 2 * SOURCES, &error), 2 * SOURCES * PAGE);
  check_mapping(xive_client_map_source(client, 5, &error), 2 * PAGE);
  check_mapping(xive_client_map_tima(client, &error), 4 * PAGE);
  EXPECT(error == UNTOUCHED);
  xive_client_unmap(NULL);
}

// MARK: - Trapped windows

static sigjmp_buf after_fault;
static volatile uintptr_t fault_address;

static void catch_fault(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  fault_address = (uintptr_t)info->si_addr;
  siglongjmp(after_fault, 1);
}

// Whether the touch that follows ends in SIGBUS at exactly that address.
#define EXPECT_BUS_ERROR(address, touch)                     \
  do {                                                       \
    fault_address = 0;                                       \
    if (sigsetjmp(after_fault, 1) == 0) touch;               \
    EXPECT(fault_address == (uintptr_t)(address));           \
  } while (0)

static uint64_t load64(const volatile char *address) {
  return xive_be64_to_host(*(const volatile uint64_t *)address);
}

static void store64(volatile char *address, uint64_t value) {
  *(volatile uint64_t *)address = xive_host_to_be64(value);
}

// Every touch of a source's pages is one operation, done when the next is made.
static void check_source_by_pointer(const xive_client *client, volatile char *pages, uint32_t lisn) {
  volatile char *management = pages + PAGE;
  uint64_t pq = UNTOUCHED;
  EXPECT(load64(management + XIVE_ESB_SET_PQ_00) == XIVE_PQ_OFF);
  store64(pages, 0);
  EXPECT(xive_client_pq(client, lisn, &pq) == 0 && pq == XIVE_PQ_PENDING);
  EXPECT(load64(management + XIVE_ESB_GET) == XIVE_PQ_PENDING);
  store64(pages + 8, 0);
  EXPECT(load64(management + XIVE_ESB_LOAD_EOI) == 1);
  EXPECT(load64(management + XIVE_ESB_LOAD_EOI) == 0);
  EXPECT(load64(management + XIVE_ESB_SET_PQ_01) == XIVE_PQ_RESET);
  EXPECT(load64(pages) == XIVE_ALL_ONES);
  // No image, no signature: the place is that of SET_PQ_11.
  EXPECT(load64(management + XIVE_SIGNATURE_OFFSET) == XIVE_PQ_OFF);
  EXPECT(load64(management + XIVE_ESB_SET_PQ_01) == XIVE_PQ_QUEUED);
  EXPECT_BUS_ERROR(management + 4, (void)*(volatile uint64_t *)(management + 4));
  EXPECT_BUS_ERROR(management, (void)*(volatile uint32_t *)management);
  EXPECT_BUS_ERROR(pages, *(volatile uint16_t *)pages = 0);
  EXPECT(xive_client_pq(client, lisn, &pq) == 0 && pq == XIVE_PQ_OFF);
}

// The kernel's window: its TIMA is nobody's, its ESB pages are those of region 1.
static void check_kernel_window_by_pointer(const xive_client *client, int *error) {
  xive_client_mapping *tima = xive_client_map_kernel_window_trapped(client, 0, 4, error);
  xive_client_mapping *esb = xive_client_map_kernel_window_trapped(client, 4, 2 * SOURCES, error);
  EXPECT(tima != NULL && esb != NULL);
  if (tima == NULL || esb == NULL) return;
  volatile char *view = (char *)xive_client_mapping_address(tima) + XIVE_VIEW_OS * PAGE;
  EXPECT(load64(view + 0x10) == XIVE_ALL_ONES && *(volatile uint8_t *)(view + 0x11) == 0xff);
  volatile char *pages = xive_client_mapping_address(esb);
  check_source_by_pointer(client, pages + 6 * 2 * PAGE, 6);
  // Never created: absent.
  EXPECT(load64(pages + 9 * 2 * PAGE + PAGE + XIVE_ESB_GET) == XIVE_ALL_ONES);
  store64(pages + 9 * 2 * PAGE, 0);
  EXPECT(xive_client_mapping_length(esb) == 2 * SOURCES * PAGE);
  xive_client_unmap(tima), xive_client_unmap(esb);
  EXPECT(!is_mapped((char *)view) && !is_mapped((char *)pages));
}

static void check_trapped(const char *path) {
  struct sigaction action = {.sa_sigaction = catch_fault, .sa_flags = SA_SIGINFO}, before;
  EXPECT(sigaction(SIGBUS, &action, &before) == 0);
  int error = UNTOUCHED;
  xive_client *client = xive_client_open(path, true, NULL);
  EXPECT(client != NULL && xive_client_create_source(client, 6, 0) == 0);
  xive_client_mapping *tima = xive_client_map_tima_trapped(client, &error);
  EXPECT(tima != NULL && xive_client_mapping_length(tima) == 4 * PAGE);
  EXPECT(load64(xive_client_mapping_address(tima)) == XIVE_ALL_ONES);
  xive_client_unmap(tima);
  check_kernel_window_by_pointer(client, &error);
  xive_client_mapping *source = xive_client_map_source_trapped(client, 6, &error);
  EXPECT(source != NULL && error == UNTOUCHED);
  check_source_by_pointer(client, xive_client_mapping_address(source), 6);
  EXPECT(xive_client_map_source_trapped(client, SOURCES, &error) == NULL);
  EXPECT_REFUSED(error, E2BIG, "0x20");
  EXPECT(xive_client_map_kernel_window_trapped(client, 5, 1, &error) == NULL);
  EXPECT_REFUSED(error, EINVAL, "1 pages at page offset 5");
  xive_client_close(client);
  // The mapping outlives the client.
  volatile char *pages = xive_client_mapping_address(source);
  EXPECT(load64(pages + PAGE + XIVE_ESB_GET) == XIVE_PQ_OFF);
  xive_client_unmap(source);
  // Without the right to change anything, a load that would is SIGBUS.
  client = xive_client_open(path, false, NULL);
  source = xive_client_map_source_trapped(client, 6, NULL);
  pages = xive_client_mapping_address(source);
  EXPECT(load64(pages + PAGE + XIVE_ESB_GET) == XIVE_PQ_OFF);
  EXPECT_BUS_ERROR(pages + PAGE, (void)load64(pages + PAGE));
  xive_client_unmap(source);
  xive_client_close(client);
  EXPECT(sigaction(SIGBUS, &before, NULL) == 0);
}

static int map_error(const xive_client *client, uint64_t offset, uint64_t count) {
  int error = UNTOUCHED;
  EXPECT(xive_client_map_kernel_window(client, offset, count, &error) == NULL);
  return error;
}

static void check_mapping_refusals(const xive_client *client) {
  static const uint64_t other_offsets[] = {1, 2, 3, 5, 6, 20, UINT64_C(1) << 28, UINT64_MAX};
  for (size_t i = 0; i < sizeof other_offsets / sizeof *other_offsets; i++)
    EXPECT_REFUSED(map_error(client, other_offsets[i], 1), EINVAL, "page offset");
  EXPECT_REFUSED(map_error(client, 0, 0), EINVAL, "0 pages at page offset 0");
  EXPECT_REFUSED(map_error(client, 0, 5), EINVAL, "5 pages at page offset 0");
  EXPECT_REFUSED(map_error(client, 4, 0), EINVAL, "0 pages at page offset 4");
  EXPECT_REFUSED(map_error(client, 4, 2 * SOURCES + 1), EINVAL, "65 pages at page offset 4");
  EXPECT_REFUSED(map_error(client, 4, UINT64_MAX), EINVAL, "page offset 4");
  EXPECT(xive_client_map_kernel_window(client, 4, UINT64_MAX, NULL) == NULL);
  int error = UNTOUCHED;
  EXPECT(xive_client_map_source(client, SOURCES, &error) == NULL);
  EXPECT_REFUSED(error, E2BIG, "0x20");
}

// Looks without changing, also through a mapping; every change is refused.
static void check_read_only(const char *path) {
  xive_client *client = xive_client_open(path, false, NULL);
  EXPECT(client != NULL);
  if (client == NULL) return;
  uint64_t value;
  EXPECT(xive_client_pq(client, 2, &value) == 0 && value == XIVE_PQ_QUEUED);
  EXPECT_REFUSED(xive_client_set_pq(client, 2, 0, NULL), EBADF, "offset");
  EXPECT_REFUSED(xive_client_end_of_interrupt(client, 2, NULL), EBADF, "offset");
  EXPECT_REFUSED(xive_client_trigger(client, 2), EBADF, "offset");
  EXPECT_REFUSED(xive_client_store(client, xive_esb_offset(2, 0, PAGE), 0), EBADF, "offset");
  EXPECT_REFUSED(xive_client_create_source(client, 2, 0), EBADF, "request");
  xive_client_mapping *mapping = xive_client_map_source(client, 2, NULL);
  EXPECT(mapping != NULL);
  if (mapping == NULL) return;
  const volatile uint64_t *pages = xive_client_mapping_address(mapping);
  xive_client_close(client);
  // The mapping outlives the client.
  EXPECT(xive_be64_to_host(pages[(PAGE + XIVE_ESB_GET) / 8]) == XIVE_PQ_QUEUED);
  EXPECT(xive_be64_to_host(pages[(PAGE + XIVE_SIGNATURE_OFFSET) / 8]) == XIVE_SIGNATURE_MAGIC);
  xive_client_unmap(mapping);
}

// A user that may not open the device, which only root can become.
static void check_permission(const char *path) {
  if (geteuid() != 0) return;
  pid_t child = fork();
  if (child == 0) {
    failures = 0;
    if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0
      || setresuid(65534, 65534, 65534) != 0)
      _exit(2);
    EXPECT_REFUSED(open_error(path, true), EACCES, path);
    EXPECT_REFUSED(open_error(path, false), EACCES, path);
    fflush(stdout);
    _exit(failures == 0 ? 0 : 1);
  }
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

static void *first_message(void *unused) {
  (void)unused;
  EXPECT(strcmp(xive_client_error_message(), "") == 0);
  EXPECT_REFUSED(open_error("/other", true), ENOENT, "/other");
  return NULL;
}

// Each thread has its own words.
static void check_threads(void) {
  EXPECT_REFUSED(open_error("/mine", true), ENOENT, "/mine");
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, first_message, NULL) == 0);
  pthread_join(thread, NULL);
  EXPECT(strstr(xive_client_error_message(), "/mine") != NULL);
}

int main(int count, char **values) {
  if (count != 3) return 64;
  // A child must not print again what this process has not printed yet.
  setvbuf(stdout, NULL, _IONBF, 0);
  check_open(values[1], values[2]);
  xive_client *client = xive_client_open(values[1], true, NULL);
  if (client == NULL) {
    printf("%s\n", xive_client_error_message());
    return 1;
  }
  check_geometry(client);
  check_sources(client);
  check_source_refusals(client);
  check_exact_access(client);
  check_mappings(client);
  check_mapping_refusals(client);
  check_trapped(values[1]);
  check_read_only(values[1]);
  check_permission(values[1]);
  check_threads();
  xive_client_close(client);
  return conclude();
}
