// A virtual machine of one vCPU that watches the window. Source: Linux Documentation/virt/kvm/api.rst.
#include "guest.h"
#include "internal.h"

#if defined __x86_64__

#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xive.h"

#ifndef KVM_EXIT_MEMORY_FAULT
// Since Linux 6.8.
#define KVM_EXIT_MEMORY_FAULT 39
#endif

struct guest {
  int kvm, machine, cpu;
  uint8_t *ram;
  struct kvm_run *run;
  size_t run_size;
  struct guest_parameters *parameters;
  uint64_t window_length;
};

const char *charness_guest_unavailable(void) {
  int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0)
    return errno == ENOENT ? "there is no /dev/kvm: load the kvm module of this processor"
                           : "/dev/kvm cannot be opened: run as root or as a member of its group";
  const char *reason = NULL;
  if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) reason = "another version of KVM's API";
  else if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IOEVENTFD) <= 0) reason = "KVM has no ioeventfd";
  close(kvm);
  return reason;
}

// MARK: - Machine

static int add_memory(
  const struct guest *guest, uint32_t slot, uint64_t address, void *memory, uint64_t size,
  uint32_t flags
) {
  struct kvm_userspace_memory_region region = {
    .slot = slot, .flags = flags, .guest_phys_addr = address, .memory_size = size,
    .userspace_addr = (uintptr_t)memory};
  return ioctl(guest->machine, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

// The first three GiB, each address to itself, in pages of 2 MiB: those of 1 GiB need a CPUID that says so.
static void fill_tables(uint8_t *ram) {
  enum { PRESENT = 1, WRITABLE = 2, LARGE = 1 << 7 };
  uint64_t *tables = (uint64_t *)(ram + GUEST_TABLES);
  const uint64_t entries = 512, upper = GUEST_TABLES + 4096, directories = GUEST_TABLES + 8192;
  tables[0] = upper | PRESENT | WRITABLE;
  for (uint64_t gib = 0; gib < 3; gib++) {
    tables[entries + gib] = (directories + gib * 4096) | PRESENT | WRITABLE;
    for (uint64_t i = 0; i < entries; i++)
      tables[(2 + gib) * entries + i] = (gib << 30 | i << 21) | PRESENT | WRITABLE | LARGE;
  }
}

// 64-bit mode with flat segments and no interrupts. Source: Intel SDM volume 3, "IA-32e Mode".
static int start_in_long_mode(const struct guest *guest, uint64_t slot) {
  struct kvm_sregs system;
  if (ioctl(guest->cpu, KVM_GET_SREGS, &system) < 0) return -errno;
  const struct kvm_segment data = {
    .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
  system.cs = data;
  system.cs.selector = 8, system.cs.type = 11, system.cs.db = 0, system.cs.l = 1;
  system.ds = system.es = system.fs = system.gs = system.ss = data;
  system.cr3 = GUEST_TABLES;
  system.cr4 = 1 << 5;                // PAE
  system.cr0 = 1u << 31 | 1 << 4 | 1;  // paging, extension type, protection
  system.efer = 1 << 10 | 1 << 8;     // long mode: active, enabled
  if (ioctl(guest->cpu, KVM_SET_SREGS, &system) < 0) return -errno;
  const struct kvm_regs registers = {
    .rip = GUEST_PROGRAM, .rflags = 2, .rsp = GUEST_STACK, .rdi = GUEST_PARAMETERS,
    .rbx = GUEST_BOARD, .r8 = slot};
  return ioctl(guest->cpu, KVM_SET_REGS, &registers) < 0 ? -errno : 0;
}

static void guest_close(struct guest *guest) {
  if (guest->run != MAP_FAILED) munmap(guest->run, guest->run_size);
  if (guest->cpu >= 0) close(guest->cpu);
  if (guest->machine >= 0) close(guest->machine);
  if (guest->kvm >= 0) close(guest->kvm);
  if (guest->ram != MAP_FAILED) munmap(guest->ram, GUEST_RAM_SIZE);
}

static int guest_open(struct guest *guest) {
  *guest = (struct guest){.machine = -1, .cpu = -1, .run = MAP_FAILED};
  guest->ram = mmap(
    NULL, GUEST_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  guest->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (guest->ram == MAP_FAILED || guest->kvm < 0) return -errno;
  guest->parameters = (struct guest_parameters *)(guest->ram + GUEST_PARAMETERS);
  if ((guest->machine = ioctl(guest->kvm, KVM_CREATE_VM, 0)) < 0) return -errno;
  // Intel's need a place for three pages that no memory uses.
  if (ioctl(guest->machine, KVM_SET_TSS_ADDR, 0xfffbd000) < 0) return -errno;
  if ((guest->cpu = ioctl(guest->machine, KVM_CREATE_VCPU, 0)) < 0) return -errno;
  int size = ioctl(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (size < 0) return -errno;
  guest->run_size = (size_t)size;
  guest->run = mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->cpu, 0);
  return guest->run == MAP_FAILED ? -errno : 0;
}

static int guest_load(
  struct guest *guest, const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_guest_options *options
) {
  guest->window_length = mapping->length;
  fill_tables(guest->ram);
  memcpy(guest->ram + GUEST_PROGRAM, charness_guest_program,
         (size_t)(charness_guest_program_end - charness_guest_program));
  *guest->parameters = (struct guest_parameters){
    .window = GUEST_WINDOW,
    .first_entry =
      GUEST_BOARD + board->pages_at + options->first_page * sizeof(struct charness_page),
    .first_seen = GUEST_BOARD + board->seen_at +
      ((uint64_t)options->slot * board->page_count + options->first_page) * sizeof(uint64_t),
    .first_page = options->first_page, .end_page = options->first_page + options->page_count,
    .slot = options->slot, .rounds_left = options->rounds,
    .door = options->trigger_every ? GUEST_DOOR : 0,
    .door_every = options->trigger_every, .door_left = options->trigger_every};
  uint32_t flags = options->flags & CHARNESS_GUEST_READ_ONLY ? KVM_MEM_READONLY : 0;
  int result = add_memory(guest, 0, 0, guest->ram, GUEST_RAM_SIZE, 0);
  if (result == 0)
    result = add_memory(guest, 1, GUEST_WINDOW, mapping->base, mapping->length, flags);
  if (result == 0) result = add_memory(guest, 2, GUEST_BOARD, board, board->byte_count, 0);
  uint64_t slot = GUEST_BOARD + board->slots_at + options->slot * sizeof(struct charness_slot);
  return result == 0 ? start_in_long_mode(guest, slot) : result;
}

// MARK: - Signals

// Turns signals of the guest into stores.
struct door {
  int signals, end;
  int device;
  uint64_t offset;
  struct charness_slot *slot;
  uint64_t errors;
};

static void trigger(struct door *door) {
  uint64_t signals = 0;
  if (read(door->signals, &signals, sizeof signals) != sizeof signals) return;
  for (; signals > 0; signals--) {
    if (xive_store(door->device, door->offset, 0) == 0) count(door->slot, CHARNESS_TRIGGERS);
    else door->errors++;
  }
}

static void *serve_door(void *argument) {
  struct door *door = argument;
  struct pollfd polled[2] = {
    {.fd = door->signals, .events = POLLIN}, {.fd = door->end, .events = POLLIN}};
  do {
    if (poll(polled, 2, -1) < 0 && errno != EINTR) break;
    trigger(door);
  } while (!polled[1].revents);
  // The guest has ended before the end was signalled: what it signalled last is there now.
  trigger(door);
  return NULL;
}

static int attach_door(const struct guest *guest, const struct door *door) {
  // Exact address and length: only a store of 4 bytes is a signal.
  struct kvm_ioeventfd event = {.addr = GUEST_DOOR, .len = 4, .fd = door->signals};
  return ioctl(guest->machine, KVM_IOEVENTFD, &event) < 0 ? -errno : 0;
}

// MARK: - Running

// Lets the guest go on behind a touch that met a hole. `extra`: how far an emulated load has moved on.
static int step_over_hole(const struct guest *guest, uint64_t extra) {
  struct kvm_regs registers;
  if (ioctl(guest->cpu, KVM_GET_REGS, &registers) < 0) return -errno;
  uint64_t at = registers.rip - GUEST_PROGRAM;
  // A fault anywhere else is not the window's.
  if (at < (uint64_t)(charness_guest_touch - charness_guest_program) ||
      at >= (uint64_t)(charness_guest_touch_end - charness_guest_program) + extra)
    return -EFAULT;
  registers.rip = GUEST_PROGRAM + (uint64_t)(charness_guest_hole - charness_guest_program);
  return ioctl(guest->cpu, KVM_SET_REGS, &registers) < 0 ? -errno : 0;
}

// Where KVM emulates the load (shadow paging), memory that cannot be read looks to it like a device's.
static int step_over_emulated_hole(const struct guest *guest, uint64_t window_length) {
  if (guest->run->mmio.is_write || guest->run->mmio.phys_addr - GUEST_WINDOW >= window_length)
    return -EIO;
  // The load is complete, and the registers are true, only after the vCPU was entered once more.
  guest->run->immediate_exit = 1;
  int status = ioctl(guest->cpu, KVM_RUN, 0) < 0 ? errno : 0;
  guest->run->immediate_exit = 0;
  return status == EINTR ? step_over_hole(guest, 1) : -EIO;
}

// One stay in the guest. 1: it is to go on; 0: it is done.
static int run_once(
  const struct guest *guest, struct charness_board *board, struct charness_guest_result *result
) {
  guest->run->exit_reason = KVM_EXIT_UNKNOWN;
  int error = ioctl(guest->cpu, KVM_RUN, 0) < 0 ? errno : 0;
  int status = -error;
  result->entries++;
  if (error == EINTR || error == EAGAIN) {
    result->interruptions++;
    return 1;
  } else if (error == EFAULT) {
    result->faults++;
    if (guest->run->exit_reason == KVM_EXIT_MEMORY_FAULT) result->memory_faults++;
    status = step_over_hole(guest, 0);
  } else if (error == 0 && guest->run->exit_reason == KVM_EXIT_MMIO) {
    result->faults++;
    result->emulated_faults++;
    status = step_over_emulated_hole(guest, guest->window_length);
  } else if (error == 0 && guest->run->exit_reason == KVM_EXIT_HLT) {
    result->halts++;
    return !guest->parameters->done && slot_may_run(board);
  } else if (error == 0) {
    status = -EIO;
  }
  if (status < 0) result->exit_reason = guest->run->exit_reason;
  return status < 0 ? status : 1;
}

static int run_with_door(
  struct guest *guest, struct charness_board *board, struct door *door,
  struct charness_guest_result *result
) {
  pthread_t thread;
  int status = attach_door(guest, door);
  if (status == 0) status = -pthread_create(&thread, NULL, serve_door, door);
  if (status < 0) return status;
  do status = run_once(guest, board, result);
  while (status > 0);
  const uint64_t one = 1;
  (void)!write(door->end, &one, sizeof one);
  pthread_join(thread, NULL);
  result->trigger_errors = door->errors;
  return status;
}

int charness_guest_run(
  const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_guest_options *options, struct charness_guest_result *result
) {
  *result = (struct charness_guest_result){0};
  if (charness_guest_unavailable()) return -ENOTSUP;
  if (mapping->layout != CHARNESS_WINDOW) return -EINVAL;
  if (mapping->length > GUEST_SLOT_MOST || board->byte_count > GUEST_SLOT_MOST) return -E2BIG;
  const struct charness_watch_options watch = {
    .slot = options->slot, .first_page = options->first_page, .page_count = options->page_count};
  int status = slot_begin(board, &watch);
  if (status < 0) return status;
  struct door door = {
    .signals = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .end = eventfd(0, EFD_CLOEXEC),
    .device = mapping->fd, .offset = options->trigger_offset,
    .slot = charness_slot_at(board, options->slot)};
  struct guest guest;
  status = guest_open(&guest);
  if (door.signals < 0 || door.end < 0) status = -EMFILE;
  if (status == 0) status = guest_load(&guest, mapping, board, options);
  if (status == 0) status = run_with_door(&guest, board, &door, result);
  guest_close(&guest);
  if (door.signals >= 0) close(door.signals);
  if (door.end >= 0) close(door.end);
  slot_end(board, options->slot);
  return status;
}

#else

const char *charness_guest_unavailable(void) {
  return "guests need an x86-64 processor: the guest's program is written for it";
}

int charness_guest_run(
  const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_guest_options *options, struct charness_guest_result *result
) {
  (void)mapping, (void)board, (void)options;
  *result = (struct charness_guest_result){0};
  return -ENOTSUP;
}

#endif
