/// A KVM guest with the interrupt sources of a xive device file, in plain C: three ways to give it their pages.
///
///     cc -std=gnu11 -I Sources/CXIVE/include -o guest tools/examples/guest.c
///     guest PATH [LISN] [--rounds N] [--pointer]
///
/// A real x86-64 guest, in 64-bit mode, on /dev/kvm. It does the same to one source in each way, in turns:
///   - no memslot: each load and store leaves the guest (KVM_EXIT_MMIO) and is one exact access, by pread or
///     pwrite; with --pointer through a plain pointer instead, which is exact where the program runs with
///     LD_PRELOAD=libxive-trap.so, and only memory where it does not;
///   - ioeventfd to irqfd: a trigger raises an eventfd in the kernel, which the device waits for; no exit;
///   - read-only memslot: the management page's image, from which the guest loads PQ; no exit.
/// The guest compares each value with the one that it must be and measures by its TSC.
///
/// LISN (default 16) must be a message source that exists and that nobody else uses meanwhile; its PQ is put
/// back at the end. Exit status: 0 all as expected, 1 not, 64 usage, 69 no /dev/kvm or no server.

// For O_DIRECT, whatever -std= says.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "xive.h"

enum { EXIT_USAGE = 64, EXIT_UNAVAILABLE = 69 };

__attribute__((noreturn))
static void end(int status, const char *what, const char *why) {
  fflush(stdout);
  fprintf(stderr, "guest: %s: %s\n", what, why);
  exit(status);
}

#if defined __x86_64__

enum {
  MOST_ROUNDS = 10000,
  PATIENCE_S = 30,  // for what comes a moment later
  LIVE_LOADS = 64,  // as one measurement: reading the TSC takes longer than a load
  // Guest-physical addresses: RAM from 0 on, then no memory, then the read-only memslot.
  TABLES = 0x1000,
  PROGRAM = 0x8000,
  PLAN = 0x9000,
  STEPS = 0xa000,
  SAMPLES = 0x10000,
};
static const uint64_t hole_address = 0x40000000, live_address = 0x80000000;
// Where a store triggers: an ioeventfd takes those at the start of the page, any other place is as good.
static const uint64_t doorbell = 0, no_doorbell = 8;

// MARK: - What the guest does

enum kind { NOTHING, LOAD, STORE, POLL };

/// One thing that the guest does, and measures. Registers are big-endian; `value` is not.
struct step {
  uint64_t kind;
  uint64_t address;
  uint64_t value;    // stored, or what must be loaded
  uint64_t times;    // that a load is repeated, as one measurement
  uint64_t samples;  // guest address: TSC cycles, one for each round
};

/// What the guest and its VMM share, beside the steps.
struct plan {
  uint64_t steps, step_count, rounds;
  uint64_t patience;  // TSC cycles that a poll takes at most
  uint64_t step;      // at which the guest is
  uint64_t done;
  uint64_t round, seen;  // of a value that is not the one that it must be: the guest ends there
};

