/// The client of a xive device file, for C and C++: libxive-client.so.
///
///     cc -I Sources/CXIVE/include client.c -L .build/debug -lxive-client
///
/// It does what every consumer has to do (open with O_DIRECT, find the geometry, compute offsets)
/// and refuses what the kernel's device refuses in mmap and a file cannot. A program that wants none
/// of it needs nothing but xive.h, which this header includes.
///
/// Results. A function that makes a handle returns it, or NULL, and then leaves a negative errno in
/// `error` unless that is NULL. Every other function that can fail returns 0 or a negative errno, and
/// leaves its outputs alone when it fails. xive_client_error_message() has the words.
///
/// Threads. Every function is safe from several threads at once, but a handle must not be in use when
/// it is closed, unmapped or destroyed. Handles and pointers must be valid; NULL only where this header says so.
#ifndef XIVE_CLIENT_H
#define XIVE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xive.h"

#ifdef __clang__
#define XIVE_CLIENT_NULLABLE _Nullable
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#pragma clang assume_nonnull begin
#else
#define XIVE_CLIENT_NULLABLE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// An open device file.
typedef struct xive_client xive_client;
/// Mapped pages of a device file.
typedef struct xive_client_mapping xive_client_mapping;
/// A guest's window on a device file.
typedef struct xive_client_window xive_client_window;
/// Guest RAM that the device writes event queues into.
typedef struct xive_client_memory xive_client_memory;
/// The consumer's end of an event queue.
typedef struct xive_client_queue xive_client_queue;
/// A vCPU: a descriptor that is connected to a server.
typedef struct xive_client_vcpu xive_client_vcpu;
/// An eventfd that the device waits for, or one that it raises at the end of an interrupt.
typedef struct xive_client_irqfd xive_client_irqfd;

/// Why the last call on this thread that failed did so: one line that names the object, or an empty
/// string before any failure. Valid until the next call on this thread that fails.
const char *xive_client_error_message(void);

// MARK: - Device

/// Opens a device file. `writable`: whether anything may be changed through it; an EOI load is a
/// change as well. ENOTTY for a file that is no xive device, and the errors of open.
xive_client *XIVE_CLIENT_NULLABLE xive_client_open(
  const char *path, bool writable, int *XIVE_CLIENT_NULLABLE error);

/// Closes a device file; its mappings live on. NULL is no error.
void xive_client_close(xive_client *XIVE_CLIENT_NULLABLE client);

/// Asks what the device was started with.
int xive_client_geometry(const xive_client *client, struct xive_info_geometry *geometry);

/// Performs one exact 8-byte load at a device offset. EINVAL where no page takes it; EBADF for a
/// load that would change something through a client that is not writable.
int xive_client_load(const xive_client *client, uint64_t offset, uint64_t *value);

/// Performs one exact 8-byte store at a device offset. EINVAL where no page takes it; EBADF when the
/// client is not writable.
int xive_client_store(const xive_client *client, uint64_t offset, uint64_t value);

/// The same for a register of `size` bytes, 1 to 8 (EINVAL for others): TIMA registers have 1, 2, 4 or
/// 8. All ones in `value`, as many as fit, where there is no state to give.
int xive_client_load_size(
  const xive_client *client, uint64_t offset, uint32_t size, uint64_t *value);
int xive_client_store_size(
  const xive_client *client, uint64_t offset, uint32_t size, uint64_t value);

// MARK: - Sources. E2BIG for a LISN beyond the device's; EBADF for a change when not writable.

/// Creates a source, or creates it again: PQ becomes 01. `flags`: KVM_XIVE_LEVEL_SENSITIVE and
/// KVM_XIVE_LEVEL_ASSERTED; EINVAL for others.
int xive_client_create_source(const xive_client *client, uint32_t lisn, uint64_t flags);

/// Triggers a source: one exact store to its trigger page, or to its only page.
int xive_client_trigger(const xive_client *client, uint32_t lisn);

/// Loads PQ without an effect: XIVE_PQ_*, or XIVE_ALL_ONES for a source that was never created.
int xive_client_pq(const xive_client *client, uint32_t lisn, uint64_t *pq);

