// Random requests: numbers, structures, contents, and pointers of every kind.
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>

static const uint32_t groups[] = {
  1, 2, 3, 4, 5, XIVE_GROUP_PHB, XIVE_GROUP_PASSTHROUGH, XIVE_GROUP_HWIRQ, XIVE_GROUP_MSI,
  XIVE_GROUP_ADDRESS, XIVE_GROUP_MEMORY, XIVE_GROUP_TABLES, XIVE_GROUP_INFO, XIVE_GROUP_END,
  XIVE_GROUP_MACHINE, XIVE_GROUP_VP};
enum { group_count = sizeof groups / sizeof *groups };

uint64_t fuzz_below(struct fuzzer *fuzzer, uint64_t limit) {
  return random_next(&fuzzer->chance) % limit;
}

uint64_t fuzz_number(struct fuzzer *fuzzer) {
  static const uint64_t odd[] = {
    0, 1, 7, 8, 16, 0xfff, 0x1000, 0x10000, 0xfffff, 0x100000, 0x7fffffff, 0x80000000, 0xffffffff,
    0x100000000, 0x100000001, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff};
  uint64_t any = random_next(&fuzzer->chance);
  switch (fuzz_below(fuzzer, 8)) {
  case 0: return any;
  case 1: return odd[any % (sizeof odd / sizeof *odd)];
  case 2: return any & 0xffffffff;
  case 3: return any % 64 << 3 | (any >> 32 & 7);
  default: return any % 160;
  }
}

void fuzz_count(struct fuzzer *fuzzer, long result) {
  fuzzer->requests++;
  fuzzer->successes += result >= 0;
}

static void fill(struct fuzzer *fuzzer, uint8_t *bytes, size_t count) {
  uint64_t step = fuzz_below(fuzzer, 3);
  memset(bytes, 0, count);
  for (size_t i = 0; i + 8 <= count && step; i += 8) {
    uint64_t number = fuzz_number(fuzzer);
    if (step == 2) number = (uint32_t)number | fuzz_number(fuzzer) << 32;
    memcpy(bytes + i, &number, sizeof number);
  }
}

// A descriptor that the payload of group 0x45 may well name.
static void name_memory(struct fuzzer *fuzzer, uint8_t *payload) {
  struct xive_memory memory = {
    .gpa = fuzz_below(fuzzer, 16) << 16,
    .size = fuzz_below(fuzzer, 3) << 16,
    .fd = fuzz_below(fuzzer, 2) ? fuzzer->memory : fuzz_device(fuzzer),
    .offset = fuzz_below(fuzzer, 3) << 12,
  };
  memcpy(payload, &memory, sizeof memory);
}

// Where a request's value is: mostly where it can be read and written, by its end or within.
static void *make_pointer(struct fuzzer *fuzzer, const uint8_t *payload, size_t size, bool is_harmless) {
  switch (fuzz_below(fuzzer, 12)) {
  case 0: return NULL;
  case 1: return (void *)(uintptr_t)fuzz_number(fuzzer);
  case 2: return fuzzer->usable + fuzz_page + fuzz_below(fuzzer, 64);
  case 3: return fuzzer->usable + fuzz_page - fuzz_below(fuzzer, size + 1);
  case 4: return fuzzer->constant + fuzz_below(fuzzer, 64);
  case 5:
  case 6:
    if (!is_harmless) return NULL;
    // Pages of the device that nobody has yet: their reader has to be answered while it is being answered.
    madvise(fuzzer->mapped, 16 * fuzz_page, MADV_DONTNEED);
    posix_fadvise(fuzzer->devices[0], (off_t)xive_esb_offset(64, 0, fuzz_page), 16 * fuzz_page,
                  POSIX_FADV_DONTNEED);
    return fuzzer->mapped + fuzz_below(fuzzer, 16) * fuzz_page + fuzz_below(fuzzer, fuzz_page);
  default: return memcpy(fuzzer->usable + fuzz_page - size, payload, size);
  }
}

void fuzz_attribute(struct fuzzer *fuzzer) {
  static const unsigned long requests[] = {
    KVM_SET_DEVICE_ATTR, KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR};
  uint32_t group = fuzz_below(fuzzer, 16) ? groups[fuzz_below(fuzzer, group_count)]
                                          : (uint32_t)fuzz_number(fuzzer);
  uint64_t attribute = fuzz_number(fuzzer);
  struct xive_attr request = {.group = group, .flags = fuzz_below(fuzzer, 32) == 0};
  fill(fuzzer, request.data, sizeof request.data);
  if (group == XIVE_GROUP_MEMORY) name_memory(fuzzer, request.data);
  unsigned long number = requests[fuzz_below(fuzzer, 4)];
  bool is_set = number == KVM_SET_DEVICE_ATTR;
  if (fuzzer->is_gentle && is_set && !make_gentle(fuzzer, group, &attribute, request.data)) return;
  request.attr = attribute;
  int device = fuzz_device(fuzzer);
  if (fuzz_below(fuzzer, 2))
    return fuzz_count(fuzzer, ioctl(device, is_set ? XIVE_SET_ATTR : XIVE_GET_ATTR, &request));
  // What a page shows is no payload that was made gentle.
  bool is_harmless = !fuzzer->is_gentle || !is_set;
  void *pointer = make_pointer(fuzzer, request.data, sizeof request.data, is_harmless);
  struct kvm_device_attr outer = {
    .group = group, .attr = attribute, .addr = (uintptr_t)pointer, .flags = request.flags};
  fuzz_count(fuzzer, ioctl(device, number, &outer));
}

