/// The ABI of a xive device file: offsets, page layout, requests and their payloads.
///
/// Self-contained: copy it into any C11 or C++ program on Linux. The device is one file of constant
/// size; `offset >> XIVE_REGION_SHIFT` selects a region. Registers are big-endian, as the
/// hardware's; request payloads are in the byte order of the host.
///
/// The device also answers KVM's own requests, with KVM's numbers and structures, which are in
/// <linux/kvm.h> and are not repeated here: KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR and
/// KVM_HAS_DEVICE_ATTR (struct kvm_device_attr), KVM_ENABLE_CAP (KVM_CAP_PPC_IRQ_XIVE),
/// KVM_GET_ONE_REG, KVM_SET_ONE_REG, KVM_IRQFD, KVM_IRQ_LINE and KVM_SIGNAL_MSI. Only powerpc's
/// <asm/kvm.h> has the constants of the XIVE device itself, so those are defined here wherever that
/// header has not done it. Their spelling is the same, so that either order of inclusion works.
///
/// Its own requests are XIVE_SET_ATTR and XIVE_GET_ATTR, which are the attributes with their payload inline,
/// and XIVE_MAILBOX, by which exact accesses are made without system calls.
///
/// This header is the whole ABI; the device grows into it. All of it is there but group 0x46. Any other
/// request is ENOTTY, any other group ENXIO. A request that changes something needs a descriptor that is
/// open for writing (EBADF).
///
/// KVM_ENABLE_CAP with KVM_CAP_PPC_IRQ_XIVE, flags 0, args[0] any descriptor of this device and args[1]
/// a server connects the descriptor that it is asked on to that server's vCPU. EINVAL another
/// capability, a flag, or a server beyond NR_SERVERS; EBADF args[0] is not open, or the descriptor is
/// not writable; EPERM args[0] is another file's, or the device may not look; EBUSY the descriptor is
/// connected; EEXIST the server is. The last close disconnects.
///
/// KVM_GET_ONE_REG and KVM_SET_ONE_REG with XIVE_REG_VP_STATE, on a connected descriptor. EINVAL another
/// register; ENXIO not connected; EFAULT.
///
/// KVM_IRQFD: gsi is the LISN. Without a flag each event of the eventfd `fd` triggers a message source.
/// With KVM_IRQFD_FLAG_RESAMPLE it raises the line of an LSI; when the guest ends the interrupt, all lines
/// that irqfds hold there are lowered together and each `resamplefd` is raised. `fd` -1 with that flag is
/// told of the end alone. An eventfd whose counter is above zero fires at once. KVM_IRQFD_FLAG_DEASSIGN
/// returns when nothing more can come of it; a pair that is not assigned by this descriptor is no error, and
/// stays as it is. All irqfds go with the last reference to the descriptor that assigned them. EINVAL
/// another flag, no eventfd, a LISN that was never created; an eventfd without a resamplefd on an LSI
/// (nothing would ever lower it); a resamplefd on a message source (its end is never told); EBADF a
/// descriptor that is not open; EBUSY the eventfd is assigned already; EPERM the server may not take it;
/// ENOMEM no descriptors left, or XIVE_MAX_SHARING on a line.
///
/// KVM_IRQ_LINE and KVM_IRQ_LINE_STATUS: `irq` is the LISN. Level 1 raises an LSI's line, level 0 lowers
/// it, whatever irqfds hold; to a message source level 1 is a trigger. KVM_SIGNAL_MSI: flags
/// KVM_MSI_VALID_DEVID, devid the requester of group 0x43; 1 when an event came of it, 0 when the source is
/// off or masked; EINVAL without that flag; ENOENT nothing takes the message. All three: EINVAL a source
/// that was never created, or that is mapped to hardware, whose events come from there.
///
/// KVM_CHECK_EXTENSION answers 1 for what of this KVM has capabilities for, else 0.
#ifndef XIVE_H
#define XIVE_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <stdint.h>

// Strict ISO C (-std=c11 without a feature macro) has no pread: the accessors are left out there.
#if !defined XIVE_NO_INLINE_ACCESS && defined __STRICT_ANSI__ && !defined _GNU_SOURCE              \
  && !defined _DEFAULT_SOURCE && !defined _XOPEN_SOURCE && !defined _POSIX_C_SOURCE
#define XIVE_NO_INLINE_ACCESS
#endif

#ifndef XIVE_NO_INLINE_ACCESS
#include <errno.h>
#include <unistd.h>
#endif