/// Sets PQ to one of XIVE_PQ_* (EINVAL for others) and gives the old one, as xive_client_pq() does.
int xive_client_set_pq(
  const xive_client *client, uint32_t lisn, uint32_t pq, uint64_t *XIVE_CLIENT_NULLABLE old_pq);

/// Ends the interrupt by a load. `forwarded`: whether a queued event was sent on by it.
int xive_client_end_of_interrupt(
  const xive_client *client, uint32_t lisn, bool *XIVE_CLIENT_NULLABLE forwarded);

// MARK: - Mappings. Shared, and writable if the client is. A touch of a hole raises SIGBUS; a store
// takes effect at msync, or at the server's next tick. See "Page images" in xive.h.

/// Maps the kernel's window as a VMM does on the kernel's device. EINVAL for what the kernel's mmap
/// refuses: any page offset but KVM_XIVE_TIMA_PAGE_OFFSET (at most 4 pages) and
/// KVM_XIVE_ESB_PAGE_OFFSET (at most 2 for each source of the device), and an empty mapping.
/// Offset and count are in device pages.
xive_client_mapping *XIVE_CLIENT_NULLABLE xive_client_map_kernel_window(
  const xive_client *client, uint64_t page_offset, uint64_t page_count,
  int *XIVE_CLIENT_NULLABLE error);

/// Maps the two ESB pages of a source: trigger, then management. E2BIG as above.
xive_client_mapping *XIVE_CLIENT_NULLABLE xive_client_map_source(
  const xive_client *client, uint32_t lisn, int *XIVE_CLIENT_NULLABLE error);

/// Maps the four TIMA pages of the connected vCPU, in the order of XIVE_VIEW_*.
xive_client_mapping *XIVE_CLIENT_NULLABLE xive_client_map_tima(
  const xive_client *client, int *XIVE_CLIENT_NULLABLE error);

// Trapped windows. The same pages, in which every touch is one exact access of the device: a load or a store of 1, 2, 4
// or 8 bytes, of what the page takes, that has been performed when the next instruction runs. The process's handler of
// SIGSEGV is the library's from the first of them on; one that was there before takes what is no touch of a window, and
// a thread that touches one must not block that signal. What is absent or fenced loads all ones; what the device
// refuses (a size, an alignment, an offset without a page) and a server that is gone is SIGBUS at the accessed address,
// and so is an exchange or a locked operation, of which a bus to registers knows none. The mapping acts as the
// client's, or the vCPU's, descriptor and keeps that file open: a vCPU is connected until its TIMA is unmapped.
// ENOTSUP on other processors than x86-64.

/// As xive_client_map_kernel_window(), trapped.
xive_client_mapping *XIVE_CLIENT_NULLABLE xive_client_map_kernel_window_trapped(
  const xive_client *client, uint64_t page_offset, uint64_t page_count,
  int *XIVE_CLIENT_NULLABLE error);

/// As xive_client_map_source(), trapped.
xive_client_mapping *XIVE_CLIENT_NULLABLE xive_client_map_source_trapped(
  const xive_client *client, uint32_t lisn, int *XIVE_CLIENT_NULLABLE error);

/// As xive_client_map_tima(), trapped: of the client's own vCPU, which is none unless the caller connected it.
xive_client_mapping *XIVE_CLIENT_NULLABLE xive_client_map_tima_trapped(
  const xive_client *client, int *XIVE_CLIENT_NULLABLE error);

/// Unmaps the pages and frees the handle. NULL is no error.
void xive_client_unmap(xive_client_mapping *XIVE_CLIENT_NULLABLE mapping);

/// Where the first mapped page is.
void *xive_client_mapping_address(const xive_client_mapping *mapping);

/// How many bytes are mapped.
size_t xive_client_mapping_length(const xive_client_mapping *mapping);

// MARK: - Passthrough. What physical devices are and do, as the groups 0x40 to 0x42 in xive.h say.
// EINVAL for a PHB or an interrupt beyond the numbers of any device; EBADF for a change when not
// writable.

/// Adds a PHB: hot-plug. `shape->mapped`: 0. EEXIST; E2BIG for too many interrupts, EINVAL for none
/// and for other flags than XIVE_PHB_STORE_EOI.
int xive_client_add_phb(const xive_client *client, uint32_t phb, const struct xive_phb *shape);