/// The guest's program, position-independent. rdi plan, rsi step, r8 round, r9 number of the step, rbx address,
/// r12 value, r13 start, r14 what was seen.
__attribute__((naked, used))
static void guest_program(void) {
  __asm__ volatile(R"(
    .intel_syntax noprefix
    xor r8d, r8d
  1:                          # a round
    mov rsi, [rdi + %c[steps]]
    xor r9d, r9d
  2:                          # a step
    mov [rdi + %c[step]], r9
    mov rbx, [rsi + %c[address]]
    mov r12, [rsi + %c[value]]
    mov rcx, [rsi + %c[kind]]
    mov r14, r12
    lfence
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov r13, rax
    cmp rcx, %c[load]
    jb 6f
    je 3f
    cmp rcx, %c[store]
    je 4f
  5:                          # until it is there, or for too long
    mov r14, [rbx]
    bswap r14
    cmp r14, r12
    je 6f
    pause
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, r13
    cmp rax, [rdi + %c[patience]]
    jb 5b
    jmp 6f
  3:
    mov rcx, [rsi + %c[times]]
  9:
    mov r14, [rbx]
    bswap r14
    cmp r14, r12
    jne 6f
    dec rcx
    jnz 9b
    jmp 6f
  4:
    mov rax, r12
    bswap rax
    mov [rbx], rax
  6:
    lfence
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, r13
    mov rcx, [rsi + %c[samples]]
    mov [rcx + 8 * r8], rax
    cmp r14, r12
    jne 7f
    add rsi, %c[step_size]
    inc r9
    cmp r9, [rdi + %c[step_count]]
    jne 2b
    inc r8
    cmp r8, [rdi + %c[rounds]]
    jne 1b
    mov qword ptr [rdi + %c[done]], 1
    jmp 8f
  7:                          # another value
    mov [rdi + %c[seen]], r14
    mov [rdi + %c[round]], r8
  8:
    hlt
    jmp 8b
    .globl guest_program_end
    .hidden guest_program_end
  guest_program_end:
    .att_syntax prefix
  )" ::[steps] "i"(offsetof(struct plan, steps)),
     [step_count] "i"(offsetof(struct plan, step_count)), [rounds] "i"(offsetof(struct plan, rounds)),
     [patience] "i"(offsetof(struct plan, patience)), [step] "i"(offsetof(struct plan, step)),
     [done] "i"(offsetof(struct plan, done)), [round] "i"(offsetof(struct plan, round)),
     [seen] "i"(offsetof(struct plan, seen)), [kind] "i"(offsetof(struct step, kind)),
     [address] "i"(offsetof(struct step, address)), [value] "i"(offsetof(struct step, value)),
     [times] "i"(offsetof(struct step, times)), [samples] "i"(offsetof(struct step, samples)),
     [step_size] "i"(sizeof(struct step)),
     [load] "i"(LOAD), [store] "i"(STORE));
}

extern const uint8_t guest_program_end[];

/// The three ways, each with what it is used for: the lines of the table.
enum row { MEASURING, EXIT_LOAD, EXIT_STORE, DOORBELL, ARRIVAL, LIVE_LOAD, LIVE_STORE, SETTLING, ROWS };

/// A step as the VMM knows it: which page it is on, and which line of the table it belongs to.
struct action {
  enum row row;
  uint64_t offset, value;
  const char *name;
};

/// A round. The live page follows a moment later, so that the guest waits for each state that it must not mistake
/// for an older one: nothing else in a round shows PQ 01, and no 10 comes between the 00 that it has seen and its
/// own trigger.
static const struct action round_of_actions[] = {
  {MEASURING, 0, 0, "nothing"},
  {EXIT_LOAD, XIVE_ESB_SET_PQ_00, XIVE_PQ_RESET, "SET_PQ_00"},
  {EXIT_STORE, no_doorbell, 0, "trigger"},
  {EXIT_LOAD, XIVE_ESB_GET, XIVE_PQ_PENDING, "PQ after a trigger"},
  {EXIT_STORE, no_doorbell, 0, "second trigger"},
  {EXIT_LOAD, XIVE_ESB_GET, XIVE_PQ_QUEUED, "PQ after a second trigger"},
  {EXIT_LOAD, XIVE_ESB_LOAD_EOI, 1, "EOI, which sends the second"},
  {EXIT_LOAD, XIVE_ESB_LOAD_EOI, 0, "EOI"},
  {EXIT_LOAD, XIVE_ESB_SET_PQ_01, XIVE_PQ_RESET, "SET_PQ_01"},
  {SETTLING, XIVE_ESB_GET, XIVE_PQ_OFF, "PQ 01 on the live page"},
  {EXIT_LOAD, XIVE_ESB_SET_PQ_00, XIVE_PQ_OFF, "SET_PQ_00 after 01"},
  {SETTLING, XIVE_ESB_GET, XIVE_PQ_RESET, "PQ 00 on the live page"},
  {DOORBELL, doorbell, 0, "trigger by ioeventfd"},
  {ARRIVAL, XIVE_ESB_GET, XIVE_PQ_PENDING, "PQ on the live page after a trigger by ioeventfd"},
  {LIVE_LOAD, XIVE_ESB_GET, XIVE_PQ_PENDING, "PQ by the memslot"},
  {LIVE_STORE, XIVE_ESB_SET_PQ_00, 0, "store to the read-only memslot"},
  {EXIT_LOAD, XIVE_ESB_GET, XIVE_PQ_PENDING, "PQ after a store to the read-only memslot"},
  {EXIT_LOAD, XIVE_ESB_LOAD_EOI, 0, "EOI of the trigger by ioeventfd"},
  {SETTLING, XIVE_ESB_GET, XIVE_PQ_RESET, "PQ 00 on the live page at the end"},
  {LIVE_LOAD, XIVE_ESB_GET, XIVE_PQ_RESET, "PQ by the memslot at the end"},
};
/// Triggers without a look in between: what comes meanwhile is one event.
static const struct action burst_of_actions[] = {{DOORBELL, doorbell, 0, "trigger of the burst"}};