static uint32_t any_lisn(struct fuzzer *fuzzer) {
  uint64_t number = fuzz_number(fuzzer);
  return fuzzer->is_gentle ? gentle_lisn(fuzzer, (uint32_t)number) : (uint32_t)number;
}

static int any_descriptor(struct fuzzer *fuzzer) {
  const int some[] = {fuzzer->event,  fuzzer->event, fuzzer->resample, fuzzer->memory,
                      fuzz_device(fuzzer), -1,       (int)fuzz_number(fuzzer)};
  return some[fuzz_below(fuzzer, sizeof some / sizeof *some)];
}

// Memory that is also a guest's, so that anything may be posted there.
static long fuzz_mailbox(struct fuzzer *fuzzer, int device) {
  struct xive_mailbox request = {
    .version = (uint32_t)fuzz_below(fuzzer, 8) ? XIVE_MAILBOX_VERSION : (uint32_t)fuzz_number(fuzzer),
    .flags = fuzz_below(fuzzer, 16) == 0 || fuzzer->is_gentle,
    .fd = any_descriptor(fuzzer),
    .zero = fuzz_below(fuzzer, 16) == 0,
  };
  return ioctl(device, XIVE_MAILBOX, &request);
}

static long fuzz_vcpu(struct fuzzer *fuzzer, int device) {
  uint64_t server = fuzz_number(fuzzer);
  if (fuzzer->is_gentle && server < 8) server += 8;
  struct kvm_enable_cap request = {
    .cap = fuzz_below(fuzzer, 8) ? KVM_CAP_PPC_IRQ_XIVE : (uint32_t)fuzz_number(fuzzer),
    .flags = fuzz_below(fuzzer, 16) == 0,
    .args = {(uint64_t)any_descriptor(fuzzer), server},
  };
  return ioctl(device, KVM_ENABLE_CAP, &request);
}

static long fuzz_register(struct fuzzer *fuzzer, int device) {
  uint8_t state[16];
  fill(fuzzer, state, sizeof state);
  struct kvm_one_reg request = {
    .id = fuzz_below(fuzzer, 8) ? XIVE_REG_VP_STATE : fuzz_number(fuzzer),
    .addr = (uintptr_t)make_pointer(fuzzer, state, sizeof state, true),
  };
  return ioctl(device, fuzz_below(fuzzer, 2) ? KVM_GET_ONE_REG : KVM_SET_ONE_REG, &request);
}

void fuzz_kvm(struct fuzzer *fuzzer) {
  int device = fuzz_device(fuzzer);
  struct kvm_irqfd irqfd = {
    .fd = (uint32_t)any_descriptor(fuzzer),
    .gsi = any_lisn(fuzzer),
    .flags = (uint32_t)(fuzz_below(fuzzer, 16) ? fuzz_below(fuzzer, 4) : fuzz_number(fuzzer)),
    .resamplefd = (uint32_t)any_descriptor(fuzzer),
  };
  struct kvm_irq_level level = {.irq = any_lisn(fuzzer), .level = (uint32_t)fuzz_below(fuzzer, 3)};
  struct kvm_msi message = {
    .address_lo = (uint32_t)fuzz_number(fuzzer),
    .address_hi = (uint32_t)fuzz_number(fuzzer),
    .data = (uint32_t)fuzz_number(fuzzer),
    .flags = (uint32_t)fuzz_below(fuzzer, 4),
    .devid = (uint32_t)fuzz_number(fuzzer) | fuzzer->is_gentle,
  };
  switch (fuzz_below(fuzzer, 9)) {
  case 0: return fuzz_count(fuzzer, ioctl(device, KVM_IRQ_LINE, &level));
  case 1: return fuzz_count(fuzzer, ioctl(device, KVM_IRQ_LINE_STATUS, &level));
  case 2: return fuzz_count(fuzzer, ioctl(device, KVM_SIGNAL_MSI, &message));
  case 3: return fuzz_count(fuzzer, fuzz_vcpu(fuzzer, device));
  case 4: return fuzz_count(fuzzer, fuzz_register(fuzzer, device));
  case 5: return fuzz_count(fuzzer, ioctl(device, KVM_CHECK_EXTENSION, fuzz_number(fuzzer)));
  case 6: return fuzz_count(fuzzer, fuzz_mailbox(fuzzer, device));
  default: return fuzz_count(fuzzer, ioctl(device, KVM_IRQFD, &irqfd));
  }
}
