// On a real device with sources and vCPUs: what it refuses, a server that is killed, and the vCPU of an open file.
// living CASE DEVICE [PROCESS]: the server's.
#include "living.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "xive.h"

enum { PAGES = 2 };
static ctrap_device *device;
static volatile uint8_t *source;  // both pages of one

static int open_device(void) {
  int fd = open(device_path, O_RDWR | O_DIRECT | O_CLOEXEC);
  NEED(fd >= 0);
  return fd;
}

static void prepare(uint32_t lisn) {
  int fd = open_device();
  NEED(ctrap_device_open(fd, &device) == 0);
  close(fd);
  source = (volatile uint8_t *)window_map(device, xive_esb_offset(lisn, XIVE_TRIGGER, PAGE_BYTES), PAGES * PAGE_BYTES);
}

static uint64_t load(size_t offset) {
  return xive_be64_to_host(*(volatile uint64_t *)(source + PAGE_BYTES + offset));
}

static void trigger(void) { *(volatile uint64_t *)source = 0; }

static void operations(void) {
  prepare(1);
  EXPECT_EQUAL(load(XIVE_ESB_SET_PQ_00), 1);
  for (int i = 0; i < 100; i++) {
    trigger();
    EXPECT_EQUAL(load(XIVE_ESB_GET), 2);
    trigger();
    EXPECT_EQUAL(load(XIVE_ESB_LOAD_EOI), 1);
    EXPECT_EQUAL(load(XIVE_ESB_LOAD_EOI), 0);
  }
  EXPECT_EQUAL(ctrap_access_count(), 501);
}

// MARK: - What it refuses

static siginfo_t got;
static volatile int bus_errors;
static sigjmp_buf back;

static void note(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  got = *info;
  bus_errors++;
  siglongjmp(back, 1);
}

#define EXPECT_BUS_ERROR(access, code, address) \
  do { \
    got.si_code = 0; \
    if (sigsetjmp(back, 1) == 0) { \
      (void)(access); \
      EXPECT(!"refused"); \
    } \
    EXPECT_EQUAL(got.si_code, code); \
    EXPECT(got.si_addr == (void *)(address)); \
  } while (0)

static void refusals(void) {
  handle(SIGBUS, note, SA_SIGINFO, 0);
  prepare(1);
  EXPECT_EQUAL(load(XIVE_ESB_SET_PQ_10), 1);
  volatile uint8_t *get = source + PAGE_BYTES + XIVE_ESB_GET;
  EXPECT_BUS_ERROR(*(volatile uint32_t *)get, BUS_ADRERR, get);
  EXPECT_BUS_ERROR(*(volatile uint16_t *)get, BUS_ADRERR, get);
  EXPECT_BUS_ERROR(*get, BUS_ADRERR, get);
  EXPECT_BUS_ERROR(*(volatile uint64_t *)(get + 4), BUS_ADRALN, get + 4);
  EXPECT_BUS_ERROR(*(volatile uint64_t *)(source + 1) = 0, BUS_ADRALN, source + 1);
  EXPECT_BUS_ERROR(*(volatile uint8_t *)source = 0, BUS_ADRERR, source);
  EXPECT_EQUAL(load(XIVE_ESB_GET), 2);
  // A source that has not been created is absent: all ones, and no signal.
  volatile uint64_t *absent = window_map(device, xive_esb_offset(40, XIVE_MANAGEMENT, PAGE_BYTES), PAGE_BYTES);
  EXPECT_EQUAL(absent[0], UINT64_MAX);
  // An offset that no region has.
  volatile uint64_t *nowhere = window_map(device, xive_region_offset(15), PAGE_BYTES);
  EXPECT_BUS_ERROR(nowhere[1], BUS_ADRERR, nowhere + 1);
  EXPECT_EQUAL(bus_errors, 7);
}

static void load_of_dead(void *unused) {
  (void)unused;
  load(XIVE_ESB_GET);
}