#ifdef __cplusplus
#define XIVE_STATIC_ASSERT(condition, message) static_assert(condition, message)
extern "C" {
#else
#define XIVE_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#endif

/// Fails the build when a structure does not have the size that the device expects, in bytes.
#define XIVE_ASSERT_SIZE(type, size) XIVE_STATIC_ASSERT(sizeof(type) == (size), #type ": size")

// MARK: - Device file

/// Bits below the region number of a device offset: a region is 1 TiB.
/// As VFIO_PCI_OFFSET_SHIFT in Linux include/linux/vfio_pci_core.h: regions indexed by offset.
#define XIVE_REGION_SHIFT 40

/// Size of the device file in bytes. Constant: neither sources nor PHBs change it.
#define XIVE_DEVICE_SIZE 0x4000000000000000ULL

/// Region 0: the window of the in-kernel device. TIMA of the connected vCPU, ESB pages behind it.
#define XIVE_REGION_KERNEL 0u
/// Region 1: ESB pages, 2 device pages per LISN: 2n trigger, 2n+1 management.
#define XIVE_REGION_ESB 1u
/// Region 2: END ESB pages, 2 device pages per END: 2i ESn, 2i+1 ESe. Index: xive_end_index().
#define XIVE_REGION_END 2u
/// Region 3: TIMA windows, 4 device pages per server, in the order of the XIVE_VIEW_ constants.
#define XIVE_REGION_TIMA 3u
/// Region 16 + k: the ESB pages of PHB k, 1 device page per hardware interrupt.
#define XIVE_REGION_PHB 16u
/// Region 0x1000: source state in bulk, a struct xive_source_state per LISN, by exact access. Loads of any
/// size; stores of whole records, checked (EINVAL) before any of them is taken.
#define XIVE_REGION_STATE 0x1000u
/// Region 0x1001: trace records, a struct xive_trace_record each, at sequence number * XIVE_TRACE_SIZE, by
/// exact loads of whole records; see "Trace records". The regions behind it belong to it, up to
/// XIVE_REGION_TRACE_END, for a terabyte ends at sequence number 2^34.
#define XIVE_REGION_TRACE 0x1001u
#define XIVE_REGION_TRACE_END 0x2000u

/// Bytes of state per LISN in XIVE_REGION_STATE.
#define XIVE_STATE_SIZE 16u
/// Bytes per trace record in XIVE_REGION_TRACE.
#define XIVE_TRACE_SIZE 64u

#ifndef KVM_XIVE_TIMA_PAGE_OFFSET
/// Where the four TIMA pages start in region 0, in device pages.
/// Linux arch/powerpc/include/uapi/asm/kvm.h, KVM_XIVE_TIMA_PAGE_OFFSET.
#define KVM_XIVE_TIMA_PAGE_OFFSET 0
#endif
#ifndef KVM_XIVE_ESB_PAGE_OFFSET
/// Where the ESB pages start in region 0, in device pages.
/// Linux arch/powerpc/include/uapi/asm/kvm.h, KVM_XIVE_ESB_PAGE_OFFSET.
#define KVM_XIVE_ESB_PAGE_OFFSET 4
#endif

/// Most sources of one device; a LISN is below it. Linux arch/powerpc/kvm/book3s_xive.h and
/// book3s_xics.h: 1,024 blocks of 1,024 sources.
#define XIVE_MAX_SOURCES 1048576u
/// Sources in one block, the unit in which the kernel's device allocates them (same source).
#define XIVE_SOURCES_PER_BLOCK 1024u
/// Most PHBs of one device.
#define XIVE_MAX_PHBS 1024u
/// Most irqfds that share the line of one LSI.
#define XIVE_MAX_SHARING 256u
/// Most hardware interrupts of one PHB, MSIs and LSIs together.
#define XIVE_MAX_PHB_IRQS 65536u
/// Priorities of one server, hence ENDs per server. QEMU include/hw/ppc/xive.h: 3 bits.
#define XIVE_PRIORITIES 8u

/// Most routes of messages (XIVE_GROUP_MSI) of one requester, the size of the largest MSI-X table, and of all.
#define XIVE_MAX_REQUESTER_ROUTES 2048u
#define XIVE_MAX_ROUTES 65536u

// MARK: - ESB pages

/// Halves of a source's page pair. Linux Documentation/virt/kvm/devices/xive.rst: the even page
/// triggers, the odd page is for EOI, here called management.
#define XIVE_TRIGGER 0u
#define XIVE_MANAGEMENT 1u

/// Halves of an END's page pair. QEMU hw/intc/xive.c: even page ESn, odd page ESe.
#define XIVE_END_NOTIFY 0u
#define XIVE_END_ESCALATE 1u

/// Offsets in a management page, in bytes. The low 12 bits of an address decode, and each operation
/// has a range of 256 bytes or more. Linux arch/powerpc/include/asm/xive-regs.h, XIVE_ESB_*.
///
/// Load at 0x000-0x7ff: end of interrupt. 1 when a queued event was sent on by it, else 0.
#define XIVE_ESB_LOAD_EOI 0x000u
/// Store at 0x400-0x7ff: end of interrupt, if the device has XIVE_INFO_STORE_EOI. Data is ignored.
#define XIVE_ESB_STORE_EOI 0x400u
/// Load at 0x800-0xbff: PQ, unchanged.
#define XIVE_ESB_GET 0x800u
/// Loads: the old PQ, and PQ becomes 00, 01, 10, 11. Stores: PQ becomes the same. Neither notifies.
#define XIVE_ESB_SET_PQ_00 0xc00u
#define XIVE_ESB_SET_PQ_01 0xd00u
#define XIVE_ESB_SET_PQ_10 0xe00u
#define XIVE_ESB_SET_PQ_11 0xf00u
/// Distance from one SET_PQ operation to the next: XIVE_ESB_SET_PQ_00 + PQ * this, in bytes.
#define XIVE_ESB_SET_PQ_STEP 0x100u

/// Values of PQ: bit 1 is P (presented), bit 0 is Q (queued).
/// Linux arch/powerpc/include/asm/xive-regs.h, XIVE_ESB_VAL_P and XIVE_ESB_VAL_Q.
#define XIVE_PQ_RESET 0u
#define XIVE_PQ_OFF 1u
#define XIVE_PQ_PENDING 2u
#define XIVE_PQ_QUEUED 3u

/// What a load gives when there is no state to give: a fenced PHB, a forbidden access, a byte of a
/// page image that only a side effect could produce. Linux takes the low byte 0xff for it
/// (XIVE_ESB_INVALID in xive-regs.h).
#define XIVE_ALL_ONES 0xffffffffffffffffULL

// MARK: - TIMA pages

/// Views of a server's TIMA: which device page of its four.
/// Linux Documentation/virt/kvm/devices/xive.rst; QEMU include/hw/ppc/xive_regs.h.
#define XIVE_VIEW_HW 0u
#define XIVE_VIEW_HV 1u
#define XIVE_VIEW_OS 2u
#define XIVE_VIEW_USER 3u
/// Device pages in one TIMA window.
#define XIVE_VIEWS 4u

/// Offsets in a TIMA page, in bytes, with the access each takes. QEMU include/hw/ppc/xive_regs.h.
///
/// OS ring: NSR, CPPR, IPB, LSMFB, ACK#, INC, AGE, PIPR, one byte each. 8-byte load.
#define XIVE_TIMA_OS_RING 0x010u
/// CPPR of the OS ring. 1-byte load or store.
#define XIVE_TIMA_OS_CPPR 0x011u
/// Word 2 of the OS ring; a 4-byte store in the HV view pushes the OS context.
#define XIVE_TIMA_OS_WORD2 0x018u
/// CPPR of the physical ring. 1-byte store, HV view.
#define XIVE_TIMA_HV_CPPR 0x031u
/// Whether the physical thread takes interrupts: 0x80 or 0. 1-byte load or store, HV view.
#define XIVE_TIMA_THREAD_VALID 0x038u
/// 1-byte load, user view: takes the event-based branch; the user ring's NSR.
#define XIVE_TIMA_ACK_USER 0x800u
/// 4-byte store, OS view: pushes the user context; 4-byte load: pulls it.
#define XIVE_TIMA_USER_CONTEXT 0x808u
/// 4- or 8-byte load, HV view: pulls the pool context, gives the old word 2.
#define XIVE_TIMA_PULL_POOL 0x828u
/// 2-byte load, HV view: acknowledges the hypervisor's interrupt; NSR << 8 | CPPR.
#define XIVE_TIMA_ACK_HV 0x830u
/// 2-byte load, OS view: acknowledges; NSR << 8 | CPPR.
#define XIVE_TIMA_ACK_OS 0x810u
/// 1-byte store, OS view: makes the priority that is stored pending.
#define XIVE_TIMA_SET_OS_PENDING 0x812u
/// 4- or 8-byte load, HV view: pulls the OS context, gives the old word 2.
#define XIVE_TIMA_PULL_OS 0x818u

// MARK: - Page images

/// Where the signature is in each 4 KiB of a mapped page, in bytes. Exact accesses never see it.
#define XIVE_SIGNATURE_OFFSET 0xfc0u

/// `magic` of a signature once in host order: "XIVEPAGE".
#define XIVE_SIGNATURE_MAGIC 0x5849564550414745ULL

/// What serves a page, `backing` of a signature: the source's own page, a PHB's, a TIMA, an END.
#define XIVE_BACKING_IPI 0u
#define XIVE_BACKING_PHB 1u
#define XIVE_BACKING_TIMA 2u
#define XIVE_BACKING_END 3u

/// Which page a mapping shows. All fields are big-endian. Only page images have it.
struct xive_page_signature {
  __be64 magic;          ///< XIVE_SIGNATURE_MAGIC
  __be32 lisn;           ///< the source's number; 0xffffffff for a page of no source
  __be32 half;           ///< XIVE_TRIGGER or XIVE_MANAGEMENT; for a TIMA page XIVE_VIEW_*
  __be32 backing;        ///< XIVE_BACKING_*
  __be32 phb;            ///< which PHB, if that is the backing
  __be32 hwirq;          ///< hardware interrupt of that PHB; a TIMA's server; an END's index
  __be32 zero;
  __be64 generation;     ///< from 1, grows with each change of the backing; of a PHB's own page: with
                         ///< each PHB that is plugged at that index; of a TIMA page: with each
                         ///< connection of its server; 0: an END's, or a TIMA's that nobody is behind
  __be64 device_offset;  ///< the page's place in the device file, in bytes
  __be64 zero2[2];
};
XIVE_ASSERT_SIZE(struct xive_page_signature, 64);

// MARK: - Requests

/// Bytes of payload in struct xive_attr.
#define XIVE_ATTR_DATA_SIZE 112u

/// An attribute with its payload inline, for callers whose memory the server may not read.
/// The same groups and attributes as KVM_SET_DEVICE_ATTR and KVM_GET_DEVICE_ATTR take.
struct xive_attr {
  __u32 flags;                      ///< 0
  __u32 group;                      ///< KVM_DEV_XIVE_GRP_* or XIVE_GROUP_*
  __u64 attr;                       ///< meaning depends on the group
  __u8 data[XIVE_ATTR_DATA_SIZE];   ///< the group's structure at byte 0; clear the rest
};
XIVE_ASSERT_SIZE(struct xive_attr, 128);

/// Sets an attribute. Errors: ENXIO unknown group or attribute, EINVAL malformed payload, and those
/// of the group.
#define XIVE_SET_ATTR _IOWR('X', 1, struct xive_attr)
/// Reads an attribute into `data`, which on entry holds the query of groups that have one.
#define XIVE_GET_ATTR _IOWR('X', 2, struct xive_attr)

/// The same two numbers as constants, for languages that cannot import the macros.
static const uint32_t xive_set_attr_request = XIVE_SET_ATTR;
static const uint32_t xive_get_attr_request = XIVE_GET_ATTR;

/// Register id of a vCPU's XIVE state for KVM_GET_ONE_REG and KVM_SET_ONE_REG: 16 bytes, the first
/// 8 are words 0 and 1 of the OS ring as a big-endian register image, the rest is unused.
/// Linux arch/powerpc/include/uapi/asm/kvm.h, KVM_REG_PPC_VP_STATE.
#define XIVE_REG_VP_STATE 0x104000000000008dULL

// MARK: - Mailbox

/// A shorter way to the device than a system call: memory that the server looks into while it is awake anyway.
///
/// An access by it is what pread() or pwrite() of the same size on the same descriptor is, with the same result. The
/// caller creates a memfd of XIVE_MAILBOX_SIZE bytes that is sealed against shrinking and hands it over with XIVE_MAILBOX
/// on the descriptor that the accesses belong to; afterwards it need not stay open. A descriptor may have several; all go
/// with its last reference. Where there is none, and whenever nobody takes an access, the caller makes its system call.
///
/// The caller, for each access of 1 to 8 bytes that ends within XIVE_DEVICE_SIZE:
/// 1. looks at `awake`: at 0 the system call is made instead;
/// 2. claims a slot, FREE to CLAIMED, fills it in, makes it POSTED, sets its bit in `posted`, and after a full barrier
///    looks at `awake` once more: at 0 it takes the slot back, as in step 3;
/// 3. waits for DONE or RETURNED, for a moment only while the slot is POSTED: then it takes the slot back, POSTED to CLAIMED
///    by compare-and-swap, and makes the system call. Should that fail, the server has it: the server may die, which
///    poll() on the descriptor tells (POLLERR);
/// 4. reads the result and sets the slot FREE.
#define XIVE_MAILBOX_VERSION 1u
/// Bytes of a mailbox, from the start of its memfd.
#define XIVE_MAILBOX_SIZE 4096u
/// Slots of a mailbox: accesses under way at once.
#define XIVE_MAILBOX_SLOTS 32u
/// Most mailboxes of a server.
#define XIVE_MAX_MAILBOXES 64u
/// In `posted`: the caller has done with the mailbox; the server forgets it.
#define XIVE_MAILBOX_LEFT (1ULL << 63)

/// `state` of a slot: nobody's; the caller's; the server's to take; taken; done, with its `result`; not performed, and the
/// system call has to be made.
#define XIVE_SLOT_FREE 0u
#define XIVE_SLOT_CLAIMED 1u
#define XIVE_SLOT_POSTED 2u
#define XIVE_SLOT_TAKEN 3u
#define XIVE_SLOT_DONE 4u
#define XIVE_SLOT_RETURNED 5u

/// `operation` of a slot.
#define XIVE_SLOT_LOAD 0u
#define XIVE_SLOT_STORE 1u

/// One access, a cache line. All fields but the state belong to the caller while it is CLAIMED, and to the server while
/// it is POSTED or TAKEN.
struct xive_mailbox_slot {
  __u32 state;      ///< XIVE_SLOT_*
  __s32 result;     ///< bytes loaded or stored, or -errno
  __u64 offset;     ///< device offset, in bytes
  __u8 bytes[8];    ///< the register, from byte 0 on, in the order in which pread() gives it
  __u8 operation;   ///< XIVE_SLOT_LOAD or XIVE_SLOT_STORE
  __u8 size;        ///< of the register, in bytes: 1 to 8
  __u16 zero;
  __u32 tid;        ///< the thread that waits, as gettid() gives it; for trace records
  __u64 zero2[4];
};
XIVE_ASSERT_SIZE(struct xive_mailbox_slot, 64);

/// What the memfd holds.
struct xive_mailbox_page {
  __u32 awake;      ///< 1 while the server looks at `posted`; it alone writes it
  __u32 zero;
  __u64 posted;     ///< bit i: slot i may be POSTED; callers set bits, the server clears them
  __u64 zero2[6];
  struct xive_mailbox_slot slots[XIVE_MAILBOX_SLOTS];
};
XIVE_ASSERT_SIZE(struct xive_mailbox_page, 64 * (1 + XIVE_MAILBOX_SLOTS));

/// The payload of XIVE_MAILBOX.
struct xive_mailbox {
  __u32 version;    ///< XIVE_MAILBOX_VERSION
  __u32 flags;      ///< 0
  __s32 fd;         ///< the memfd
  __u32 zero;
};
XIVE_ASSERT_SIZE(struct xive_mailbox, 16);

/// Hands a mailbox over. EINVAL another version, a flag, no memfd, one that can shrink or that is too small;
/// EBADF `fd` is not open; EPERM the server may not take it; ENOMEM XIVE_MAX_MAILBOXES.
#define XIVE_MAILBOX _IOW('X', 3, struct xive_mailbox)

// MARK: - The kernel's groups

// All of this section: Linux arch/powerpc/include/uapi/asm/kvm.h, same names; behaviour in
// Documentation/virt/kvm/devices/xive.rst.

#ifndef KVM_DEV_XIVE_GRP_CTRL
/// Group 1, controls. Set only; the attribute is one of the three below.
#define KVM_DEV_XIVE_GRP_CTRL 1
/// Masks all sources and disables all queues. While no vCPU is connected the machine starts over: what a
/// VMM has set up is forgotten, too (groups 0x43, 0x44, 0x45, NR_SERVERS, NR_SOURCES, VP states, which
/// sources are LSIs), and it runs. No payload.
#define KVM_DEV_XIVE_RESET 1
/// Waits until events in flight have reached their queues. No payload. (The kernel's also marks the
/// queues' pages dirty; here they are the VMM's own memory.)
#define KVM_DEV_XIVE_EQ_SYNC 2
/// Limits server numbers, once: EBUSY for another value, and after the first vCPU. Payload: __u32.
#define KVM_DEV_XIVE_NR_SERVERS 3
/// Group 2: creates or resets source `attr`. Set only. Payload: __u64, KVM_XIVE_LEVEL_*.
#define KVM_DEV_XIVE_GRP_SOURCE 2
/// Group 3: routes source `attr`. Set only. Payload: __u64, see xive_source_config().
#define KVM_DEV_XIVE_GRP_SOURCE_CONFIG 3
/// Group 4: the event queue named by `attr`, see xive_eq_id(). Payload: struct xive_eq.
#define KVM_DEV_XIVE_GRP_EQ_CONFIG 4
/// Group 5: waits until events of source `attr` have reached their queue. Set only. No payload.
#define KVM_DEV_XIVE_GRP_SOURCE_SYNC 5
#endif

#ifndef KVM_XIVE_LEVEL_SENSITIVE
/// Group 2 payload: the source is an LSI.
#define KVM_XIVE_LEVEL_SENSITIVE (1ULL << 0)
/// Group 2 payload: the LSI is asserted.
#define KVM_XIVE_LEVEL_ASSERTED (1ULL << 1)
#endif

#ifndef KVM_XIVE_SOURCE_PRIORITY_SHIFT
/// Group 3 payload: priority in bits 2-0, server in 31-3, masked in 32, EISN in 63-33.
#define KVM_XIVE_SOURCE_PRIORITY_SHIFT 0
#define KVM_XIVE_SOURCE_PRIORITY_MASK 0x7
#define KVM_XIVE_SOURCE_SERVER_SHIFT 3
#define KVM_XIVE_SOURCE_SERVER_MASK 0xfffffff8ULL
#define KVM_XIVE_SOURCE_MASKED_SHIFT 32
#define KVM_XIVE_SOURCE_MASKED_MASK 0x100000000ULL
#define KVM_XIVE_SOURCE_EISN_SHIFT 33
#define KVM_XIVE_SOURCE_EISN_MASK 0xfffffffe00000000ULL
#endif

#ifndef KVM_XIVE_EQ_PRIORITY_SHIFT
/// Group 4 attribute: priority in bits 2-0, server in 31-3.
#define KVM_XIVE_EQ_PRIORITY_SHIFT 0
#define KVM_XIVE_EQ_PRIORITY_MASK 0x7
#define KVM_XIVE_EQ_SERVER_SHIFT 3
#define KVM_XIVE_EQ_SERVER_MASK 0xfffffff8ULL
#endif

#ifndef KVM_XIVE_EQ_ALWAYS_NOTIFY
/// The one flag of struct xive_eq; must be set unless the queue is reset.
#define KVM_XIVE_EQ_ALWAYS_NOTIFY 0x00000001
#endif

/// Group 4 payload. Linux arch/powerpc/include/uapi/asm/kvm.h, struct kvm_ppc_xive_eq.
struct xive_eq {
  __u32 flags;    ///< KVM_XIVE_EQ_ALWAYS_NOTIFY
  __u32 qshift;   ///< log2 of the size in bytes: 16; 0 resets the queue
  __u64 qaddr;    ///< guest-physical address, aligned to the size
  __u32 qtoggle;  ///< generation bit of the next entry
  __u32 qindex;   ///< index of the next entry
  __u8 pad[40];
};
XIVE_ASSERT_SIZE(struct xive_eq, 64);

// MARK: - Own groups

/// Group 0x40: PHB `attr`, 0..XIVE_MAX_PHBS-1. Set and get: struct xive_phb.
#define XIVE_GROUP_PHB 0x40u
/// Group 0x41: passthrough from LISN `attr` on. Set: struct xive_passthrough. Get: struct
/// xive_passthrough_state of that LISN.
#define XIVE_GROUP_PASSTHROUGH 0x41u
/// Group 0x42: the interrupt named by `attr`, see xive_hwirq_attr(). Set: struct xive_hwirq, what
/// the physical device does. Get: struct xive_hwirq_state.
#define XIVE_GROUP_HWIRQ 0x42u
/// Group 0x43: messages of requester id `attr`. Set: struct xive_msi. Get: struct xive_msi_query
/// in, struct xive_msi_route out.
#define XIVE_GROUP_MSI 0x43u
/// Group 0x44: guest-physical address of window `attr`, XIVE_ADDRESS_*. Set and get: struct
/// xive_address.
#define XIVE_GROUP_ADDRESS 0x44u
/// Group 0x45: guest RAM for event queues, slot `attr`, 0..XIVE_MEMORY_SLOTS-1. Set and get: struct
/// xive_memory.
#define XIVE_GROUP_MEMORY 0x45u
/// Group 0x46 is reserved for state tables in memory of the caller.
#define XIVE_GROUP_TABLES 0x46u
/// Group 0x50: what the device is and has done. Get only. `attr` is one of XIVE_INFO_*.
#define XIVE_GROUP_INFO 0x50u
/// Group 0x51: END `attr` as firmware writes it, see xive_end_index(). Set and get: struct xive_end.
/// For what group 4 does not offer: coalescing, escalation, silence, other queue sizes.
#define XIVE_GROUP_END 0x51u

/// xive_phb.flags: the PHB's pages take StoreEOI.
#define XIVE_PHB_STORE_EOI 1u

/// Adds or, all zero, removes a PHB. Hardware interrupts: the MSIs from 0, then the LSIs.
/// EEXIST, ENOENT; E2BIG above XIVE_MAX_PHB_IRQS.
struct xive_phb {
  __u32 nr_msis;
  __u32 nr_lsis;
  __u32 flags;   ///< XIVE_PHB_*
  __u32 mapped;  ///< set: 0; get: how many of its interrupts are mapped
};
XIVE_ASSERT_SIZE(struct xive_phb, 16);

/// xive_passthrough.flags: unmap instead of map.
#define XIVE_PASSTHROUGH_UNMAP 1u
/// xive_passthrough.flags: fill the page cache with the new pages before the answer.
#define XIVE_PASSTHROUGH_PREFAULT 2u

/// Maps or unmaps `count` consecutive LISNs, all or nothing. Answered once no page of the old backing
/// can be reached. ENOENT no such PHB, interrupt or mapping; EINVAL nothing to map, a source never
/// created, a source or an interrupt mapped already; E2BIG LISN out of range.
struct xive_passthrough {
  __u32 phb;
  __u32 first_hwirq;
  __u32 count;
  __u32 flags;  ///< XIVE_PASSTHROUGH_*
};
XIVE_ASSERT_SIZE(struct xive_passthrough, 16);

/// What one LISN is mapped to.
struct xive_passthrough_state {
  __u32 phb;
  __u32 hwirq;
  __u32 mapped;  ///< 1 mapped, 0 on the source's own pages
  __u32 zero;
  __u64 generation;  ///< grows with each map and unmap
};
XIVE_ASSERT_SIZE(struct xive_passthrough_state, 24);

/// xive_hwirq.op: send one message; raise or lower the line of an LSI; fence or unfence the whole
/// PHB, whose pages give all ones meanwhile.
#define XIVE_HWIRQ_TRIGGER 1u
#define XIVE_HWIRQ_ASSERT 2u
#define XIVE_HWIRQ_DEASSERT 3u
#define XIVE_HWIRQ_FENCE 4u
#define XIVE_HWIRQ_UNFENCE 5u

/// What the physical device does.
struct xive_hwirq {
  __u32 op;  ///< XIVE_HWIRQ_*
  __u32 zero;
};
XIVE_ASSERT_SIZE(struct xive_hwirq, 8);

/// State of one hardware interrupt.
struct xive_hwirq_state {
  __u32 pq;        ///< XIVE_PQ_*
  __u32 asserted;  ///< 1 while the line of an LSI is high
};
XIVE_ASSERT_SIZE(struct xive_hwirq_state, 8);

/// Routes a device's messages: `data` first_data + i at `address` triggers LISN first_lisn + i. EEXIST
/// shares messages with another route of the requester; E2BIG LISNs out of range; EINVAL data beyond 32
/// bits, a source that was never created, or is an LSI; ENOMEM beyond XIVE_MAX_REQUESTER_ROUTES of one
/// requester or XIVE_MAX_ROUTES of all. Removed by address and first_data; ENOENT there is none.
struct xive_msi {
  __u64 address;
  __u32 first_data;
  __u32 count;  ///< 0 removes the route that begins there
  __u32 first_lisn;
  __u32 zero;
};
XIVE_ASSERT_SIZE(struct xive_msi, 24);

/// A message to look up. ENOENT when nothing takes it.
struct xive_msi_query {
  __u64 address;
  __u32 data;
  __u32 zero;
};
XIVE_ASSERT_SIZE(struct xive_msi_query, 16);

/// Where a message goes. Takes the place of the query.
struct xive_msi_route {
  __u32 lisn;
  __u32 server;
  __u32 priority;  ///< 0xff while the source is masked; server and eisn are 0 then
  __u32 eisn;
};
XIVE_ASSERT_SIZE(struct xive_msi_route, 16);

/// Attributes of XIVE_GROUP_ADDRESS.
#define XIVE_ADDRESS_TIMA 0u
#define XIVE_ADDRESS_ESB 1u

/// A guest-physical address, aligned to the device page. The TIMA takes four device pages, the ESB window
/// two for each source. Checked in this order: EINVAL not aligned, or the window ends beyond 2^64; EEXIST
/// set already; EBUSY a vCPU has been connected; EINVAL overlap with the other. ENXIO when read while unset.
/// Machine set-up, not state: `xive save` leaves it out.
struct xive_address {
  __u64 address;
};
XIVE_ASSERT_SIZE(struct xive_address, 8);

/// Slots of XIVE_GROUP_MEMORY.
#define XIVE_MEMORY_SLOTS 32u

/// Guest RAM: a memfd that is sealed against shrinking, not against writing, and not of huge pages of
/// the system's pool; address, size and offset are multiples of 4,096 (else EINVAL). EEXIST slot taken
/// or addresses shared with another; ENOENT nothing to remove or to get; EBADF, EPERM a descriptor that
/// is not open, or that the server may not take; ENOMEM more than 16 TiB in all slots, or than the server
/// can map.
struct xive_memory {
  __u64 gpa;   ///< guest-physical address
  __u64 size;  ///< bytes; 0 removes the slot and disables the queues in it
  __s32 fd;    ///< set: the caller's memfd; get: -1
  __u32 zero;
  __u64 offset;  ///< where the slot starts in the memfd, in bytes
};
XIVE_ASSERT_SIZE(struct xive_memory, 32);

/// An END in the byte order of the host: words 0 to 7. QEMU include/hw/ppc/xive_regs.h, XiveEND;
/// word 1 is ESn, ESe, generation and index, words 2 and 3 the queue's guest-physical address.
/// All zero disables it. EINVAL for format 1, for a group of vCPUs (word 7 bit 31), and for a queue
/// that is not aligned to its size or not in guest memory; E2BIG for an END that the device does not
/// have.
struct xive_end {
  __u32 word[8];
};
XIVE_ASSERT_SIZE(struct xive_end, 32);

// Bits of an END that are no number. QEMU include/hw/ppc/xive_regs.h, END_W0_*.
#define XIVE_END_W0_VALID 0x80000000u
#define XIVE_END_W0_ENQUEUE 0x40000000u
#define XIVE_END_W0_UCOND_NOTIFY 0x20000000u
#define XIVE_END_W0_BACKLOG 0x10000000u
#define XIVE_END_W0_ESCALATE 0x04000000u
#define XIVE_END_W0_UNCOND_ESCALATE 0x02000000u
#define XIVE_END_W0_SILENT_ESCALATE 0x01000000u
#define XIVE_END_W0_QSIZE 0x000f0000u
#define XIVE_END_W1_ESN 0xc0000000u
#define XIVE_END_W1_ESE 0x30000000u
#define XIVE_END_W1_GENERATION 0x00400000u
#define XIVE_END_W1_PAGE_OFF 0x003fffffu

/// NVT of a server, END word 6 bits 18-0: what its OS context is pushed as. QEMU
/// include/hw/ppc/spapr_xive.h and hw/intc/spapr_xive.c, SPAPR_XIVE_NVT_BASE.
#define XIVE_NVT_BASE 0x400u

/// Group 0x52: the machine as a whole. `attr` is one of XIVE_MACHINE_*; set and get: __u32.
#define XIVE_GROUP_MACHINE 0x52u
/// Group 0x53: the state of server `attr`'s VP, connected or not. Set and get: struct xive_vp. ENXIO beyond
/// NR_SERVERS.
#define XIVE_GROUP_VP 0x53u

/// Attributes of XIVE_GROUP_MACHINE.
///
/// Number of sources, at most what the device was started with (else E2BIG); LISNs from there on do not
/// exist. Set once: EBUSY for another value, and when a source from there on exists; EINVAL for 0.
#define XIVE_MACHINE_NR_SOURCES 0u
/// Number of servers: the same as KVM_DEV_XIVE_NR_SERVERS, and readable.
#define XIVE_MACHINE_NR_SERVERS 1u
/// 1 running, 0 stopped: events stay at their sources (XIVE_STATE_LATCHED) and are delivered, once, when it
/// runs again. When the set is answered none is under way.
#define XIVE_MACHINE_RUNNING 2u

/// State of one source: a record of region 0x1000, in the byte order of the host.
struct xive_source_state {
  __u64 config;  ///< as group 3 has it, see xive_source_config(); masked: only that bit
  __u64 flags;   ///< XIVE_STATE_*; 0: never created, and when stored: off and masked
};
XIVE_ASSERT_SIZE(struct xive_source_state, 16);

/// xive_source_state.flags: PQ; of a source that is mapped to hardware, that of the PHB's interrupt.
#define XIVE_STATE_PQ 0x3ull
#define XIVE_STATE_LSI 0x4ull
/// The line is held by KVM_IRQ_LINE or by group 2.
#define XIVE_STATE_ASSERTED 0x8ull
#define XIVE_STATE_VALID 0x10ull
/// An event has left the source and waits for the machine to run.
#define XIVE_STATE_LATCHED 0x20ull
/// The line is held by irqfds. Not taken when stored: it belongs to them.
#define XIVE_STATE_IRQFD 0x40ull
/// Mapped to hardware, whose numbers follow. When stored, it must be mapped, or not, in the same way.
#define XIVE_STATE_PASSTHROUGH 0x80ull
#define XIVE_STATE_HWIRQ_SHIFT 32
#define XIVE_STATE_HWIRQ_MASK 0xffff00000000ull
#define XIVE_STATE_PHB_SHIFT 48
#define XIVE_STATE_PHB_MASK 0x3ff000000000000ull

/// xive_vp.flags: a descriptor is connected to it. Get only.
#define XIVE_VP_CONNECTED 1u
/// xive_vp.flags: there is state: it is connected, or something is kept for the vCPU that will be. Get only.
#define XIVE_VP_PRESENT 2u

/// State of a VP. Stored while no descriptor is connected, it is what the next one begins with.
struct xive_vp {
  __be64 state[2];  ///< as XIVE_REG_VP_STATE: the OS ring's words 0 and 1 with the NVT's backlog
  __u32 flags;     ///< XIVE_VP_*; 0 when set
  __u32 zero;
};
XIVE_ASSERT_SIZE(struct xive_vp, 24);

/// Attributes of XIVE_GROUP_INFO.
#define XIVE_INFO_GEOMETRY 0u
#define XIVE_INFO_COUNTERS 1u
#define XIVE_INFO_DELIVERY 2u
#define XIVE_INFO_GUEST_ERRORS 3u
#define XIVE_INFO_INJECTION 4u
#define XIVE_INFO_TRACE 5u

/// xive_info_geometry.flags: sources take StoreEOI.
#define XIVE_INFO_STORE_EOI 1u

/// What the device was started with. Constant while it is served, but for source_blocks.
struct xive_info_geometry {
  __u32 sources;            ///< LISNs are below this, created or not
  __u32 device_page_shift;  ///< 12 or 16; the same as st_blksize says
  __u32 esb_pages;          ///< per source: 2 trigger and management, 1 management alone
  __u32 flags;              ///< XIVE_INFO_STORE_EOI
  __u32 max_vcpus;
  __u32 source_blocks;  ///< blocks of XIVE_SOURCES_PER_BLOCK sources that exist by now
  __u64 zero;
};
XIVE_ASSERT_SIZE(struct xive_info_geometry, 32);

/// What the device has done since it was started.
struct xive_info_counters {
  __u64 fills;          ///< pages of 4 KiB that were answered with an image
  __u64 refused_fills;  ///< page fills that were answered with an error
  __u64 exact_loads;
  __u64 exact_stores;
  __u64 mapped_stores;  ///< stores that were found in written-back images
  __u64 live_updates;   ///< changes of state pushed into images that consumers have mapped
  __u64 events;         ///< events forwarded to the router
  __u64 guest_errors;   ///< all kinds of struct xive_info_guest_errors together
  __u64 host_events;    ///< events of PHB interrupts that no source is mapped to
  __u64 zaps;           ///< ranges of pages that were dropped because their backing changed
  __u64 zero[4];
};
XIVE_ASSERT_SIZE(struct xive_info_counters, 112);
XIVE_STATIC_ASSERT(sizeof(struct xive_info_counters) <= XIVE_ATTR_DATA_SIZE, "fits inline");

/// What became of the events since the device was started.
struct xive_info_delivery {
  __u64 entries;      ///< written into event queues
  __u64 notified;     ///< pending bits given to a vCPU that runs
  __u64 backlogged;   ///< pending bits kept in the NVT of a vCPU that does not
  __u64 coalesced;    ///< stopped by ESn or ESe
  __u64 escalated;    ///< passed on to another END
  __u64 masked;       ///< dropped: the source's EAS, or the END's priority, is masked
  __u64 undelivered;  ///< dropped: the vCPU does not run and its END keeps no backlog
  __u64 vcpus;        ///< connected now
  __u64 ends;         ///< valid now
  __u64 vps;          ///< present now (XIVE_VP_PRESENT)
  __u64 zero[4];
};
XIVE_ASSERT_SIZE(struct xive_info_delivery, 112);

/// What guests did wrong since the device was started, each kind by itself: hardware drops it, too.
struct xive_info_guest_errors {
  __u64 absent_page;    ///< an access to a page that does not exist, is fenced, or an END that is not valid
  __u64 esb_operation;  ///< a load or a store that an ESB page does not know
  __u64 end_store;      ///< a store to an END's ESB page
  __u64 tima_access;    ///< a TIMA access of a size or in a view that its register does not take
  __u64 tima_store;     ///< a store to a mapped TIMA page, which is only memory
  __u64 eas_invalid;    ///< an event of a source without a valid EAS
  __u64 end_invalid;    ///< an event for an END that is not valid, or that the device does not have
  __u64 nvt_invalid;    ///< an event for an NVT that is not valid
  __u64 cam_duplicate;  ///< an event for an NVT that more than one thread answers to
  __u64 escalation_loop;  ///< an event that was escalated without end
  __u64 context;        ///< a pull of a context that is not valid
  __u64 image;          ///< a written-back image of a page that is not there
  __u64 zero[2];
};
XIVE_ASSERT_SIZE(struct xive_info_guest_errors, 112);

/// What came from irqfds, KVM_IRQ_LINE and KVM_SIGNAL_MSI since the device was started.
struct xive_info_injection {
  __u64 irqfds;     ///< assigned now
  __u64 injected;   ///< events of eventfds that were given to their source
  __u64 lines;      ///< levels set by KVM_IRQ_LINE
  __u64 messages;   ///< sent by KVM_SIGNAL_MSI
  __u64 refused;    ///< of these, dropped because the source is mapped to hardware
  __u64 resampled;  ///< ends of interrupts that were told to resamplefds
  __u64 zero[8];
};
XIVE_ASSERT_SIZE(struct xive_info_injection, 112);

/// The stream of trace records. Sequence numbers count from 0 since the device was started.
struct xive_info_trace {
  __u32 version;   ///< XIVE_TRACE_VERSION
  __u32 on;        ///< whether records are made now
  __u64 next;      ///< the sequence number of the first record that is not there yet
  __u64 oldest;    ///< the lowest sequence number that is still kept; next where none is
  __u64 capacity;  ///< records that each thread of the server keeps, the newest
  __u64 untaken;   ///< of those that were made, lost at once: more threads than have room for records
  __u64 readers;   ///< descriptors that have read records
  __u64 zero[8];
};
XIVE_ASSERT_SIZE(struct xive_info_trace, 112);

// MARK: - Trace records

/// Who touched which page, what it got, why it faulted again, and what it cost.
///
/// Records are made from the moment at which a descriptor first reads region 0x1001 until it is closed, or
/// all the time when the server was started with tracing. Reading needs no write permission. A load at
/// sequence number * XIVE_TRACE_SIZE, of a multiple of that size, gives the records from there on; what is not
/// there yet reads as zeros (XIVE_TRACE_NOTHING), what is no longer there as one record XIVE_TRACE_GAP for each run
/// of lost ones. Go on at `sequence` + 1 of the last record, of a gap at `sequence` + `value`. poll() on a
/// descriptor that is not connected to a vCPU says whether there are records that it has not read. Exact
/// accesses to the region leave no records. EINVAL: a size or a place that is not of whole records, or more
/// than the kernel asks for at once (1 MiB).
#define XIVE_TRACE_VERSION 1u

/// `kind`: what happened.
#define XIVE_TRACE_NOTHING 0u
/// The answer to page faults: `value` bytes from `offset` on. More than a page: `number` and so on are the first's.
#define XIVE_TRACE_FILL 1u
/// An exact load: `value`.
#define XIVE_TRACE_LOAD 2u
/// An exact store: `value`.
#define XIVE_TRACE_STORE 3u
/// A store that was found in a written-back image: `offset` is that of its slot, `value` what was stored.
#define XIVE_TRACE_WRITE_BACK 4u
/// Pages were dropped: `value` bytes from `offset` on; `number` is the first source, `cause` why.
#define XIVE_TRACE_ZAP 5u
/// A new backing was published for `value` sources from `number` on; `phb` and `hwirq` are the first's.
#define XIVE_TRACE_PUBLISH 6u
/// A run of `value` sources from `number` on was mapped, or unmapped, and nobody has an old page any more;
/// `service_time` is the whole time from the request on.
#define XIVE_TRACE_MAP 7u
#define XIVE_TRACE_UNMAP 8u
/// A PHB was added: `value` is nr_msis | nr_lsis << 32 | StoreEOI << 63. Or removed: `value` sources were unmapped.
#define XIVE_TRACE_PLUG 9u
#define XIVE_TRACE_UNPLUG 10u
/// A PHB was fenced (`value` 1) or is no longer (0).
#define XIVE_TRACE_FENCE 11u
/// A source, or a PHB's interrupt, was triggered; PQ before and after.
#define XIVE_TRACE_TRIGGER 12u
/// An event left the source `number`; `value` is its EAS. Or, with XIVE_TRACE_TO_HOST, a PHB's interrupt that
/// serves none.
#define XIVE_TRACE_FORWARD 13u
/// An interrupt was ended; PQ before and after; `value` is what a load gives, 1 when an event went on.
#define XIVE_TRACE_EOI 14u
/// The vCPU `number` has an interrupt to take; `value` is its OS ring.
#define XIVE_TRACE_NOTIFY 15u
/// A request: `offset` is the attribute, `generation` its group, or for KVM's other requests the request's number;
/// `value` the first 8 bytes of the payload, `half` XIVE_TRACE_SET and so on.
#define XIVE_TRACE_ATTRIBUTE 16u
/// A guest did what hardware drops: `value` is the place in struct xive_info_guest_errors.
#define XIVE_TRACE_GUEST_ERROR 17u
/// `value` bytes from `offset` on were replaced in pages that consumers have mapped.
#define XIVE_TRACE_UPDATE 18u
/// The name of thread `tid` of process `pid`: 16 bytes in `offset` and `value`. Before the thread's first record,
/// and again about every second.
#define XIVE_TRACE_TASK 19u
/// `value` records from `sequence` on were overwritten before they were read.
#define XIVE_TRACE_GAP 20u
/// Kinds from here on are free for tools, for what does not come from the device.
#define XIVE_TRACE_TOOLS 64u

/// `result`: 0 done; with bit 7 the error number that the toucher got; else why there was no page, which
/// is SIGBUS for a fill and all ones, or nothing, for an access.
#define XIVE_TRACE_OK 0u
/// The source was never created.
#define XIVE_TRACE_NOT_CREATED 1u
/// A source, an END or a server beyond what the device has.
#define XIVE_TRACE_OUT_OF_RANGE 2u
/// The source has no trigger page: an LSI of a PHB, or one ESB page a source.
#define XIVE_TRACE_NO_TRIGGER_PAGE 3u
/// A TIMA page other than the OS view's.
#define XIVE_TRACE_VIEW 4u
/// The TIMA at offset 0, while more than one vCPU is connected.
#define XIVE_TRACE_SHARED_TIMA 5u
/// The server has no vCPU; or, for an END, never had.
#define XIVE_TRACE_NOT_CONNECTED 6u
/// No such PHB or interrupt; or it is being removed; or what was stored to does not serve the page any more.
#define XIVE_TRACE_NO_PHB 7u
/// A region that cannot be mapped, or that does not exist.
#define XIVE_TRACE_NO_REGION 8u
/// The PHB is fenced.
#define XIVE_TRACE_FENCED 9u
/// The page does not know the operation.
#define XIVE_TRACE_NO_OPERATION 10u
/// An image in which nothing had changed: what was stored has coalesced.
#define XIVE_TRACE_UNCHANGED 11u
/// The event stays at its source's door, for the machine is stopped.
#define XIVE_TRACE_HELD 12u
/// The event goes to the host.
#define XIVE_TRACE_TO_HOST 13u
/// An END that is not valid.
#define XIVE_TRACE_NOT_VALID 14u
/// An error number is in bits 0-6.
#define XIVE_TRACE_ERRNO 0x80u

/// `cause` of a fill: why the page was not there; of a zap: why it had to go.
#define XIVE_TRACE_NO_CAUSE 0u
/// The page was never filled before.
#define XIVE_TRACE_FIRST 1u
/// It was dropped because its sources were mapped, or unmapped, or their PHB was removed.
#define XIVE_TRACE_BY_MAP 2u
#define XIVE_TRACE_BY_UNMAP 3u
#define XIVE_TRACE_BY_UNPLUG 4u
/// The kernel dropped it for an exact store to it.
#define XIVE_TRACE_BY_STORE 5u
/// It was dropped because a vCPU was connected or disconnected.
#define XIVE_TRACE_BY_VCPU 6u
/// Nobody here dropped it: the kernel needed the memory, or was asked to (drop_caches, fadvise).
#define XIVE_TRACE_RECLAIM 7u
/// Nobody touched it: the server filled it at the end of a map or an unmap.
#define XIVE_TRACE_PREFAULT 8u
/// The kernel asks more than once before it raises one SIGBUS: this is not the time that counts.
#define XIVE_TRACE_AGAIN 9u
/// It was filled before records were made, or more pages were than are remembered.
#define XIVE_TRACE_UNKNOWN 15u

/// `half` of XIVE_TRACE_ATTRIBUTE.
#define XIVE_TRACE_SET 0u
#define XIVE_TRACE_GET 1u
#define XIVE_TRACE_HAS 2u
#define XIVE_TRACE_REQUEST 3u

/// `number` of a record without one, and `offset` of one without any.
#define XIVE_TRACE_NO_NUMBER 0xffffffffu
#define XIVE_TRACE_NO_OFFSET XIVE_ALL_ONES
/// `backing` of a record that nothing serves; else XIVE_BACKING_*.
#define XIVE_TRACE_NO_BACKING 7u

/// One event. In host order.
struct xive_trace_record {
  __u64 sequence;      ///< its place in the stream
  __u64 time;          ///< when it began: CLOCK_MONOTONIC, in ns
  __u64 offset;        ///< device offset in bytes
  __u64 value;         ///< depends on the kind
  __u32 tid;           ///< the thread that touched, asked, or in the server did it; 0 the kernel itself
  __u32 pid;           ///< its process
  __u32 number;        ///< the LISN; of END pages the END's index, of TIMA pages the server
  __u32 generation;    ///< of the backing, as in the page's signature
  __u32 queue_time;    ///< ns before `time` for which it is known to have waited; more it may have
  __u32 service_time;  ///< ns from `time` on until it was answered or done
  __u16 hwirq;         ///< of `phb`, when that is the backing
  __u16 phb : 10;
  __u16 half : 2;      ///< XIVE_TRIGGER, XIVE_MANAGEMENT; XIVE_END_*; XIVE_VIEW_*
  __u16 backing : 3;   ///< XIVE_BACKING_* or XIVE_TRACE_NO_BACKING
  __u16 has_pq : 1;    ///< whether pq_before and pq_after say anything
  __u8 kind;           ///< XIVE_TRACE_FILL and so on
  __u8 result;         ///< XIVE_TRACE_OK and so on
  __u8 cause : 4;      ///< XIVE_TRACE_FIRST and so on
  __u8 version : 4;    ///< XIVE_TRACE_VERSION
  __u8 pq_before : 2;
  __u8 pq_after : 2;
  __u8 log2_size : 2;  ///< of an access, in bytes
  __u8 zero : 2;
};
XIVE_ASSERT_SIZE(struct xive_trace_record, 64);

/// The offset of a trace record.
static inline uint64_t xive_trace_offset(uint64_t sequence) {
  return ((uint64_t)XIVE_REGION_TRACE << XIVE_REGION_SHIFT) + sequence * XIVE_TRACE_SIZE;
}

// MARK: - Attribute values

/// Attribute of group 4, and also the END index: server * XIVE_PRIORITIES + priority.
static inline uint64_t xive_eq_id(uint32_t server, uint32_t priority) {
  return ((uint64_t)server << KVM_XIVE_EQ_SERVER_SHIFT & KVM_XIVE_EQ_SERVER_MASK)
    | (priority & KVM_XIVE_EQ_PRIORITY_MASK);
}

/// Payload of group 3: an event of the source enters that queue as `eisn`, 31 bits.
static inline uint64_t xive_source_config(
  uint32_t server, uint32_t priority, uint32_t eisn, int masked
) {
  return (priority & KVM_XIVE_SOURCE_PRIORITY_MASK)
    | ((uint64_t)server << KVM_XIVE_SOURCE_SERVER_SHIFT & KVM_XIVE_SOURCE_SERVER_MASK)
    | (masked ? KVM_XIVE_SOURCE_MASKED_MASK : 0)
    | (uint64_t)eisn << KVM_XIVE_SOURCE_EISN_SHIFT;
}

/// Attribute of XIVE_GROUP_HWIRQ.
static inline uint64_t xive_hwirq_attr(uint32_t phb, uint32_t hwirq) {
  return (uint64_t)phb << 32 | hwirq;
}

// MARK: - Offsets

/// Start of a region, in bytes.
static inline uint64_t xive_region_offset(uint32_t region) {
  return (uint64_t)region << XIVE_REGION_SHIFT;
}

/// ESB page of a source in region 1, in bytes. `half`: XIVE_TRIGGER or XIVE_MANAGEMENT.
static inline uint64_t xive_esb_offset(uint32_t lisn, uint32_t half, uint64_t device_page_size) {
  return xive_region_offset(XIVE_REGION_ESB) + (2 * (uint64_t)lisn + half) * device_page_size;
}

/// The same page in the kernel's window, in bytes.
static inline uint64_t xive_kernel_esb_offset(
  uint32_t lisn, uint32_t half, uint64_t device_page_size
) {
  return (KVM_XIVE_ESB_PAGE_OFFSET + 2 * (uint64_t)lisn + half) * device_page_size;
}

/// TIMA page of the connected vCPU in the kernel's window, in bytes. `view`: XIVE_VIEW_*.
static inline uint64_t xive_kernel_tima_offset(uint32_t view, uint64_t device_page_size) {
  return (KVM_XIVE_TIMA_PAGE_OFFSET + (uint64_t)view) * device_page_size;
}

/// Index of the END of a server's priority, in region 2.
static inline uint64_t xive_end_index(uint32_t server, uint32_t priority) {
  return (uint64_t)server * XIVE_PRIORITIES + priority;
}

/// ESB page of an END, in bytes. `half`: XIVE_END_NOTIFY or XIVE_END_ESCALATE.
static inline uint64_t xive_end_offset(uint64_t end, uint32_t half, uint64_t device_page_size) {
  return xive_region_offset(XIVE_REGION_END) + (2 * end + half) * device_page_size;
}

/// TIMA page of a server, in bytes. `view`: XIVE_VIEW_*.
static inline uint64_t xive_tima_offset(
  uint32_t server, uint32_t view, uint64_t device_page_size
) {
  return xive_region_offset(XIVE_REGION_TIMA)
    + ((uint64_t)server * XIVE_VIEWS + view) * device_page_size;
}

/// ESB page of a PHB's hardware interrupt, in bytes.
static inline uint64_t xive_phb_offset(uint32_t phb, uint32_t hwirq, uint64_t device_page_size) {
  return xive_region_offset(XIVE_REGION_PHB + phb) + hwirq * device_page_size;
}

/// State of a source in region 0x1000, in bytes.
static inline uint64_t xive_state_offset(uint32_t lisn) {
  return xive_region_offset(XIVE_REGION_STATE) + (uint64_t)lisn * XIVE_STATE_SIZE;
}

// MARK: - Byte order

/// A register or a field of an image in the byte order of the host.
static inline uint64_t xive_be64_to_host(uint64_t value) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return __builtin_bswap64(value);
#else
  return value;
#endif
}