enum { MOST_STEPS = sizeof round_of_actions / sizeof *round_of_actions };

static enum kind kind_of(enum row row) {
  switch (row) {
  case EXIT_LOAD: case LIVE_LOAD: return LOAD;
  case EXIT_STORE: case DOORBELL: case LIVE_STORE: return STORE;
  case ARRIVAL: case SETTLING: return POLL;
  default: return NOTHING;
  }
}

// MARK: - The machine

struct vmm {
  const char *path;
  int fd;  // the device
  uint32_t lisn;
  uint64_t page_size;                // device page
  uint32_t trigger_half;             // where sources have one page, that one is triggered
  bool by_pointer;
  volatile uint8_t *pages;           // of the source, where accesses go through a pointer
  int kvm, machine, cpu;
  struct kvm_run *run;
  double cycles_per_us;
  uint8_t *ram;
  size_t ram_size;
  struct plan *plan;                 // in the guest's RAM
  const struct action *actions;      // what the guest does, and how often: it may not change that
  size_t action_count;
  uint64_t rounds;
  uint64_t exits[MOST_STEPS];        // of the guest at each step
  uint64_t *access_ns[MOST_STEPS];   // how long each of its accesses took the VMM
  uint64_t refused;
};

static int failures;

__attribute__((noreturn))
static void give_up(const char *what) { end(EXIT_FAILURE, what, strerror(errno)); }

static void expect(const char *what, bool is_met, uint64_t seen) {
  printf("%s: %" PRIu64 "%s\n", what, seen, is_met ? "" : ", FAILED");
  if (!is_met) failures++;
}

static int request(int fd, unsigned long number, const void *value, const char *what) {
  int result = ioctl(fd, number, value);
  if (result < 0) give_up(what);
  return result;
}

static void open_kvm(struct vmm *vmm) {
  vmm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (vmm->kvm < 0)
    end(EXIT_UNAVAILABLE, "/dev/kvm", errno == ENOENT ? "not there: load the kvm module of this processor"
                                                       : "cannot be opened: run as root or in its group");
  const int needed[] = {KVM_CAP_IOEVENTFD, KVM_CAP_READONLY_MEM, KVM_CAP_GET_TSC_KHZ};
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    if (ioctl(vmm->kvm, KVM_CHECK_EXTENSION, needed[i]) <= 0)
      end(EXIT_UNAVAILABLE, "/dev/kvm", "has no ioeventfd, read-only memory or TSC frequency");
}

