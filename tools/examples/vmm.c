/// A small VMM's interrupt controller on a xive device file, in plain C, in the order in which QEMU sets
/// up the kernel's device.
///
///     cc -std=gnu11 -I Sources/CXIVE/include -o vmm tools/examples/vmm.c
///     vmm PATH
///
/// KVM's own requests, structures and numbers from <linux/kvm.h> wherever KVM has them; xive.h for what
/// only powerpc's header has, and for what the kernel gets from elsewhere: the guest's memory, the route
/// of a device's messages. Two vCPUs take interrupts that come by an IPI, an irqfd, an MSI and a level
/// with its resample. Nobody else may use the device meanwhile. Exit status: 0 all as expected, 1 not,
/// 64 usage.

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
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xive.h"

enum {
  EXIT_USAGE = 64,
  VCPUS = 2,
  PRIORITY = 6,
  QUEUE_SHIFT = 16,
  QUEUE_SIZE = 1 << QUEUE_SHIFT,
  PATIENCE_MS = 30000,
  // pseries' numbers: an IPI for each vCPU, a PHB's level interrupt, messages.
  IPI = 0,
  LSI = 0x1200,
  MSI = 0x1300,
  // The device whose messages go to MSI + 1 on, as PCI numbers it.
  DEVICE = 0x0018,
};

static const uint64_t ram_address = 0x10000000;
static const uint64_t esb_address = 0x0006010000000000;
static const uint64_t tima_address = 0x0006030203180000;
static const uint64_t message_address = 0xfee00000;

struct vmm {
  const char *path;
  int fd;                        // the device: the kernel's descriptor of KVM_CREATE_DEVICE, and the VM's
  int vcpu[VCPUS];               // a descriptor for each, as KVM_CREATE_VCPU gives one
  uint64_t page_size;            // device page
  uint32_t sources;
  uint8_t *ram;                  // a queue for each vCPU
  uint32_t next[VCPUS];          // entry of the queue
  volatile uint8_t *esb, *tima;  // mapped as QEMU maps them
};

static int failures;

