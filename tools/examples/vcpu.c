/// A vCPU of a xive device file in plain C: connects, shares its memory, takes an interrupt.
///
///     cc -std=gnu11 -I Sources/CXIVE/include -o vcpu tools/examples/vcpu.c
///     vcpu PATH [SERVER [LISN]]
///
/// Nothing but xive.h and <linux/kvm.h>: KVM's own requests where KVM has them. SERVER (default 0)
/// must be free; LISN (default 16) is created, and nobody else may use it meanwhile. It is
/// triggered twice, the second time while the first one is being handled. Exit status: 0 all as
/// expected, 1 not, 64 usage.

// For memfd_create and O_DIRECT, whatever -std= says.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xive.h"

enum {
  EXIT_USAGE = 64,
  PRIORITY = 6,
  EISN = 0x1234,
  QUEUE_SHIFT = 16,
  QUEUE_SIZE = 1 << QUEUE_SHIFT,
  PATIENCE_MS = 5000,
};

/// Where the guest has its memory: any address that is a multiple of the queue's size.
static const uint64_t queue_address = 0x10000000;

struct vcpu {
  int fd;
  uint32_t server;
  uint32_t lisn;
  uint64_t page_size;     // device page
  uint32_t trigger_half;  // where sources have one page, that one is triggered
  const uint32_t *queue;  // the guest's memory
  uint32_t next;          // entry
  uint32_t toggle;        // bit 31 of a new one
};

static int failures;

__attribute__((noreturn))
static void give_up(const char *what) {
  fprintf(stderr, "vcpu: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static void expect(const char *what, uint64_t expected, uint64_t seen) {
  printf("%s: %#" PRIx64, what, seen);
  if (seen != expected) {
    printf(", FAILED: expected %#" PRIx64, expected);
    failures++;
  }
  printf("\n");
}

// MARK: - Setting up

static void set_attribute(int fd, uint32_t group, uint64_t attribute, const void *value,
                          const char *what) {
  struct kvm_device_attr request = {.group = group, .attr = attribute, .addr = (uintptr_t)value};
  if (ioctl(fd, KVM_SET_DEVICE_ATTR, &request) < 0) give_up(what);
}

static void ask_geometry(struct vcpu *vcpu) {
  struct xive_info_geometry geometry;
  struct kvm_device_attr request = {
    .group = XIVE_GROUP_INFO, .attr = XIVE_INFO_GEOMETRY, .addr = (uintptr_t)&geometry};
  if (ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &request) < 0) give_up("geometry");
  vcpu->page_size = UINT64_C(1) << geometry.device_page_shift;
  vcpu->trigger_half = geometry.esb_pages == 2 ? XIVE_TRIGGER : XIVE_MANAGEMENT;
}

/// Connects the descriptor: now its pages 0 to 3 are this vCPU's TIMA, and it can be polled.
static void connect_vcpu(struct vcpu *vcpu) {
  struct kvm_enable_cap request = {
    .cap = KVM_CAP_PPC_IRQ_XIVE, .args = {(uint64_t)vcpu->fd, vcpu->server}};
  if (ioctl(vcpu->fd, KVM_ENABLE_CAP, &request) < 0) give_up("KVM_ENABLE_CAP");
}