/// Removes a PHB: hot-unplug. What is mapped is unmapped first. ENOENT.
int xive_client_remove_phb(const xive_client *client, uint32_t phb);

/// Asks about a PHB. ENOENT.
int xive_client_phb_status(const xive_client *client, uint32_t phb, struct xive_phb *status);

/// Has a PHB's interrupts serve the sources from `first_lisn` on, in place: all mappings of them show
/// the PHB's pages when it returns. `run->flags`: 0 or XIVE_PASSTHROUGH_PREFAULT. ENOENT no such PHB
/// or interrupt; EINVAL a source never created, a source or an interrupt mapped already, no
/// interrupts, or other flags; E2BIG beyond the device's sources.
int xive_client_map_passthrough(
  const xive_client *client, uint32_t first_lisn, const struct xive_passthrough *run);

/// Gives sources their own pages back. `run` as it was mapped. ENOENT what is not mapped so; EINVAL
/// and E2BIG as above.
int xive_client_unmap_passthrough(
  const xive_client *client, uint32_t first_lisn, const struct xive_passthrough *run);

/// Asks what serves a source. E2BIG beyond the device's sources; EINVAL never created.
int xive_client_passthrough_state(
  const xive_client *client, uint32_t lisn, struct xive_passthrough_state *state);

/// Does what the physical device does: XIVE_HWIRQ_*. ENOENT no such PHB or interrupt; EINVAL for
/// another operation, for a message of an LSI, and for the line of an interrupt that is none.
int xive_client_hwirq(const xive_client *client, uint32_t phb, uint32_t hwirq, uint32_t operation);

/// Asks for the state of an interrupt, mapped or not. ENOENT as above.
int xive_client_hwirq_state(
  const xive_client *client, uint32_t phb, uint32_t hwirq, struct xive_hwirq_state *state);

// MARK: - Guest's window. The other way to pass a device through: the PHB's own pages are mapped over
// the sources' pages, and those back over that place. Loads and stores go on meanwhile from any
// thread and find the page of before or the page of after, never a hole.

/// Maps the pages of `count` sources from `first_lisn` on, in XIVE_REGION_ESB or in
/// XIVE_REGION_KERNEL, which is mapped from source 0 on alone. The client need not stay open. E2BIG
/// beyond the device's sources; EINVAL for another region, no sources, or another start in the
/// kernel's.
xive_client_window *XIVE_CLIENT_NULLABLE xive_client_window_create(
  const xive_client *client, uint32_t region, uint32_t first_lisn, uint32_t count,
  int *XIVE_CLIENT_NULLABLE error);

/// As xive_client_window_create(), trapped, as "Trapped windows" above says. A run is plugged and unplugged in one step
/// for all of its sources; a hole loads all ones and drops what is stored. A forked child has it too.
xive_client_window *XIVE_CLIENT_NULLABLE xive_client_window_create_trapped(
  const xive_client *client, uint32_t region, uint32_t first_lisn, uint32_t count,
  int *XIVE_CLIENT_NULLABLE error);

/// Shows a PHB's own pages in place of those of the sources from `first_lisn` on, all or nothing: for
/// a message the same page as even and as odd page, for an LSI a hole and the page. `run->flags`: 0.
/// EEXIST where a run is plugged; ENOENT no such PHB or interrupt; EINVAL outside the window, no
/// interrupts, or other flags; ENOMEM at vm.max_map_count, of which a run takes one mapping more than
/// it has messages.
int xive_client_window_plug(
  const xive_client_window *window, uint32_t first_lisn, const struct xive_passthrough *run);

/// Brings the sources' own pages back. `run`: exactly what was plugged, else ENOENT. The PHB need not
/// be there any more.
int xive_client_window_unplug(
  const xive_client_window *window, uint32_t first_lisn, const struct xive_passthrough *run);

/// Where the window begins: two device pages for each source.
void *xive_client_window_address(const xive_client_window *window);

/// How many bytes are mapped.
size_t xive_client_window_length(const xive_client_window *window);

/// Unmaps the window and frees the handle. NULL is no error.
void xive_client_window_destroy(xive_client_window *XIVE_CLIENT_NULLABLE window);