static void dead_server(void) {
  handle(SIGBUS, note, SA_SIGINFO, 0);
  prepare(1);
  EXPECT_EQUAL(load(XIVE_ESB_SET_PQ_10), 1);
  NEED(kill(server, SIGKILL) == 0);
  volatile uint8_t *get = source + PAGE_BYTES + XIVE_ESB_GET;
  // Its connection may take a moment to be over.
  for (int i = 0; i < 10000 && bus_errors == 0; i++) {
    if (sigsetjmp(back, 1) == 0) load(XIVE_ESB_GET);
    usleep(1000);
  }
  EXPECT(bus_errors == 1 && got.si_code == BUS_ADRERR && got.si_addr == (void *)get);
  EXPECT_BUS_ERROR(load(XIVE_ESB_GET), BUS_ADRERR, get);
  EXPECT_BUS_ERROR(trigger(), BUS_ADRERR, source);
  signal(SIGBUS, SIG_DFL);
  EXPECT_KILLED(end_of(load_of_dead, NULL), SIGBUS, BUS_ADRERR, get);
}

// MARK: - The vCPU of an open file

static int connect_vcpu(int fd, uint64_t server_number) {
  struct kvm_enable_cap request = {.cap = KVM_CAP_PPC_IRQ_XIVE, .args = {(uint64_t)fd, server_number}};
  return ioctl(fd, KVM_ENABLE_CAP, &request) < 0 ? errno : 0;
}

// A vCPU is its open file's: as long as there is a window, and no longer.
static void vcpus(void) {
  enum { NUMBER = 3, CPPR = 0x11, OS_VIEW = 2 };
  for (int i = 0; i < 20; i++) {
    int fd = open_device(), other = open_device();
    EXPECT_EQUAL(connect_vcpu(fd, NUMBER), 0);
    EXPECT_EQUAL(connect_vcpu(other, NUMBER + 1), 0);
    volatile uint8_t *pages[2];
    const int fds[2] = {fd, other};
    for (int k = 0; k < 2; k++) {
      NEED(ctrap_device_open(fds[k], &device) == 0);
      pages[k] = (volatile uint8_t *)window_map(
        device, xive_kernel_tima_offset(OS_VIEW, PAGE_BYTES), PAGE_BYTES);
      ctrap_device_close(device);
      close(fds[k]);
    }
    // Each window is its own vCPU's, a child's use of it too.
    pages[0][CPPR] = 5;
    pages[1][CPPR] = 6;
    EXPECT(pages[0][CPPR] == 5 && pages[1][CPPR] == 6);
    pid_t child = fork();
    if (child == 0) _exit(pages[0][CPPR] == 5 && pages[1][CPPR] == 6 ? 0 : 1);
    int status = -1;
    NEED(waitpid(child, &status, 0) == child);
    EXPECT_EQUAL(status, 0);
    int late = open_device();
    EXPECT_EQUAL(connect_vcpu(late, NUMBER), EEXIST);
    EXPECT_EQUAL(ctrap_unmap((void *)pages[0], PAGE_BYTES), 0);
    // The kernel tells the server of the last reference a moment later.
    int result = EEXIST;
    for (int tries = 0; tries < 10000 && result == EEXIST; tries++) {
      result = connect_vcpu(late, NUMBER);
      usleep(1000);
    }
    EXPECT_EQUAL(result, 0);
    EXPECT_EQUAL(pages[1][CPPR], 6);
    EXPECT_EQUAL(ctrap_unmap((void *)pages[1], PAGE_BYTES), 0);
    close(late);
    int again = open_device();
    for (int number = NUMBER; number <= NUMBER + 1; number++)
      for (int tries = 0; tries < 10000 && connect_vcpu(again, (uint64_t)number) == EEXIST; tries++) usleep(1000);
    close(again);
    usleep(10000);
  }
}

// MARK: - For a debugger, which puts its words between these

void look(void) { fflush(stdout); }

static void debugged(void) {
  prepare(2);
  EXPECT_EQUAL(load(XIVE_ESB_SET_PQ_10), 1);
  uint64_t count = ctrap_access_count();
  look();
  EXPECT_EQUAL(ctrap_access_count(), count);
  EXPECT_EQUAL(load(XIVE_ESB_GET), 2);
}

const struct test_case cases_device[] = {
  {"device-operations", operations},
  {"device-refusals", refusals},
  {"device-dead-server", dead_server},
  {"device-vcpus", vcpus},
  {"device-debugged", debugged},
  {0}};