static void add_memory(
  const struct vmm *vmm, uint32_t slot, uint64_t address, const void *memory, uint64_t size, uint32_t flags
) {
  struct kvm_userspace_memory_region region = {
    .slot = slot, .flags = flags, .guest_phys_addr = address, .memory_size = size,
    .userspace_addr = (uintptr_t)memory};
  request(vmm->machine, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
}

/// The first three GiB, each address to itself, in pages of 2 MiB.
static void fill_tables(uint8_t *ram) {
  enum { USABLE = 3, LARGE = 1 << 7, ENTRIES = 512, SIZE = 4096 };
  uint64_t *tables = (uint64_t *)(ram + TABLES);
  tables[0] = (TABLES + SIZE) | USABLE;
  for (uint64_t gib = 0; gib < 3; gib++) {
    tables[ENTRIES + gib] = (TABLES + (2 + gib) * SIZE) | USABLE;
    for (uint64_t i = 0; i < ENTRIES; i++)
      tables[(2 + gib) * ENTRIES + i] = (gib << 30 | i << 21) | USABLE | LARGE;
  }
}

/// 64-bit mode with flat segments, without interrupts. Source: Intel SDM volume 3, "IA-32e Mode".
static void enter_long_mode(const struct vmm *vmm) {
  struct kvm_sregs system = {0};
  request(vmm->cpu, KVM_GET_SREGS, &system, "KVM_GET_SREGS");
  const struct kvm_segment data = {
    .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
  system.ds = system.es = system.fs = system.gs = system.ss = system.cs = data;
  system.cs.selector = 8, system.cs.type = 11, system.cs.db = 0, system.cs.l = 1;
  system.cr3 = TABLES;
  system.cr4 = 1 << 5;                 // PAE
  system.cr0 = 1u << 31 | 1 << 4 | 1;  // paging, extension type, protection
  system.efer = 1 << 10 | 1 << 8;      // long mode: active, enabled
  request(vmm->cpu, KVM_SET_SREGS, &system, "KVM_SET_SREGS");
}

static void make_machine(struct vmm *vmm, uint64_t rounds) {
  vmm->machine = request(vmm->kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
  // Intel's need a place for three pages that no memory uses.
  if (ioctl(vmm->machine, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0) give_up("KVM_SET_TSS_ADDR");
  vmm->cpu = request(vmm->machine, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
  int khz = request(vmm->cpu, KVM_GET_TSC_KHZ, NULL, "KVM_GET_TSC_KHZ");
  vmm->cycles_per_us = khz / 1e3;
  int size = request(vmm->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
  vmm->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vmm->cpu, 0);
  vmm->ram_size = (SAMPLES + MOST_STEPS * rounds * sizeof(uint64_t) + 0xfff) & ~(size_t)0xfff;
  vmm->ram = mmap(NULL, vmm->ram_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (vmm->run == MAP_FAILED || vmm->ram == MAP_FAILED) give_up("mmap");
  vmm->plan = (struct plan *)(vmm->ram + PLAN);
  fill_tables(vmm->ram);
  const uint8_t *program = (const uint8_t *)guest_program;
  memcpy(vmm->ram + PROGRAM, program, (size_t)(guest_program_end - program));
  add_memory(vmm, 0, 0, vmm->ram, vmm->ram_size, 0);
  enter_long_mode(vmm);
}

// MARK: - The device

static uint64_t page_offset(const struct vmm *vmm, uint32_t half) {
  return xive_esb_offset(vmm->lisn, half, vmm->page_size);
}

static uint64_t load(const struct vmm *vmm, uint32_t operation) {
  uint64_t value = 0;
  int result = xive_load(vmm->fd, page_offset(vmm, XIVE_MANAGEMENT) + operation, &value);
  if (result != 0) end(EXIT_FAILURE, "exact load", strerror(-result));
  return value;
}

static void get_info(const struct vmm *vmm, uint64_t attribute, void *info, size_t size) {
  struct xive_attr query = {.group = XIVE_GROUP_INFO, .attr = attribute};
  if (ioctl(vmm->fd, XIVE_GET_ATTR, &query) < 0)
    end(EXIT_UNAVAILABLE, vmm->path, "no xive device: start xive serve there");
  memcpy(info, query.data, size);
}

/// What has come of irqfds so far, of all of the device's.
static uint64_t injected(const struct vmm *vmm) {
  struct xive_info_injection info;
  get_info(vmm, XIVE_INFO_INJECTION, &info, sizeof info);
  return info.injected;
}

static void open_device(struct vmm *vmm) {
  // O_DIRECT makes pread and pwrite exact; mapping the same descriptor is not affected by it.
  vmm->fd = open(vmm->path, O_RDWR | O_DIRECT | O_CLOEXEC);
  if (vmm->fd < 0) end(EXIT_UNAVAILABLE, vmm->path, strerror(errno));
  struct xive_info_geometry geometry;
  get_info(vmm, XIVE_INFO_GEOMETRY, &geometry, sizeof geometry);
  vmm->page_size = UINT64_C(1) << (geometry.device_page_shift & 63);
  vmm->trigger_half = geometry.esb_pages == 1 ? XIVE_MANAGEMENT : XIVE_TRIGGER;
  if (vmm->lisn >= geometry.sources || load(vmm, XIVE_ESB_GET) == XIVE_ALL_ONES)
    end(EXIT_FAILURE, "LISN", "no such source: name one that exists, or create it by xive serve --create");
}

/// Way 1. Nothing is done for the guest; the pointer, if it is one, is to both of the source's pages.
static void prepare_exits(struct vmm *vmm) {
  if (!vmm->by_pointer) return;
  void *pages = mmap(NULL, 2 * vmm->page_size, PROT_READ | PROT_WRITE, MAP_SHARED, vmm->fd,
                     (off_t)page_offset(vmm, XIVE_TRIGGER));
  if (pages == MAP_FAILED) give_up("mmap of the ESB pages");
  vmm->pages = pages;
}

static void set_irqfd(const struct vmm *vmm, int event, uint32_t flags) {
  struct kvm_irqfd irqfd = {.fd = (uint32_t)event, .gsi = vmm->lisn, .flags = flags};
  request(vmm->fd, KVM_IRQFD, &irqfd, "KVM_IRQFD, for message sources alone");
}

/// Way 2: the guest's store raises an eventfd, which raises the source. A GSI of the device is a LISN.
static int connect_doorbell(const struct vmm *vmm) {
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event < 0) give_up("eventfd");
  set_irqfd(vmm, event, 0);
  // 8 bytes, which the page takes: a store of another size leaves the guest, and the device refuses it.
  struct kvm_ioeventfd bell = {
    .addr = hole_address + vmm->trigger_half * vmm->page_size + doorbell, .len = 8, .fd = event};
  request(vmm->machine, KVM_IOEVENTFD, &bell, "KVM_IOEVENTFD");
  return event;
}

/// Way 3. The system call itself: a library that makes pointers trap must not see this mapping, for KVM reads it.
static void add_live_page(const struct vmm *vmm) {
  long page = syscall(SYS_mmap, NULL, vmm->page_size, PROT_READ, MAP_SHARED, vmm->fd,
                      page_offset(vmm, XIVE_MANAGEMENT));
  if (page == -1) give_up("mmap of the management page");
  add_memory(vmm, 1, live_address, (const void *)page, vmm->page_size, KVM_MEM_READONLY);
}

// MARK: - Exits

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/// The guest's access, of its size and with its bytes, at that place of the source's two pages.
static void access_pages(const struct vmm *vmm, uint64_t offset) {
  const bool is_write = vmm->run->mmio.is_write;
  uint8_t *bytes = vmm->run->mmio.data;
  const size_t size = vmm->run->mmio.len;
  const off_t place = (off_t)(page_offset(vmm, XIVE_TRIGGER) + offset);
  if (vmm->by_pointer && size == sizeof(uint64_t)) {
    volatile uint64_t *pointer = (volatile uint64_t *)(vmm->pages + offset);
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    if (is_write) *pointer = value;
    else value = *pointer;
    memcpy(bytes, &value, sizeof value);
  } else if ((is_write ? pwrite(vmm->fd, bytes, size, place) : pread(vmm->fd, bytes, size, place))
             != (ssize_t)size) {
    give_up("exact access");
  }
}

static void answer(struct vmm *vmm) {
  const uint64_t address = vmm->run->mmio.phys_addr, step = vmm->plan->step;
  if (step >= vmm->action_count) end(EXIT_FAILURE, "the guest", "is at no step");
  const uint64_t number = vmm->exits[step]++;
  if (address - hole_address < 2 * vmm->page_size) {
    const uint64_t start = now();
    access_pages(vmm, address - hole_address);
    if (number < vmm->rounds) vmm->access_ns[step][number] = now() - start;
  } else if (address - live_address < vmm->page_size && vmm->run->mmio.is_write) {
    // The page is only shown: nobody gets the store.
    vmm->refused++;
  } else {
    end(EXIT_FAILURE, vmm->actions[step].name, "an access where nothing is, or a page that cannot be had");
  }
}

static void stay_in_guest(struct vmm *vmm) {
  for (;;) {
    if (ioctl(vmm->cpu, KVM_RUN, 0) < 0) {
      if (errno != EINTR && errno != EAGAIN) give_up("KVM_RUN");
      continue;
    }
    if (vmm->run->exit_reason == KVM_EXIT_HLT) return;
    if (vmm->run->exit_reason != KVM_EXIT_MMIO) {
      fprintf(stderr, "guest: KVM_RUN: exit %u, which nobody expects\n", vmm->run->exit_reason);
      exit(EXIT_FAILURE);
    }
    answer(vmm);
  }
}

/// What is left of the guest when a value was another one.
static void check_end(const struct vmm *vmm) {
  if (vmm->plan->done) return;
  if (vmm->plan->step >= vmm->action_count) end(EXIT_FAILURE, "the guest", "is at no step");
  const struct action *action = &vmm->actions[vmm->plan->step];
  printf("%s: FAILED in round %" PRIu64 ": the guest expected %#" PRIx64 " and saw %#" PRIx64 "\n",
         action->name, vmm->plan->round, action->value, vmm->plan->seen);
  if (vmm->by_pointer)
    printf("a plain pointer is exact only under LD_PRELOAD=libxive-trap.so\n");
  exit(EXIT_FAILURE);
}

static uint64_t guest_address(const struct vmm *vmm, const struct action *action) {
  switch (action->row) {
  case EXIT_LOAD: return hole_address + vmm->page_size + action->offset;
  case EXIT_STORE: case DOORBELL:
    return hole_address + vmm->trigger_half * vmm->page_size + action->offset;
  default: return live_address + action->offset;
  }
}

/// Where the guest leaves a step's samples.
static uint64_t samples_address(const struct vmm *vmm, size_t step) {
  return SAMPLES + step * vmm->rounds * sizeof(uint64_t);
}

static uint64_t times_of(enum row row) { return row == LIVE_LOAD ? LIVE_LOADS : 1; }

/// Has the guest do all actions in so many rounds.
static void run_guest(struct vmm *vmm, const struct action *actions, size_t count, uint64_t rounds) {
  vmm->actions = actions;
  vmm->action_count = count;
  vmm->rounds = rounds;
  *vmm->plan = (struct plan){
    .steps = STEPS, .step_count = count, .rounds = rounds,
    .patience = (uint64_t)(PATIENCE_S * 1e6 * vmm->cycles_per_us)};
  struct step *steps = (struct step *)(vmm->ram + STEPS);
  for (size_t i = 0; i < count; i++) {
    vmm->exits[i] = 0;
    steps[i] = (struct step){
      .kind = kind_of(actions[i].row), .address = guest_address(vmm, &actions[i]),
      .value = actions[i].value, .times = times_of(actions[i].row),
      .samples = samples_address(vmm, i)};
  }
  const struct kvm_regs registers = {.rip = PROGRAM, .rflags = 2, .rdi = PLAN};
  request(vmm->cpu, KVM_SET_REGS, &registers, "KVM_SET_REGS");
  stay_in_guest(vmm);
  check_end(vmm);
}

// MARK: - The table

static int compare(const void *a, const void *b) {
  const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

static void print_time(const uint64_t *sorted, size_t count, unsigned percent, double per_us) {
  if (count == 0) printf(" %10s", "-");
  else printf(" %10.2f", (double)sorted[(count - 1) * percent / 100] / per_us);
}

/// All steps of one line together: how often, how many exits, the guest's time and the VMM's share of it.
static void print_row(const struct vmm *vmm, enum row row, const char *name, bool leaves) {
  const uint64_t rounds = vmm->rounds;
  uint64_t *cycles = calloc(2 * MOST_STEPS * rounds, sizeof *cycles);
  if (!cycles) give_up("memory");
  uint64_t *accesses = cycles + MOST_STEPS * rounds;
  size_t count = 0, access_count = 0;
  uint64_t operations = 0, exits = 0;
  for (size_t i = 0; i < vmm->action_count; i++) {
    if (vmm->actions[i].row != row) continue;
    memcpy(cycles + count, vmm->ram + samples_address(vmm, i), rounds * sizeof *cycles);
    count += rounds;
    operations += rounds * times_of(row);
    exits += vmm->exits[i];
    if (row != EXIT_LOAD && row != EXIT_STORE) continue;
    memcpy(accesses + access_count, vmm->access_ns[i], rounds * sizeof *accesses);
    access_count += rounds;
  }
  qsort(cycles, count, sizeof *cycles, compare);
  qsort(accesses, access_count, sizeof *accesses, compare);
  const double per_us = vmm->cycles_per_us * (double)operations / (double)count;
  printf("%-44s %10" PRIu64 " %8" PRIu64, name, operations, exits);
  print_time(cycles, count, 50, per_us);
  print_time(cycles, count, 99, per_us);
  print_time(accesses, access_count, 50, 1e3);
  const bool is_met = exits == (leaves ? operations : 0);
  printf("%s\n", is_met ? "" : ", FAILED: another number of exits");
  if (!is_met) failures++;
  free(cycles);
}

static void print_table(const struct vmm *vmm) {
  printf("%-44s %10s %8s %10s %10s %10s\n", "way", "operations", "exits", "p50 us", "p99 us", "VMM's p50");
  const bool leaves = true, stays = false;
  print_row(vmm, MEASURING, "nothing but reading the TSC, as all below do", stays);
  print_row(vmm, EXIT_LOAD, vmm->by_pointer ? "no memslot: load, by a pointer" : "no memslot: load, one pread",
            leaves);
  print_row(vmm, EXIT_STORE,
            vmm->by_pointer ? "no memslot: store, by a pointer" : "no memslot: store, one pwrite", leaves);
  print_row(vmm, DOORBELL, "ioeventfd to irqfd: trigger", stays);
  print_row(vmm, ARRIVAL, "  from there until the memslot shows it", stays);
  print_row(vmm, LIVE_LOAD, "read-only memslot: load of PQ, 64 at once", stays);
  print_row(vmm, LIVE_STORE, "read-only memslot: store, refused", leaves);
}

// MARK: - All together

/// Each trigger is seen on the live page before the next one: one by one, each arrives.
static void run_rounds(struct vmm *vmm, uint64_t rounds) {
  // The first time pages are filled, in the guest and here.
  run_guest(vmm, round_of_actions, MOST_STEPS, 1);
  const uint64_t before = injected(vmm);
  vmm->refused = 0;
  run_guest(vmm, round_of_actions, MOST_STEPS, rounds);
  print_table(vmm);
  const uint64_t arrived = injected(vmm) - before;
  // More than that is somebody else's.
  expect("triggers by ioeventfd that the device has taken", arrived >= rounds, arrived);
  expect("stores to the read-only memslot that nobody got", vmm->refused == rounds, vmm->refused);
}

/// Without waiting several may become one: the device takes all that an eventfd has counted at once, and a source
/// queues one event.
static void run_burst(struct vmm *vmm, uint64_t rounds, int event) {
  const uint64_t before = injected(vmm);
  run_guest(vmm, burst_of_actions, 1, rounds);
  expect("a burst without a look: triggers", vmm->plan->done == 1, rounds);
  expect("  exits", vmm->exits[0] == 0, vmm->exits[0]);
  // Nothing more can come of the irqfd when this returns.
  set_irqfd(vmm, event, KVM_IRQFD_FLAG_DEASSIGN);
  const uint64_t arrived = injected(vmm) - before, pq = load(vmm, XIVE_ESB_GET);
  expect("  events that came of them", arrived >= 1, arrived);
  expect("  PQ then (2: once, 3: again)", pq == XIVE_PQ_QUEUED || (pq == XIVE_PQ_PENDING && arrived == 1), pq);
}

/// Ends the program when something hangs, whatever that is.
static void *watch(void *seconds) {
  const unsigned limit = *(const unsigned *)seconds;
  sleep(limit);
  fprintf(stderr, "guest: no end within %u s\n", limit);
  _exit(EXIT_FAILURE);
}

static void run(struct vmm *vmm, uint64_t rounds) {
  static unsigned limit;
  limit = 4 * PATIENCE_S + (unsigned)rounds / 10;
  pthread_t watcher;
  if (pthread_create(&watcher, NULL, watch, &limit) != 0) give_up("thread");
  open_kvm(vmm);
  open_device(vmm);
  for (size_t i = 0; i < MOST_STEPS; i++)
    if (!(vmm->access_ns[i] = calloc(rounds, sizeof(uint64_t)))) give_up("memory");
  make_machine(vmm, rounds);
  const uint64_t at_start = load(vmm, XIVE_ESB_SET_PQ_00);
  prepare_exits(vmm);
  int event = connect_doorbell(vmm);
  add_live_page(vmm);
  printf("LISN %" PRIu32 ": guest-physical %#" PRIx64 " without memory, its management page at %#" PRIx64
         " read-only; TSC %.0f MHz\n",
         vmm->lisn, hole_address, live_address, vmm->cycles_per_us);
  run_rounds(vmm, rounds);
  run_burst(vmm, rounds, event);
  load(vmm, XIVE_ESB_SET_PQ_00 + (uint32_t)(at_start & 3) * XIVE_ESB_SET_PQ_STEP);
}

struct arguments {
  const char *path;
  uint64_t lisn, rounds;
  bool by_pointer;
};

static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *number) {
  char *rest;
  errno = 0;
  *number = strtoull(text, &rest, 0);
  return errno == 0 && *text >= '0' && *text <= '9' && *rest == '\0' && *number >= least && *number <= most;
}

static bool parse(int count, char **values, struct arguments *arguments) {
  int positional = 0;
  for (int i = 1; i < count; i++) {
    if (strcmp(values[i], "--rounds") == 0) {
      if (++i == count || !parse_number(values[i], 1, MOST_ROUNDS, &arguments->rounds)) return false;
    } else if (strcmp(values[i], "--pointer") == 0) {
      arguments->by_pointer = true;
    } else if (positional == 0 && values[i][0] != '-') {
      arguments->path = values[i];
      positional++;
    } else if (positional == 1 && parse_number(values[i], 0, XIVE_MAX_SOURCES - 1, &arguments->lisn)) {
      positional++;
    } else {
      return false;
    }
  }
  return positional > 0;
}

int main(int count, char **values) {
  struct arguments arguments = {.lisn = 16, .rounds = 200};
  if (!parse(count, values, &arguments)) {
    fprintf(stderr, "usage: guest PATH [LISN] [--rounds N] [--pointer], N from 1 to %d\n", MOST_ROUNDS);
    return EXIT_USAGE;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  struct vmm vmm = {
    .path = arguments.path, .lisn = (uint32_t)arguments.lisn, .by_pointer = arguments.by_pointer};
  run(&vmm, arguments.rounds);
  printf(failures ? "%d not as expected\n" : "all as expected\n", failures);
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#else

int main(void) {
  end(EXIT_UNAVAILABLE, "processor", "its guest's program is for x86-64");
}

#endif