__attribute__((noreturn))
static void give_up(const char *what) {
  fprintf(stderr, "vmm: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static void expect(const char *what, uint64_t expected, uint64_t seen) {
  printf("  %s: %#" PRIx64, what, seen);
  if (seen != expected) {
    printf(", FAILED: expected %#" PRIx64, expected);
    failures++;
  }
  printf("\n");
}

// MARK: - Requests

static int device_attribute(
  const struct vmm *vmm, unsigned long number, uint32_t group, uint64_t attribute, const void *value
) {
  struct kvm_device_attr request = {.group = group, .attr = attribute, .addr = (uintptr_t)value};
  return ioctl(vmm->fd, number, &request);
}

static void set_attribute(
  const struct vmm *vmm, uint32_t group, uint64_t attribute, const void *value, const char *what
) {
  if (device_attribute(vmm, KVM_SET_DEVICE_ATTR, group, attribute, value) < 0) give_up(what);
}

static void set_eventfd(const struct vmm *vmm, int event, uint32_t lisn, uint32_t flags, int resample) {
  struct kvm_irqfd request = {
    .fd = (uint32_t)event, .gsi = lisn, .flags = flags, .resamplefd = (uint32_t)resample};
  if (ioctl(vmm->fd, KVM_IRQFD, &request) < 0) give_up("KVM_IRQFD");
}

// MARK: - Set-up, in QEMU's order

/// What QEMU learns by KVM_CREATE_DEVICE and KVM_CHECK_EXTENSION.
static void open_device(struct vmm *vmm) {
  vmm->fd = open(vmm->path, O_RDWR | O_DIRECT | O_CLOEXEC);
  if (vmm->fd < 0) give_up(vmm->path);
  const int extensions[] = {
    KVM_CAP_PPC_IRQ_XIVE, KVM_CAP_IRQFD, KVM_CAP_IRQFD_RESAMPLE, KVM_CAP_SIGNAL_MSI};
  for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
    if (ioctl(vmm->fd, KVM_CHECK_EXTENSION, extensions[i]) != 1) give_up("an extension is missing");
}

/// A VMM before this one may have left its set-up behind: without its vCPUs RESET starts over. When it
/// has just ended, the device may hear of that a moment later.
static void start_over(const struct vmm *vmm, const uint32_t *servers) {
  for (int patience = PATIENCE_MS;; patience--) {
    set_attribute(vmm, KVM_DEV_XIVE_GRP_CTRL, KVM_DEV_XIVE_RESET, NULL, "RESET");
    if (device_attribute(vmm, KVM_SET_DEVICE_ATTR, KVM_DEV_XIVE_GRP_CTRL,
                         KVM_DEV_XIVE_NR_SERVERS, servers) == 0)
      return;
    if (errno != EBUSY || patience == 0) give_up("NR_SERVERS");
    usleep(1000);
  }
}

/// Sizes and addresses: once, before anything else.
static void size_machine(struct vmm *vmm) {
  struct xive_info_geometry geometry = {0};
  if (device_attribute(
        vmm, KVM_GET_DEVICE_ATTR, XIVE_GROUP_INFO, XIVE_INFO_GEOMETRY, &geometry) < 0)
    give_up("geometry");
  vmm->page_size = UINT64_C(1) << geometry.device_page_shift;
  vmm->sources = geometry.sources;
  uint32_t servers = VCPUS;
  if (device_attribute(
        vmm, KVM_HAS_DEVICE_ATTR, KVM_DEV_XIVE_GRP_CTRL, KVM_DEV_XIVE_NR_SERVERS, NULL) == 0)
    start_over(vmm, &servers);
  struct xive_address tima = {tima_address}, esb = {esb_address};
  set_attribute(vmm, XIVE_GROUP_ADDRESS, XIVE_ADDRESS_TIMA, &tima, "address of the TIMA");
  set_attribute(vmm, XIVE_GROUP_ADDRESS, XIVE_ADDRESS_ESB, &esb, "address of the ESB pages");
}

/// The pages, at the kernel's page offsets. Nothing is there yet: they are filled by faults.
static void map_pages(struct vmm *vmm) {
  const int protection = PROT_READ | PROT_WRITE;
  size_t esb_size = 2 * (size_t)vmm->sources * vmm->page_size;
  void *esb = mmap(NULL, esb_size, protection, MAP_SHARED, vmm->fd,
                   (off_t)(KVM_XIVE_ESB_PAGE_OFFSET * vmm->page_size));
  void *tima = mmap(NULL, XIVE_VIEWS * vmm->page_size, protection, MAP_SHARED, vmm->fd,
                    (off_t)(KVM_XIVE_TIMA_PAGE_OFFSET * vmm->page_size));
  if (esb == MAP_FAILED || tima == MAP_FAILED) give_up("mmap");
  vmm->esb = esb;
  vmm->tima = tima;
}

/// Each vCPU on a descriptor of its own; the device is named by its descriptor.
static void connect_vcpus(struct vmm *vmm) {
  for (uint32_t server = 0; server < VCPUS; server++) {
    vmm->vcpu[server] = open(vmm->path, O_RDWR | O_DIRECT | O_CLOEXEC);
    struct kvm_enable_cap request = {
      .cap = KVM_CAP_PPC_IRQ_XIVE, .args = {(uint64_t)vmm->fd, server}};
    if (vmm->vcpu[server] < 0 || ioctl(vmm->vcpu[server], KVM_ENABLE_CAP, &request) < 0)
      give_up("KVM_ENABLE_CAP");
  }
}

/// Every number that the machine claims.
static void create_sources(const struct vmm *vmm) {
  uint64_t message = 0, level = KVM_XIVE_LEVEL_SENSITIVE;
  for (uint32_t lisn = IPI; lisn < IPI + VCPUS; lisn++)
    set_attribute(vmm, KVM_DEV_XIVE_GRP_SOURCE, lisn, &message, "IPI");
  set_attribute(vmm, KVM_DEV_XIVE_GRP_SOURCE, LSI, &level, "LSI");
  for (uint32_t lisn = MSI; lisn < MSI + 3; lisn++)
    set_attribute(vmm, KVM_DEV_XIVE_GRP_SOURCE, lisn, &message, "MSI");
}

/// The guest's memory. It must not be able to shrink: the device writes to it.
static void share_memory(struct vmm *vmm) {
  const size_t size = VCPUS * QUEUE_SIZE;
  int memory = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0 || ftruncate(memory, (off_t)size) < 0
    || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
    give_up("memfd");
  vmm->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (vmm->ram == MAP_FAILED) give_up("mmap");
  struct xive_memory slot = {.gpa = ram_address, .size = size, .fd = memory};
  set_attribute(vmm, XIVE_GROUP_MEMORY, 0, &slot, "guest memory");
  close(memory);
}

// MARK: - What the guest does

static uint64_t load_esb(const struct vmm *vmm, uint32_t lisn, uint32_t operation) {
  uint64_t page = xive_kernel_esb_offset(lisn, XIVE_MANAGEMENT, vmm->page_size), value = 0;
  if (xive_load(vmm->fd, page + operation, &value)) give_up("ESB load");
  return value;
}

static void set_cppr(const struct vmm *vmm, uint32_t server, uint8_t priority) {
  uint64_t page = xive_kernel_tima_offset(XIVE_VIEW_OS, vmm->page_size);
  if (pwrite(vmm->vcpu[server], &priority, 1, (off_t)(page + XIVE_TIMA_OS_CPPR)) != 1)
    give_up("CPPR");
}

static uint16_t acknowledge(const struct vmm *vmm, uint32_t server) {
  uint64_t page = xive_kernel_tima_offset(XIVE_VIEW_OS, vmm->page_size);
  uint8_t bytes[2];
  if (pread(vmm->vcpu[server], bytes, 2, (off_t)(page + XIVE_TIMA_ACK_OS)) != 2) give_up("ack");
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/// H_INT_SET_QUEUE_CONFIG and H_INT_SET_SOURCE_CONFIG, as a hypervisor passes them on.
static void configure(const struct vmm *vmm) {
  for (uint32_t server = 0; server < VCPUS; server++) {
    struct xive_eq queue = {
      .flags = KVM_XIVE_EQ_ALWAYS_NOTIFY,
      .qshift = QUEUE_SHIFT,
      .qaddr = ram_address + server * QUEUE_SIZE,
      .qtoggle = 1,
    };
    set_attribute(
      vmm, KVM_DEV_XIVE_GRP_EQ_CONFIG, xive_eq_id(server, PRIORITY), &queue, "EQ_CONFIG");
    set_cppr(vmm, server, 0xff);
  }
  const struct { uint32_t lisn, server; } routes[] = {
    {IPI, 0}, {IPI + 1, 1}, {LSI, 0}, {MSI, 1}, {MSI + 1, 0}, {MSI + 2, 1}};
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
    // The guest's own number of the interrupt: here the LISN itself.
    uint64_t config = xive_source_config(routes[i].server, PRIORITY, routes[i].lisn, 0);
    set_attribute(
      vmm, KVM_DEV_XIVE_GRP_SOURCE_CONFIG, routes[i].lisn, &config, "SOURCE_CONFIG");
    load_esb(vmm, routes[i].lisn, XIVE_ESB_SET_PQ_00);
  }
}

/// The next entry of a queue; 0 when there is none.
static uint32_t next_entry(struct vmm *vmm, uint32_t server) {
  const uint32_t *queue = (const uint32_t *)(vmm->ram + server * QUEUE_SIZE);
  // What the device wrote before the entry is seen after it.
  uint32_t entry =
    xive_be32_to_host(__atomic_load_n(&queue[vmm->next[server]], __ATOMIC_ACQUIRE));
  // This example never comes to the queue's end, where the toggle changes.
  if (!(entry >> 31)) return 0;
  vmm->next[server]++;
  return entry & 0x7fffffff;
}

/// Waits for the vCPU's line and takes what is there, up to the end of the interrupt.
static void take_interrupt(struct vmm *vmm, uint32_t server, uint32_t lisn) {
  struct pollfd wait = {.fd = vmm->vcpu[server], .events = POLLIN};
  expect("poll", 1, poll(&wait, 1, PATIENCE_MS) == 1);
  expect("NSR and CPPR", 0x8000 | PRIORITY, acknowledge(vmm, server));
  expect("entry", lisn, next_entry(vmm, server));
  // An LSI ends by LoadEOI, a message by PQ 00.
  load_esb(vmm, lisn, lisn == LSI ? XIVE_ESB_LOAD_EOI : XIVE_ESB_SET_PQ_00);
  set_cppr(vmm, server, 0xff);
}

// MARK: - Interrupts

static int make_event(void) {
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event < 0) give_up("eventfd");
  return event;
}