// MARK: - Guest memory. Event queues lie in it; the device writes it at any time.

/// Creates memory of zeros, a memfd of a sealed size. The errors of memfd_create and mmap.
xive_client_memory *XIVE_CLIENT_NULLABLE xive_client_memory_create(
  size_t size, int *XIVE_CLIENT_NULLABLE error);

/// Maps `size` bytes of memory that the caller has already, from `offset` in the file behind `fd` on;
/// `fd` stays the caller's. The errors of mmap. The device takes only a memfd that is sealed against
/// shrinking.
xive_client_memory *XIVE_CLIENT_NULLABLE xive_client_memory_map(
  int fd, uint64_t offset, size_t size, int *XIVE_CLIENT_NULLABLE error);

/// Where the memory is mapped.
void *xive_client_memory_address(const xive_client_memory *memory);

/// Gives the memory up; it is unmapped when no queue uses it any more. NULL is no error.
void xive_client_memory_destroy(xive_client_memory *XIVE_CLIENT_NULLABLE memory);

/// Shows the device `size` bytes of the memory, from byte `offset` on, at a guest-physical address.
/// `slot`: below XIVE_MEMORY_SLOTS, else ENXIO. EEXIST when the slot is in use, or overlaps another one;
/// EINVAL when it is not in the memory, not whole pages, not sealed against shrinking, sealed against
/// writing, or of huge pages of the system's pool; EPERM when the server may not take descriptors of
/// this process; ENOMEM when all slots together would have more than 16 TiB, or the server cannot map it.
int xive_client_add_memory(
  const xive_client *client, uint32_t slot, uint64_t guest_address,
  const xive_client_memory *memory, uint64_t offset, uint64_t size);

/// Takes a slot's memory from the device; the queues in it are disabled. ENOENT when the slot
/// is empty; ENXIO.
int xive_client_remove_memory(const xive_client *client, uint32_t slot);

// MARK: - Queues and routes: where events go. Priorities are 0 to 6 (EINVAL for others); a server is
// one that a vCPU has connected as; EBADF for a change when not writable.

/// Gives a server a queue, or takes it away when `queue->qshift` is 0: group 4, so `queue` is as
/// KVM_DEV_XIVE_GRP_EQ_CONFIG takes it. ENOENT when no vCPU is connected as the server; EINVAL for a
/// server beyond the device's, for other flags and sizes than the kernel takes, and for an address
/// that is not aligned or not in a memory slot.
int xive_client_configure_queue(
  const xive_client *client, uint32_t server, uint32_t priority, const struct xive_eq *queue);

/// Asks for a server's queue; all zero when there is none. ENOENT and EINVAL as above.
int xive_client_queue_config(
  const xive_client *client, uint32_t server, uint32_t priority, struct xive_eq *queue);

/// Routes the events of a source to a server's queue, whose entries will say `eisn` (31 bits); masked:
/// drops them. EINVAL for a source that was never created and for a server as above or that has no
/// vCPU; EBUSY when no server has room in a queue for the priority; E2BIG beyond the device's sources.
int xive_client_configure_source(
  const xive_client *client, uint32_t lisn, uint32_t server, uint32_t priority, uint32_t eisn,
  bool masked);

/// Waits until the events of a source have reached their queue. EINVAL never created; E2BIG.
int xive_client_sync_source(const xive_client *client, uint32_t lisn);

/// Waits until all events have reached their queues.
int xive_client_sync_queues(const xive_client *client);

/// Masks all sources and disables all queues; sources and mappings stay. While no vCPU is connected the
/// machine starts over, as KVM_DEV_XIVE_RESET in xive.h says.
int xive_client_reset(const xive_client *client);

/// Limits server numbers to those below `count`, once: EBUSY for another number, and after the first vCPU
/// has connected; EINVAL for 0 and for more than any device has.
int xive_client_set_server_count(const xive_client *client, uint32_t count);

/// Asks for an END, or sets it, word by word: group 0x51, for what a queue's configuration does not
/// say. `index`: xive_end_index(). E2BIG for one that the device does not have; EINVAL as xive.h says.
int xive_client_end(const xive_client *client, uint32_t index, struct xive_end *end);
int xive_client_set_end(const xive_client *client, uint32_t index, const struct xive_end *end);