/// The same for 32 bits.
static inline uint32_t xive_be32_to_host(uint32_t value) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return __builtin_bswap32(value);
#else
  return value;
#endif
}

/// A value as a register or an image holds it. Its own inverse.
static inline uint64_t xive_host_to_be64(uint64_t value) {
  return xive_be64_to_host(value);
}

// MARK: - Exact access

#ifndef XIVE_NO_INLINE_ACCESS

XIVE_STATIC_ASSERT(sizeof(off_t) == 8, "device offsets need _FILE_OFFSET_BITS=64");

/// One architected 8-byte load. `fd` must be open with O_DIRECT: without it the kernel answers from
/// the page image. 0, or -errno. An interrupted load is not repeated: it may have had its effect.
static inline int xive_load(int fd, uint64_t offset, uint64_t *value) {
  uint64_t raw = 0;
  ssize_t count = pread(fd, &raw, sizeof raw, (off_t)offset);
  if (count < 0) return -errno;
  if (count != (ssize_t)sizeof raw) return -EIO;
  *value = xive_be64_to_host(raw);
  return 0;
}

/// One architected 8-byte store. `fd` as for xive_load(), and writable. 0, or -errno.
static inline int xive_store(int fd, uint64_t offset, uint64_t value) {
  uint64_t raw = xive_host_to_be64(value);
  ssize_t count = pwrite(fd, &raw, sizeof raw, (off_t)offset);
  if (count < 0) return -errno;
  return count == (ssize_t)sizeof raw ? 0 : -EIO;
}

#endif

#ifdef __cplusplus
}
#endif

#endif