static void raise_event(int event) {
  if (eventfd_write(event, 1) < 0) give_up("eventfd");
}

static void by_page(struct vmm *vmm) {
  printf("An IPI, from vCPU 0 to vCPU 1, by the trigger page\n");
  if (xive_store(vmm->fd, xive_kernel_esb_offset(IPI + 1, XIVE_TRIGGER, vmm->page_size), 0))
    give_up("trigger");
  take_interrupt(vmm, 1, IPI + 1);
}

static void by_irqfd(struct vmm *vmm) {
  printf("A virtual device's message, by irqfd; the GSI is the LISN\n");
  int event = make_event();
  set_eventfd(vmm, event, MSI, 0, 0);
  raise_event(event);
  take_interrupt(vmm, 1, MSI);
  set_eventfd(vmm, event, MSI, KVM_IRQFD_FLAG_DEASSIGN, 0);
  close(event);
}

static void by_message(struct vmm *vmm) {
  printf("A device's second message, by KVM_SIGNAL_MSI\n");
  struct xive_msi route = {
    .address = message_address, .first_data = 0, .count = 2, .first_lisn = MSI + 1};
  set_attribute(vmm, XIVE_GROUP_MSI, DEVICE, &route, "route of messages");
  union {
    struct xive_msi_query query;
    struct xive_msi_route route;
  } where = {.query = {.address = message_address, .data = 1}};
  if (device_attribute(vmm, KVM_GET_DEVICE_ATTR, XIVE_GROUP_MSI, DEVICE, &where) < 0)
    give_up("query");
  expect("it would go to LISN", MSI + 2, where.route.lisn);
  expect("of vCPU", 1, where.route.server);
  struct kvm_msi message = {
    .address_lo = (uint32_t)message_address,
    .data = 1,
    .flags = KVM_MSI_VALID_DEVID,
    .devid = DEVICE,
  };
  expect("delivered", 1, (uint64_t)ioctl(vmm->fd, KVM_SIGNAL_MSI, &message));
  take_interrupt(vmm, 1, MSI + 2);
}

