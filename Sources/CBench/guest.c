// The bare round trip of a virtual machine's exit. Source: Linux Documentation/virt/kvm/api.rst.
#include "cbench.h"
#include "clock.h"

#include <errno.h>
#include <stdlib.h>

#if defined __x86_64__

#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct cbench_guest {
  int kvm, machine, cpu;
  struct kvm_run *run;
  size_t run_size;
  uint8_t *ram;
};

enum { RAM_SIZE = 4096 };

// mov eax, [0x40000000]; jmp to it
static const uint8_t program[] = {0xa1, 0x00, 0x00, 0x00, 0x40, 0xeb, 0xf9};

// Protected mode with flat segments, no paging. Source: Intel SDM volume 3, "Protected-Mode Memory Management".
static int start(const struct cbench_guest *guest) {
  struct kvm_sregs system;
  if (ioctl(guest->cpu, KVM_GET_SREGS, &system) < 0) return -errno;
  system.cs = (struct kvm_segment){
    .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1};
  system.ds = system.es = system.fs = system.gs = system.ss = (struct kvm_segment){
    .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
  system.cr0 = 1 << 4 | 1;  // extension type, protection
  const struct kvm_regs registers = {.rflags = 2};
  if (ioctl(guest->cpu, KVM_SET_SREGS, &system) < 0) return -errno;
  return ioctl(guest->cpu, KVM_SET_REGS, &registers) < 0 ? -errno : 0;
}

static int make(struct cbench_guest *guest) {
  guest->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  guest->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (guest->ram == MAP_FAILED || guest->kvm < 0) return -errno;
  memcpy(guest->ram, program, sizeof program);
  if ((guest->machine = ioctl(guest->kvm, KVM_CREATE_VM, 0)) < 0) return -errno;
  // Intel's need a place for three pages that no memory uses.
  if (ioctl(guest->machine, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0) return -errno;
  struct kvm_userspace_memory_region region = {
    .memory_size = RAM_SIZE, .userspace_addr = (uintptr_t)guest->ram};
  if (ioctl(guest->machine, KVM_SET_USER_MEMORY_REGION, &region) < 0) return -errno;
  if ((guest->cpu = ioctl(guest->machine, KVM_CREATE_VCPU, 0)) < 0) return -errno;
  int size = ioctl(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (size < 0) return -errno;
  guest->run_size = (size_t)size;
  guest->run = mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->cpu, 0);
  return guest->run == MAP_FAILED ? -errno : start(guest);
}

int cbench_guest_open(struct cbench_guest **result) {
  struct cbench_guest *guest = malloc(sizeof *guest);
  if (guest == NULL) return -ENOMEM;
  *guest = (struct cbench_guest){.kvm = -1, .machine = -1, .cpu = -1, .run = MAP_FAILED, .ram = MAP_FAILED};
  int status = make(guest);
  // The first answer is to a load, too.
  uint64_t unused;
  if (status == 0) status = cbench_guest_run(guest, 1, &unused);
  if (status == 0) *result = guest;
  else cbench_guest_close(guest);
  return status;
}

int cbench_guest_run(struct cbench_guest *guest, size_t count, uint64_t *nanoseconds) {
  for (size_t i = 0; i < count; i++) {
    uint64_t start = monotonic_nanoseconds();
    memset(guest->run->mmio.data, 0, sizeof guest->run->mmio.data);
    int status;
    do status = ioctl(guest->cpu, KVM_RUN, 0);
    while (status < 0 && (errno == EINTR || errno == EAGAIN));
    nanoseconds[i] = monotonic_nanoseconds() - start;
    if (status < 0) return -errno;
    if (guest->run->exit_reason != KVM_EXIT_MMIO || guest->run->mmio.is_write) return -EIO;
  }
  return 0;
}

void cbench_guest_close(struct cbench_guest *guest) {
  if (guest->run != MAP_FAILED) munmap(guest->run, guest->run_size);
  if (guest->cpu >= 0) close(guest->cpu);
  if (guest->machine >= 0) close(guest->machine);
  if (guest->kvm >= 0) close(guest->kvm);
  if (guest->ram != MAP_FAILED) munmap(guest->ram, RAM_SIZE);
  free(guest);
}

#else

int cbench_guest_open(struct cbench_guest **guest) {
  (void)guest;
  return -ENOTSUP;
}

int cbench_guest_run(struct cbench_guest *guest, size_t count, uint64_t *nanoseconds) {
  (void)guest, (void)count, (void)nanoseconds;
  return -ENOTSUP;
}

void cbench_guest_close(struct cbench_guest *guest) { (void)guest; }

#endif