/// Shares memory, which must not be able to shrink: the device writes to it.
static void share_memory(struct vcpu *vcpu) {
  int memory = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0 || ftruncate(memory, QUEUE_SIZE) < 0
    || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
    give_up("memfd");
  vcpu->queue = mmap(NULL, QUEUE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (vcpu->queue == MAP_FAILED) give_up("mmap");
  struct xive_memory slot = {.gpa = queue_address, .size = QUEUE_SIZE, .fd = memory};
  set_attribute(vcpu->fd, XIVE_GROUP_MEMORY, 0, &slot, "guest memory");
  close(memory);
}

/// One queue for the priority, one source that sends to it.
static void route(struct vcpu *vcpu) {
  struct xive_eq queue = {
    .flags = KVM_XIVE_EQ_ALWAYS_NOTIFY,
    .qshift = QUEUE_SHIFT,
    .qaddr = queue_address,
    .qtoggle = 1,
  };
  set_attribute(
    vcpu->fd, KVM_DEV_XIVE_GRP_EQ_CONFIG, xive_eq_id(vcpu->server, PRIORITY), &queue, "queue");
  vcpu->toggle = 1;
  uint64_t message = 0, config = xive_source_config(vcpu->server, PRIORITY, EISN, 0);
  set_attribute(vcpu->fd, KVM_DEV_XIVE_GRP_SOURCE, vcpu->lisn, &message, "source");
  set_attribute(vcpu->fd, KVM_DEV_XIVE_GRP_SOURCE_CONFIG, vcpu->lisn, &config, "source's route");
}

// MARK: - Registers

/// TIMA registers have sizes of their own; they are big-endian.
static uint64_t load_tima(const struct vcpu *vcpu, uint32_t offset, size_t size) {
  uint8_t bytes[8] = {0};
  uint64_t page = xive_kernel_tima_offset(XIVE_VIEW_OS, vcpu->page_size), value;
  if (pread(vcpu->fd, bytes + 8 - size, size, (off_t)(page + offset)) != (ssize_t)size)
    give_up("TIMA load");
  memcpy(&value, bytes, sizeof value);
  return xive_be64_to_host(value);
}

static void set_cppr(const struct vcpu *vcpu, uint8_t priority) {
  uint64_t page = xive_kernel_tima_offset(XIVE_VIEW_OS, vcpu->page_size);
  if (pwrite(vcpu->fd, &priority, 1, (off_t)(page + XIVE_TIMA_OS_CPPR)) != 1) give_up("CPPR");
}

static uint64_t load_esb(const struct vcpu *vcpu, uint32_t operation) {
  uint64_t page = xive_esb_offset(vcpu->lisn, XIVE_MANAGEMENT, vcpu->page_size), value;
  if (xive_load(vcpu->fd, page + operation, &value)) give_up("ESB load");
  return value;
}

static void trigger(const struct vcpu *vcpu) {
  uint64_t page = xive_esb_offset(vcpu->lisn, vcpu->trigger_half, vcpu->page_size);
  if (xive_store(vcpu->fd, page, 0)) give_up("trigger");
}

// MARK: - Interrupts

static bool has_interrupt(const struct vcpu *vcpu, int milliseconds) {
  struct pollfd wait = {.fd = vcpu->fd, .events = POLLIN};
  return poll(&wait, 1, milliseconds) == 1 && wait.revents == POLLIN;
}

/// Takes the next entry of the queue; false when there is none.
static bool next_entry(struct vcpu *vcpu, uint32_t *eisn) {
  // What the device wrote before the entry is seen after it.
  uint32_t entry =
    xive_be32_to_host(__atomic_load_n(&vcpu->queue[vcpu->next], __ATOMIC_ACQUIRE));
  if (entry >> 31 != vcpu->toggle) return false;
  vcpu->next = (vcpu->next + 1) % (QUEUE_SIZE / 4);
  if (vcpu->next == 0) vcpu->toggle ^= 1;
  *eisn = entry & 0x7fffffff;
  return true;
}

/// Ends the interrupt as Linux does: a message that came meanwhile is sent again.
static bool end_of_interrupt(const struct vcpu *vcpu) {
  if (!(load_esb(vcpu, XIVE_ESB_SET_PQ_00) & 1)) return false;
  trigger(vcpu);
  return true;
}

/// Takes one interrupt. `again`: the device fires once more while it is handled.
static void take_interrupt(struct vcpu *vcpu, bool again) {
  uint32_t eisn = 0;
  expect("poll", 1, has_interrupt(vcpu, PATIENCE_MS));
  expect("acknowledged, NSR and CPPR", 0x8000 | PRIORITY, load_tima(vcpu, XIVE_TIMA_ACK_OS, 2));
  expect("entry", 1, next_entry(vcpu, &eisn));
  expect("its number", EISN, eisn);
  expect("another one", 0, next_entry(vcpu, &eisn));
  if (again) trigger(vcpu);
  expect("sent again at its end", again, end_of_interrupt(vcpu));
  set_cppr(vcpu, 0xff);
}

static uint32_t parse(const char *text, const char *what) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 0);
  if (errno || *end || end == text || value > UINT32_MAX) {
    fprintf(stderr, "vcpu: %s '%s': not a number of 32 bits\n", what, text);
    exit(EXIT_USAGE);
  }
  return (uint32_t)value;
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: vcpu PATH [SERVER [LISN]]\n");
    return EXIT_USAGE;
  }
  struct vcpu vcpu = {
    .server = argc > 2 ? parse(argv[2], "SERVER") : 0,
    .lisn = argc > 3 ? parse(argv[3], "LISN") : 16,
  };
  vcpu.fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
  if (vcpu.fd < 0) give_up(argv[1]);

  ask_geometry(&vcpu);
  connect_vcpu(&vcpu);
  share_memory(&vcpu);
  route(&vcpu);
  set_cppr(&vcpu, 0xff);
  load_esb(&vcpu, XIVE_ESB_SET_PQ_00);
  expect("poll, before", 0, has_interrupt(&vcpu, 0));
  trigger(&vcpu);
  take_interrupt(&vcpu, true);
  take_interrupt(&vcpu, false);
  expect("poll, after", 0, has_interrupt(&vcpu, 0));
  expect("PQ, after", XIVE_PQ_RESET, load_esb(&vcpu, XIVE_ESB_GET));
  // The memory's end is the queue's; the vCPU's is that of its descriptor.
  struct xive_memory nothing = {.fd = -1};
  set_attribute(vcpu.fd, XIVE_GROUP_MEMORY, 0, &nothing, "removal of the memory");
  printf(failures ? "%d not as expected\n" : "all as expected\n", failures);
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