static void by_level(struct vmm *vmm) {
  printf("A level, by irqfd; the guest's EOI lowers it and tells the device\n");
  int event = make_event(), resample = make_event();
  set_eventfd(vmm, event, LSI, KVM_IRQFD_FLAG_RESAMPLE, resample);
  raise_event(event);
  take_interrupt(vmm, 0, LSI);
  eventfd_t told = 0;
  expect("told", 0, (uint64_t)eventfd_read(resample, &told));
  expect("once", 1, told);
  expect("PQ of the LSI", XIVE_PQ_RESET, load_esb(vmm, LSI, XIVE_ESB_GET));
  close(event);
  close(resample);
}

/// What QEMU saves of a vCPU.
static void save_vcpu(const struct vmm *vmm) {
  printf("VP_STATE of vCPU 0: NSR, CPPR, IPB, LSMFB, ACK#, INC, AGE, PIPR\n");
  uint64_t state[2];
  struct kvm_one_reg request = {.id = XIVE_REG_VP_STATE, .addr = (uintptr_t)state};
  if (ioctl(vmm->vcpu[0], KVM_GET_ONE_REG, &request) < 0) give_up("KVM_GET_ONE_REG");
  expect("register", 0x00ff0000ff000000, xive_be64_to_host(state[0]));
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: vmm PATH\n");
    return EXIT_USAGE;
  }
  struct vmm vmm = {.path = argv[1]};
  open_device(&vmm);
  size_machine(&vmm);
  map_pages(&vmm);
  connect_vcpus(&vmm);
  create_sources(&vmm);
  share_memory(&vmm);
  configure(&vmm);
  // The mapped page shows PQ, live: a moment later where it was shown to somebody before.
  uint64_t at = 2 * MSI * vmm.page_size + vmm.page_size + XIVE_ESB_GET;
  for (int left = PATIENCE_MS; vmm.esb[at + 7] != XIVE_PQ_RESET && left > 0; left--)
    poll(NULL, 0, 1);
  expect("PQ of an MSI, by a plain load", XIVE_PQ_RESET, vmm.esb[at + 7]);
  by_page(&vmm);
  by_irqfd(&vmm);
  by_message(&vmm);
  by_level(&vmm);
  save_vcpu(&vmm);
  printf(failures ? "%d not as expected\n" : "all as expected\n", failures);
  // Its vCPUs and irqfds go with the descriptors, its set-up with the next VMM's RESET.
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
