// A guest's interrupt loop as a kernel has it, with nothing but pointers: guest PATH INTERRUPTS
//
// Two vCPUs, a thread and a descriptor each, with 32 sources each. A source is triggered by a store, an interrupt is
// acknowledged by a load of 2 bytes from the TIMA at offset 0, its number is in the queue in memory, and a load ends
// it. Every fourth source is triggered again while it is pending: that event is sent at the end of the first. Knows
// nothing of the library that it is preloaded with. Exit status: 0 none lost and none twice.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xive.h"

enum { VCPUS = 2, SOURCES = 32, PRIORITY = 6, QUEUE_SHIFT = 16, QUEUE_SIZE = 1 << QUEUE_SHIFT, NSR_OS = 0x80 };

static const uint64_t guest_address = 0x10000000;
static const char *path;
static uint64_t page_size;
static uint8_t *memory, *esb;  // the guest's RAM; the sources' pages
static int device;

struct vcpu {
  pthread_t thread;
  uint32_t server;
  uint8_t *tima;          // OS view
  const uint32_t *queue;
  uint32_t next, toggle;
  uint64_t wanted, taken;
  uint32_t sent[SOURCES], received[SOURCES];
  uint64_t wrong;
};

__attribute__((noreturn))
static void give_up(const char *what) {
  fprintf(stderr, "guest: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

// MARK: - Setting up

static void set_attribute(uint32_t group, uint64_t attribute, const void *value, const char *what) {
  struct kvm_device_attr request = {.group = group, .attr = attribute, .addr = (uintptr_t)value};
  if (ioctl(device, KVM_SET_DEVICE_ATTR, &request) < 0) give_up(what);
}

// As a VMM that knows of no other kind of access opens it: without O_DIRECT.
static int open_device(void) {
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) give_up(path);
  return fd;
}

static void *map(int fd, uint64_t offset, uint64_t pages) {
  void *start = mmap(NULL, pages * page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
  if (start == MAP_FAILED) give_up("mmap");
  return start;
}

static void share_memory(void) {
  int file = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  uint64_t size = VCPUS * QUEUE_SIZE;
  if (file < 0 || ftruncate(file, (off_t)size) < 0 || fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK) < 0) give_up("memfd");
  memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) give_up("guest memory");
  struct xive_memory slot = {.gpa = guest_address, .size = size, .fd = file};
  set_attribute(XIVE_GROUP_MEMORY, 0, &slot, "guest memory");
  close(file);
}

static void connect_vcpu(struct vcpu *vcpu) {
  int fd = open_device();
  struct kvm_enable_cap request = {.cap = KVM_CAP_PPC_IRQ_XIVE, .args = {(uint64_t)fd, vcpu->server}};
  if (ioctl(fd, KVM_ENABLE_CAP, &request) < 0) give_up("KVM_ENABLE_CAP");
  vcpu->tima = (uint8_t *)map(fd, 0, XIVE_VIEWS) + XIVE_VIEW_OS * page_size;
  vcpu->queue = (const uint32_t *)(memory + vcpu->server * QUEUE_SIZE);
  vcpu->toggle = 1;
  // The window keeps the open file, and so the vCPU.
  close(fd);
}

static void route(const struct vcpu *vcpu) {
  struct xive_eq queue = {
    .flags = KVM_XIVE_EQ_ALWAYS_NOTIFY,
    .qshift = QUEUE_SHIFT,
    .qaddr = guest_address + vcpu->server * QUEUE_SIZE,
    .qtoggle = 1,
  };
  set_attribute(KVM_DEV_XIVE_GRP_EQ_CONFIG, xive_eq_id(vcpu->server, PRIORITY), &queue, "queue");
  for (uint32_t i = 0; i < SOURCES; i++) {
    uint64_t message = 0, config = xive_source_config(vcpu->server, PRIORITY, i, 0);
    uint32_t lisn = vcpu->server * SOURCES + i;
    set_attribute(KVM_DEV_XIVE_GRP_SOURCE, lisn, &message, "source");
    set_attribute(KVM_DEV_XIVE_GRP_SOURCE_CONFIG, lisn, &config, "source's route");
  }
}

// MARK: - Registers, all through pointers

static uint8_t *page_of(const struct vcpu *vcpu, uint32_t source, uint32_t half) {
  return esb + (2 * (uint64_t)(vcpu->server * SOURCES + source) + half) * page_size;
}

static void trigger(struct vcpu *vcpu, uint32_t source) {
  *(volatile uint64_t *)page_of(vcpu, source, XIVE_TRIGGER) = 0;
  vcpu->sent[source]++;
}

