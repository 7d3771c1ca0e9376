// A guest that watches the window: its signals, its stays and exits. Source: Linux Documentation/virt/kvm/api.rst.
#include "guest.h"
#include "internal.h"

#if defined __x86_64__

#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "xive.h"

#ifndef KVM_EXIT_MEMORY_FAULT
// Since Linux 6.8.
#define KVM_EXIT_MEMORY_FAULT 39
#endif

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
    // Also after the end, which is signalled once the guest has made its last signal.
    trigger(door);
  } while (!polled[1].revents);
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

int charness_guest_run(
  const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_guest_options *options, struct charness_guest_result *result
) {
  (void)mapping, (void)board, (void)options;
  *result = (struct charness_guest_result){0};
  return -ENOTSUP;
}

#endif