/// Asks what became of the events, and what guests did wrong.
int xive_client_delivery(const xive_client *client, struct xive_info_delivery *delivery);
int xive_client_guest_errors(const xive_client *client, struct xive_info_guest_errors *errors);

// MARK: - Event queue. Read in memory: no call to the device.

/// Takes a place in guest memory for a queue, from byte `offset` on, and keeps the memory. `shift`: log2
/// of its size in bytes, from 12 on; 16 for those of the kernel's attribute. `toggle` and `index`: where
/// to go on, as in struct xive_eq: the bit 31 that the next entry will have, at first 1, and its index.
/// What lies there stays. EINVAL for a queue that does not lie in the memory, or an index beyond it.
xive_client_queue *XIVE_CLIENT_NULLABLE xive_client_queue_create(
  const xive_client_memory *memory, uint64_t offset, uint32_t shift, uint32_t toggle,
  uint32_t index, int *XIVE_CLIENT_NULLABLE error);

/// Takes the next entry: true, and the event's EISN; false when there is none yet.
bool xive_client_queue_next(const xive_client_queue *queue, uint32_t *eisn);

/// Where the next entry will be, for xive_client_queue_create() or struct xive_eq.
void xive_client_queue_position(
  const xive_client_queue *queue, uint32_t *toggle, uint32_t *index);

/// Makes all entries old, as they must be before the queue is configured at this position.
void xive_client_queue_clear(const xive_client_queue *queue);

/// Frees the handle; NULL is no error.
void xive_client_queue_destroy(xive_client_queue *XIVE_CLIENT_NULLABLE queue);

// MARK: - vCPUs. What a guest's operating system does; every call is one exact access, or two for an
// end of interrupt.

/// Opens the device once more, connects that descriptor to a server, and pushes its OS context. EINVAL
/// for a server beyond the device's or the limit that was set; EEXIST when another descriptor is
/// connected to it; EPERM when the server may not look at descriptors of this process; and as
/// xive_client_open().
xive_client_vcpu *XIVE_CLIENT_NULLABLE xive_client_vcpu_connect(
  const char *path, uint32_t server, int *XIVE_CLIENT_NULLABLE error);

/// Closes the descriptor: the context is pulled, and the server number is free again, a moment later.
/// NULL is no error.
void xive_client_vcpu_disconnect(xive_client_vcpu *XIVE_CLIENT_NULLABLE vcpu);

/// The connected descriptor, for callers with their own epoll; the vCPU keeps it.
int xive_client_vcpu_fd(const xive_client_vcpu *vcpu);

/// Waits until an interrupt can be acknowledged, at most so many milliseconds, forever when negative.
/// True also when the server has gone, as the next call will say; false after the time or a signal.
bool xive_client_vcpu_wait(const xive_client_vcpu *vcpu, int milliseconds);

/// Acknowledges the most favored pending interrupt: the vCPU takes its priority, which is left in
/// `cppr`. `nsr`: has 0x80 if there was one.
int xive_client_vcpu_acknowledge(const xive_client_vcpu *vcpu, uint8_t *nsr, uint8_t *cppr);

/// Loads and stores the vCPU's own priority: only more favored interrupts, of lower numbers, are let
/// through. Stored above 7 it becomes 0xff, and all are.
int xive_client_vcpu_cppr(const xive_client_vcpu *vcpu, uint8_t *cppr);
int xive_client_vcpu_set_cppr(const xive_client_vcpu *vcpu, uint8_t cppr);

/// Loads the OS ring without an effect: NSR, CPPR, IPB, LSMFB, ACK#, INC, AGE, PIPR from the top byte on.
int xive_client_vcpu_ring(const xive_client_vcpu *vcpu, uint64_t *ring);

/// Makes a priority, 0 to 7 (EINVAL for others), pending as if its queue had got an event.
int xive_client_vcpu_set_pending(const xive_client_vcpu *vcpu, uint8_t priority);

/// Ends the interrupt of a source that sends messages: SET_PQ_00, and a trigger if an event came
/// meanwhile, which `again` tells. E2BIG beyond the device's sources.
int xive_client_vcpu_end_of_interrupt(
  const xive_client_vcpu *vcpu, uint32_t lisn, bool *XIVE_CLIENT_NULLABLE again);

