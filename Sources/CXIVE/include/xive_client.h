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
/// it is closed or unmapped. Handles and pointers must be valid; NULL only where this header says so.
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

#ifdef __cplusplus
}
#endif

#ifdef __clang__
#pragma clang assume_nonnull end
#pragma clang diagnostic pop
#endif
#undef XIVE_CLIENT_NULLABLE

#endif
