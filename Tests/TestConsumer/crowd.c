// Many vCPUs in one process that wait in one epoll, edge-triggered. Server s takes source s into a
// queue of its own. As in attributes.c, layouts and numbers are spelled out: an independent check.
#include "consumer.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  most_vcpus = 4096,
  queue_size = 0x10000,
  priority = 6,
  page_size = 4096,  // device page
};
static const uint64_t guest_address = 0x40000000;

struct guest_memory {
  uint64_t address, size;
  int32_t descriptor;
  uint32_t zero;
  uint64_t offset;
};

struct event_queue {
  uint32_t flags, shift;
  uint64_t address;
  uint32_t toggle, index;
  uint8_t padding[40];
};

static struct crowd {
  int epoll, count;
  uint8_t *memory;
  struct vcpu {
    int descriptor;
    uint32_t next;     // entry of the queue
    unsigned reports;  // by epoll, since the last take
  } vcpus[most_vcpus];
} crowd = {.epoll = -1};

static bool set_attribute(int descriptor, uint32_t group, uint64_t attribute, const void *value) {
  struct kvm_device_attr request = {.group = group, .attr = attribute, .addr = (uintptr_t)value};
  return ioctl(descriptor, KVM_SET_DEVICE_ATTR, &request) == 0;
}

static uint64_t trigger_page(int source) { return 1ULL << 40 | (uint64_t)source * 2 * page_size; }

// An exact access; the device is big-endian, `value` is not.
static bool load(int descriptor, uint64_t offset, size_t size, uint64_t *value) {
  uint8_t bytes[8] = {0};
  if (pread(descriptor, bytes + 8 - size, size, (off_t)offset) != (ssize_t)size) return false;
  memcpy(value, bytes, 8);
  *value = __builtin_bswap64(*value);
  return true;
}

static bool store_byte(int descriptor, uint64_t offset, uint8_t value) {
  return pwrite(descriptor, &value, 1, (off_t)offset) == 1;
}

static bool open_vcpu(const char *path, int server) {
  struct vcpu *vcpu = &crowd.vcpus[server];
  int descriptor = vcpu->descriptor = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
  if (descriptor < 0) return false;
  struct kvm_enable_cap connect = {
    .cap = 169, .args = {(uint64_t)descriptor, (uint64_t)server}};  // KVM_CAP_PPC_IRQ_XIVE
  struct event_queue queue = {
    .flags = 1, .shift = 16, .toggle = 1,
    .address = guest_address + (uint64_t)server * queue_size};
  uint64_t number = (uint64_t)server, created = 0, pq;
  uint64_t route = priority | number << 3 | number << 33;
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)server};
  return ioctl(descriptor, KVM_ENABLE_CAP, &connect) == 0 &&
    set_attribute(descriptor, 4, number << 3 | priority, &queue) &&
    set_attribute(descriptor, 2, number, &created) &&
    set_attribute(descriptor, 3, number, &route) &&
    load(descriptor, trigger_page(server) + page_size + 0xc00, 8, &pq) &&
    store_byte(descriptor, 2 * page_size + 0x11, 0xff) &&
    epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static bool open_crowd(const char *path, int count) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return false;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return false;
  size_t size = (size_t)count * queue_size;
  int device = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
  int file = memfd_create("crowd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (device < 0 || file < 0 || ftruncate(file, (off_t)size) < 0 ||
      fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
    return false;
  crowd.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (crowd.memory == MAP_FAILED) return false;
  struct guest_memory slot = {.address = guest_address, .size = size, .descriptor = file};
  bool shared = set_attribute(device, 0x45, 0, &slot);
  close(device), close(file);
  crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
  return shared && crowd.epoll >= 0;
}

bool do_crowd_open(int count, char **arguments) {
  (void)count;
  uint64_t vcpus;
  if (!parse_numbers(arguments + 1, 1, &vcpus)) return false;
  if (vcpus < 1 || vcpus > most_vcpus) return refuse("1 to %d", most_vcpus);
  if (crowd.epoll >= 0) return refuse("there is a crowd");
  if (!open_crowd(arguments[0], (int)vcpus)) return answer_result(-1);
  for (; crowd.count < (int)vcpus; crowd.count++)
    if (!open_vcpu(arguments[0], crowd.count)) return answer_result(-1);
  answer("ok");
  return true;
}

// Waits until so many have been reported since the last take, or for so long.
bool do_crowd_wait(int count, char **arguments) {
  (void)count;
  static struct epoll_event events[most_vcpus];
  uint64_t numbers[2], reported = 0, repeated = 0;
  if (!parse_numbers(arguments, 2, numbers)) return false;
  uint64_t end = nanoseconds_now() + numbers[1] * 1000000, now;
  while (reported < numbers[0] && (now = nanoseconds_now()) < end) {
    int ready = epoll_wait(crowd.epoll, events, most_vcpus, (int)((end - now) / 1000000) + 1);
    if (ready < 0 && errno != EINTR) return answer_result(-1);
    for (int i = 0; i < ready; i++) {
      struct vcpu *vcpu = &crowd.vcpus[events[i].data.u32];
      if (vcpu->reports++) repeated++;
      else reported++;
    }
  }
  answer("ok reported=%llu repeated=%llu", (unsigned long long)reported,
         (unsigned long long)repeated);
  return true;
}

struct taken {
  unsigned taken, wrong, retriggered;
};

// What Linux does with an interrupt: acknowledge, read the queue, end it, let everything through.
static bool take(int server, struct taken *sum) {
  struct vcpu *vcpu = &crowd.vcpus[server];
  uint64_t acknowledged, pq;
  if (!load(vcpu->descriptor, 2 * page_size + 0x810, 2, &acknowledged)) return false;
  const uint32_t *queue = (const uint32_t *)(crowd.memory + (size_t)server * queue_size);
  uint32_t entry = __builtin_bswap32(__atomic_load_n(&queue[vcpu->next], __ATOMIC_ACQUIRE));
  bool right = acknowledged == (0x8000 | priority) && entry == (0x80000000u | (uint32_t)server);
  vcpu->next += right;
  sum->taken += right, sum->wrong += !right;
  if (!load(vcpu->descriptor, trigger_page(server) + page_size + 0xc00, 8, &pq)) return false;
  uint64_t any = 0;
  if (pq & 1) {
    sum->retriggered++;
    if (pwrite(vcpu->descriptor, &any, 8, (off_t)trigger_page(server)) != 8) return false;
  }
  return store_byte(vcpu->descriptor, 2 * page_size + 0x11, 0xff);
}

// Takes an interrupt on every vCPU that was reported.
bool do_crowd_take(int count, char **arguments) {
  (void)count, (void)arguments;
  struct taken sum = {0};
  for (int server = 0; server < crowd.count; server++) {
    if (!crowd.vcpus[server].reports) continue;
    crowd.vcpus[server].reports = 0;
    if (!take(server, &sum)) return answer_result(-1);
  }
  answer("ok taken=%u wrong=%u retriggered=%u", sum.taken, sum.wrong, sum.retriggered);
  return true;
}