/// Ends the interrupt of an LSI by a load, which has it come again while its line is held. `again`:
/// whether a queued event was forwarded. E2BIG as above.
int xive_client_vcpu_end_of_level_interrupt(
  const xive_client_vcpu *vcpu, uint32_t lisn, bool *XIVE_CLIENT_NULLABLE again);

/// Loads the state that the vCPU takes along when it is moved, or replaces it: KVM_GET_ONE_REG and
/// KVM_SET_ONE_REG of XIVE_REG_VP_STATE. `ring`: its OS ring with its NVT's backlog, as
/// xive_client_vcpu_ring() has it. EFAULT when the server may not reach this process's memory;
/// xive_client_vp_state() needs none of it.
int xive_client_vcpu_state(const xive_client_vcpu *vcpu, uint64_t *ring);
int xive_client_vcpu_set_state(const xive_client_vcpu *vcpu, uint64_t ring);

/// Maps the four TIMA pages of the vCPU, in the order of XIVE_VIEW_*, trapped, as "Trapped windows" above says: each
/// thread that runs a vCPU maps that vCPU's, and touches act on it, however many are connected. The mapping keeps the
/// vCPU connected.
xive_client_mapping *XIVE_CLIENT_NULLABLE xive_client_vcpu_map_tima_trapped(
  const xive_client_vcpu *vcpu, int *XIVE_CLIENT_NULLABLE error);

// MARK: - Scheduling. What a VMM does with any server's context, on any client. EINVAL for a server
// beyond the device's.

/// Pushes a server's OS context: it takes interrupts at once. Nothing happens to one that is not connected.
int xive_client_push_context(const xive_client *client, uint32_t server);

/// Pulls a server's OS context: events go to its NVT's backlog until it is pushed again. `was_pushed`:
/// whether it was. ENOENT when it is not connected.
int xive_client_pull_context(
  const xive_client *client, uint32_t server, bool *XIVE_CLIENT_NULLABLE was_pushed);

/// Looks at a server without an effect: its OS ring, and whether its context is pushed. ENOENT when it
/// is not connected.
int xive_client_context(
  const xive_client *client, uint32_t server, uint64_t *ring, bool *is_pushed);

// MARK: - Machine. Its size and addresses are set up once, before they are used; a reset while no vCPU is
// connected forgets them. EBADF for a change when not writable.

/// Limits source numbers to those below `count`. EBUSY for another number than the one that is set, and
/// when a source from there on exists; E2BIG for more than the device was started with; EINVAL for 0.
int xive_client_set_source_count(const xive_client *client, uint32_t count);

/// How many sources and servers there are: what was set, or what the device was started with.
int xive_client_source_count(const xive_client *client, uint32_t *count);
int xive_client_server_count(const xive_client *client, uint32_t *count);

/// Tells where a guest sees the TIMA or the ESB pages. `window`: XIVE_ADDRESS_* (EINVAL for others).
/// EINVAL for an address that is not a multiple of the device page, and for a window that ends beyond
/// 2^64 or overlaps the other one; EEXIST when it is set; EBUSY after the first vCPU has connected.
int xive_client_set_address(const xive_client *client, uint32_t window, uint64_t address);

/// Where a guest sees the TIMA or the ESB pages. ENXIO while that is not set; EINVAL as above.
int xive_client_address(const xive_client *client, uint32_t window, uint64_t *address);

/// Stops the machine, or lets it run again. While it is stopped events stay at their sources, and are
/// delivered, once, when it runs; none is under way when this returns.
int xive_client_set_running(const xive_client *client, bool running);
int xive_client_is_running(const xive_client *client, bool *running);

// MARK: - State. For save and restore; of a machine that is stopped it is a picture of one moment.

/// Reads or sets the state of `count` sources from `first_lisn` on, at memory speed: any count is one call.
/// E2BIG beyond the device's sources; EINVAL for a record that does not fit, as XIVE_REGION_STATE in
/// xive.h says: it is checked for a mebibyte of records at a time, of which none is set then.
int xive_client_source_states(
  const xive_client *client, uint32_t first_lisn, size_t count, struct xive_source_state *states);
