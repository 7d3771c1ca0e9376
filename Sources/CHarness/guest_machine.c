// The virtual machine that a guest's program runs in. Source: Linux Documentation/virt/kvm/api.rst.
#include "guest.h"

#if defined __x86_64__

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

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

void guest_close(struct guest *guest) {
  if (guest->run != MAP_FAILED) munmap(guest->run, guest->run_size);
  if (guest->cpu >= 0) close(guest->cpu);
  if (guest->machine >= 0) close(guest->machine);
  if (guest->kvm >= 0) close(guest->kvm);
  if (guest->ram != MAP_FAILED) munmap(guest->ram, GUEST_RAM_SIZE);
}

int guest_open(struct guest *guest) {
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

int guest_load(
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

#else

const char *charness_guest_unavailable(void) {
  return "guests need an x86-64 processor: the guest's program is written for it";
}

#endif