static uint64_t load_esb(const struct vcpu *vcpu, uint32_t source, uint32_t operation) {
  return xive_be64_to_host(*(volatile uint64_t *)(page_of(vcpu, source, XIVE_MANAGEMENT) + operation));
}

static uint16_t acknowledge(const struct vcpu *vcpu) {
  return __builtin_bswap16(*(volatile uint16_t *)(vcpu->tima + XIVE_TIMA_ACK_OS));
}

static void set_cppr(const struct vcpu *vcpu, uint8_t priority) {
  *(volatile uint8_t *)(vcpu->tima + XIVE_TIMA_OS_CPPR) = priority;
}

// MARK: - Interrupts

static bool next_entry(struct vcpu *vcpu, uint32_t *source) {
  uint32_t entry = xive_be32_to_host(__atomic_load_n(&vcpu->queue[vcpu->next], __ATOMIC_ACQUIRE));
  if (entry >> 31 != vcpu->toggle) return false;
  vcpu->next = (vcpu->next + 1) % (QUEUE_SIZE / 4);
  if (vcpu->next == 0) vcpu->toggle ^= 1;
  *source = entry & 0x7fffffff;
  return true;
}

static void handle(struct vcpu *vcpu, uint32_t source) {
  vcpu->taken++;
  if (source >= SOURCES) {
    vcpu->wrong++;
    return;
  }
  vcpu->received[source]++;
  // What waited in Q is sent by the load; the next entry is its.
  bool waits = vcpu->sent[source] > vcpu->received[source];
  if ((load_esb(vcpu, source, XIVE_ESB_LOAD_EOI) == 1) != waits) vcpu->wrong++;
}

static void take_all(struct vcpu *vcpu) {
  uint16_t answer;
  while (((answer = acknowledge(vcpu)) >> 8 & NSR_OS) != 0) {
    if ((answer & 0xff) != PRIORITY) vcpu->wrong++;
    uint32_t source;
    while (next_entry(vcpu, &source)) handle(vcpu, source);
    set_cppr(vcpu, 0xff);
  }
}

static void *run(void *argument) {
  struct vcpu *vcpu = argument;
  for (uint32_t i = 0; i < SOURCES; i++) load_esb(vcpu, i, XIVE_ESB_SET_PQ_00);
  set_cppr(vcpu, 0xff);
  while (vcpu->taken < vcpu->wanted && vcpu->wrong == 0) {
    for (uint32_t i = 0; i < SOURCES; i++) trigger(vcpu, i);
    for (uint32_t i = 0; i < SOURCES; i += 4) trigger(vcpu, i);
    take_all(vcpu);
    // One lost is seen at once, not at the end of a wait.
    if (memcmp(vcpu->sent, vcpu->received, sizeof vcpu->sent) != 0) vcpu->wrong++;
  }
  for (uint32_t i = 0; i < SOURCES; i++)
    if (load_esb(vcpu, i, XIVE_ESB_GET) != XIVE_PQ_RESET) vcpu->wrong++;
  return NULL;
}

int main(int count, char **values) {
  if (count != 3) return 64;
  path = values[1];
  device = open_device();
  struct xive_attr geometry = {.group = XIVE_GROUP_INFO, .attr = XIVE_INFO_GEOMETRY};
  if (ioctl(device, XIVE_GET_ATTR, &geometry) < 0) give_up("geometry");
  page_size = UINT64_C(1) << ((struct xive_info_geometry *)(void *)geometry.data)->device_page_shift;
  share_memory();
  esb = map(device, KVM_XIVE_ESB_PAGE_OFFSET * page_size, 2 * VCPUS * SOURCES);
  struct vcpu vcpus[VCPUS] = {0};
  for (uint32_t i = 0; i < VCPUS; i++) {
    vcpus[i].server = i;
    vcpus[i].wanted = strtoull(values[2], NULL, 10) / VCPUS;
    connect_vcpu(&vcpus[i]);
    route(&vcpus[i]);
  }
  for (int i = 0; i < VCPUS; i++) pthread_create(&vcpus[i].thread, NULL, run, &vcpus[i]);
  uint64_t taken = 0, wrong = 0;
  for (int i = 0; i < VCPUS; i++) {
    pthread_join(vcpus[i].thread, NULL);
    taken += vcpus[i].taken;
    wrong += vcpus[i].wrong;
  }
  printf("%s\n", wrong == 0 ? "none lost, none twice" : "FAILED");
  printf("%" PRIu64 " interrupts, %" PRIu64 " not as expected\n", taken, wrong);
  return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