int xive_client_set_source_states(
  const xive_client *client, uint32_t first_lisn, size_t count,
  const struct xive_source_state *states);

/// Reads or sets the state of a server's vCPU, connected or not. EINVAL for a server beyond the device's,
/// and, when set, for flags.
int xive_client_vp_state(const xive_client *client, uint32_t server, struct xive_vp *state);
int xive_client_set_vp_state(
  const xive_client *client, uint32_t server, const struct xive_vp *state);

// MARK: - Injection by eventfd. A handle keeps its eventfds assigned, and the device open; the descriptors
// stay the caller's to close. For all three: E2BIG beyond the device's sources; EINVAL for a source that was
// never created, and for a descriptor that is no eventfd; EBADF for one that is not open, and when the client
// is not writable; EBUSY for an eventfd that is assigned; EPERM when the server may not take it; EMFILE,
// ENOMEM when this process, or the server, has no descriptors left.

/// Triggers a source at each event of `fd`; at once when its counter is above zero. EINVAL for an LSI,
/// whose line nothing would ever lower.
xive_client_irqfd *XIVE_CLIENT_NULLABLE xive_client_irqfd_assign(
  const xive_client *client, uint32_t lisn, int fd, int *XIVE_CLIENT_NULLABLE error);

/// Raises the line of an LSI at each event of `fd`. When the guest ends the interrupt, the lines of all
/// irqfds there are lowered, and each `resample_fd` is raised: who still wants attention raises `fd`
/// again. EINVAL for a source that sends messages, whose end is never told.
xive_client_irqfd *XIVE_CLIENT_NULLABLE xive_client_irqfd_assign_level(
  const xive_client *client, uint32_t lisn, int fd, int resample_fd,
  int *XIVE_CLIENT_NULLABLE error);

/// Raises `resample_fd` each time that the guest ends an LSI's interrupt. EINVAL as above.
xive_client_irqfd *XIVE_CLIENT_NULLABLE xive_client_irqfd_notify_ends(
  const xive_client *client, uint32_t lisn, int resample_fd, int *XIVE_CLIENT_NULLABLE error);

/// Takes the eventfd from the device and frees the handle; nothing comes of it after that. NULL is no
/// error.
void xive_client_irqfd_deassign(xive_client_irqfd *XIVE_CLIENT_NULLABLE irqfd);

// MARK: - Lines and messages. EINVAL for a source that was never created, or that is mapped to hardware,
// where its events come from; EBADF when not writable.

/// Raises or lowers the line of an LSI, whatever irqfds hold there; raising that of a source that sends
/// messages triggers it. `delivered`: whether an event came of it. E2BIG beyond the device's sources.
int xive_client_set_line(
  const xive_client *client, uint32_t lisn, bool asserted, bool *XIVE_CLIENT_NULLABLE delivered);

/// Routes messages of a device, group 0x43: `requester` is its id. `msi->count` must not be 0 (EINVAL).
/// EEXIST when another route of the requester has some of them; EINVAL also for an LSI; E2BIG beyond the
/// device's sources.
int xive_client_add_msi(
  const xive_client *client, uint32_t requester, const struct xive_msi *msi);

/// Removes the route that begins with that message. ENOENT.
int xive_client_remove_msi(
  const xive_client *client, uint32_t requester, uint64_t address, uint32_t first_data);

/// Asks where a message goes, without sending it. ENOENT when nothing takes it.
int xive_client_msi_route(
  const xive_client *client, uint32_t requester, uint64_t address, uint32_t data,
  struct xive_msi_route *route);

/// Sends a message. `delivered`: whether an event came of it; false when its source is off or masked.
/// ENOENT when nothing takes it.
int xive_client_signal_msi(
  const xive_client *client, uint32_t requester, uint64_t address, uint32_t data,
  bool *XIVE_CLIENT_NULLABLE delivered);

/// Asks what came from irqfds, lines and messages.
int xive_client_injection(const xive_client *client, struct xive_info_injection *injection);

#ifdef __cplusplus
}
#endif

#ifdef __clang__
#pragma clang assume_nonnull end
#pragma clang diagnostic pop
#endif
#undef XIVE_CLIENT_NULLABLE

#endif
