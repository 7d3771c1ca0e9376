// One device as a VMM sets it up: see traffic.h.
#include "traffic.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static const uint64_t memory_address = 0x40000000;

static bool set(
  struct traffic *traffic, const struct side *side, uint32_t group, uint64_t attribute,
  const void *value
) {
  if (set_attribute(side->device, group, attribute, value) == 0) return true;
  fail(traffic, "%s: group %#x, attribute %#llx: errno %d", side->path, group,
       (unsigned long long)attribute, errno);
  return false;
}

// What the vCPUs before have held goes a moment after they went.
static bool start_over(struct traffic *traffic, const struct side *side) {
  uint64_t deadline = nanoseconds_now() + traffic->patience;
  struct xive_info_delivery delivery = {.vcpus = 1};
  while (nanoseconds_now() < deadline) {
    if (get_attribute(side->device, XIVE_GROUP_INFO, XIVE_INFO_DELIVERY, &delivery) < 0) break;
    if (delivery.vcpus == 0) return set(traffic, side, KVM_DEV_XIVE_GRP_CTRL, KVM_DEV_XIVE_RESET, NULL);
    sleep_nanoseconds(1000000);
  }
  fail(traffic, "%s: %llu vCPUs are still there", side->path, (unsigned long long)delivery.vcpus);
  return false;
}

bool open_side(struct traffic *traffic, struct side *side, bool starts_over) {
  struct xive_info_geometry geometry;
  for (int i = 0; i < vcpu_count; i++) side->vcpu[i] = -1;
  side->memory_file = -1;
  side->device = open(side->path, O_RDWR | O_DIRECT | O_CLOEXEC);
  if (side->device < 0 ||
      get_attribute(side->device, XIVE_GROUP_INFO, XIVE_INFO_GEOMETRY, &geometry) < 0) {
    fail(traffic, "%s: errno %d", side->path, errno);
    return false;
  }
  side->page_size = UINT64_C(1) << geometry.device_page_shift;
  side->all_sources = geometry.sources;
  return !starts_over || start_over(traffic, side);
}

bool share_memory(
  struct traffic *traffic, struct side *side, const struct side *before, bool is_same
) {
  if (is_same) {
    side->memory_file = dup(before->memory_file);
  } else {
    side->memory_file = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ftruncate(side->memory_file, memory_size) < 0 ||
        fcntl(side->memory_file, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
      abort();
  }
  side->memory =
    mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, side->memory_file, 0);
  if (side->memory == MAP_FAILED) abort();
  struct xive_memory slot = {.gpa = memory_address, .size = memory_size, .fd = side->memory_file};
  return set(traffic, side, XIVE_GROUP_MEMORY, 0, &slot);
}

bool connect_vcpus(struct traffic *traffic, struct side *side) {
  for (uint32_t i = 0; i < vcpu_count; i++) {
    side->vcpu[i] = open(side->path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (side->vcpu[i] >= 0 &&
        connect_vcpu(side->vcpu[i], side->device, traffic->first_server + i) == 0)
      continue;
    fail(traffic, "%s: vCPU %u: errno %d", side->path, i, errno);
    return false;
  }
  return true;
}

// Messages and irqfds: what a VMM has to set up again wherever its machine goes.
bool add_routes(struct traffic *traffic, struct side *side) {
  struct xive_msi route = {
    .address = 0xfee00000, .count = first_line, .first_lisn = traffic->first_lisn};
  if (!set(traffic, side, XIVE_GROUP_MSI, traffic->first_lisn, &route)) return false;
  for (int i = 0; i < source_count; i++) {
    struct source *source = &traffic->sources[i];
    if (source->event < 0) continue;
    if (change_irqfd(side->device, source->lisn, source->event, source->resample, 0) == 0) continue;
    fail(traffic, "%s: irqfd on LISN %u: errno %d", side->path, source->lisn, errno);
    return false;
  }
  return true;
}

static bool set_up_source(struct traffic *traffic, struct side *side, const struct source *source) {
  bool is_line = source->kind == kind_level || source->kind == kind_line;
  uint64_t type = is_line ? KVM_XIVE_LEVEL_SENSITIVE : 0;
  uint64_t route = xive_source_config(
    traffic->first_server + source->target, traffic_priority, source->lisn, 0);
  if (!set(traffic, side, KVM_DEV_XIVE_GRP_SOURCE, source->lisn, &type) ||
      !set(traffic, side, KVM_DEV_XIVE_GRP_SOURCE_CONFIG, source->lisn, &route))
    return false;
  esb_load(traffic, side, source->lisn, XIVE_ESB_SET_PQ_00);
  return true;
}

bool set_up_machine(struct traffic *traffic, struct side *side) {
  if (!share_memory(traffic, side, NULL, false) || !connect_vcpus(traffic, side)) return false;
  for (uint32_t i = 0; i < vcpu_count; i++) {
    struct xive_eq queue = {
      .flags = KVM_XIVE_EQ_ALWAYS_NOTIFY,
      .qshift = 16,
      .qaddr = memory_address + i * queue_size,
      .qtoggle = 1,
    };
    uint64_t number = xive_eq_id(traffic->first_server + i, traffic_priority);
    if (!set(traffic, side, KVM_DEV_XIVE_GRP_EQ_CONFIG, number, &queue)) return false;
  }
  for (int i = 0; i < source_count; i++)
    if (!set_up_source(traffic, side, &traffic->sources[i])) return false;
  return add_routes(traffic, side);
}

void close_side(struct side *side) {
  for (int i = 0; i < vcpu_count; i++)
    if (side->vcpu[i] >= 0) close(side->vcpu[i]);
  if (side->memory && side->memory != MAP_FAILED) munmap(side->memory, memory_size);
  if (side->memory_file >= 0) close(side->memory_file);
  if (side->device >= 0) close(side->device);
  side->device = side->memory_file = -1;
  side->memory = NULL;
  for (int i = 0; i < vcpu_count; i++) side->vcpu[i] = -1;
}
