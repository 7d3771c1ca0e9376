#pragma once
/// The half of the hot-plug harness that touches pages: watchers that look for stale pages through
/// plain mappings or trapped windows, and the board of shared memory through which an operator tells them what is true.
///
/// One process, the operator, plugs and unplugs; any number of consumer processes and threads watch.
/// They share nothing but the board, a file that all of them map. The operator writes pages, ring, floors
/// and epochs; each watcher writes its own slot. No function here takes a lock on the path of a watcher.
///
/// **Why an alarm is never false, and a stale page is always seen.** A page's generation grows with each
/// change of its backing. The device promises that, once an operation has returned, nobody sees an older
/// generation than its own. So:
///
/// 1. The operator announces what the next generation must look like, then performs the operation, and
///    raises the page's floor to that generation only after the operation has returned (store-release).
/// 2. A watcher reads the floor first (load-acquire), the page afterwards. If it reads floor F, then the
///    operation that made generation F had returned before the watcher touched the page: the acquire pairs
///    with the release, and later loads cannot move before an acquire. Whatever it sees from then on must
///    be F or newer. A floor that is raised in between is simply not used: no false alarm.
/// 3. Once the operator has raised the floor, every round that starts later reads it. A page that stays
///    stale is reported in that round; charness_await() tells when all watchers have finished one.
///
/// Identities: a watcher reads the generation, the words, and the generation again. If both are equal, all
/// words are of that generation, for generations do not come back. It then looks that generation up in
/// the page's ring, whose entries are stamped like a sequence lock: an entry that was overwritten in the
/// meantime is not judged, one that was never written is an alarm, for nobody may make that generation.
///
/// Holes: a page's expectation carries a count of its changes, so that reading the same word before and
/// after an access means that it held all the time. The operator sets CHARNESS_MAY_BE_HOLE before it
/// makes or removes a page and one of the others only after the operation has returned.
///
/// Answers: a trapped window has no images and no signatures, for each touch is an operation. What tells there who
/// serves a page is its state: a load of PQ has no effect and is answered by whoever serves the source at that moment.
/// The operator, the only one who changes states, says which answers are right: any, before it does something, and
/// exactly the new ones after it has returned. The word carries a count of its changes, as that of holes does, so that
/// an answer is judged only if the same held before and after it: never a false alarm, and an operation on a backing
/// that is not the source's any more is seen wherever the two have different states. The operator sees to that.
///
/// Thread rule: the operator's functions are for one thread; a slot belongs to one watching thread.
/// A function that fails returns -errno.
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#error "C11 atomics in shared structures: use this header from C or Swift"
#endif

// MARK: - Board

/// The first bytes of a board: "XIVEBORD".
#define CHARNESS_MAGIC 0x58495645424f5244ULL
/// Grows with each change of the structures below.
#define CHARNESS_VERSION 2u
/// Generations of a page that are kept: the ring is indexed by the low bits of the generation.
#define CHARNESS_RING 8u
/// Bytes of a page of the file and of the system.
#define CHARNESS_PAGE_SIZE 4096u
/// For charness_page_setup.device_offset: do not compare.
#define CHARNESS_ANY_OFFSET UINT64_MAX

/// What all watchers are to do.
enum charness_command {
  CHARNESS_HOLD = 0,  ///< wait before the next round
  CHARNESS_RUN = 1,
  CHARNESS_STOP = 2,
};

/// What a touch of a page may end in.
enum charness_presence {
  CHARNESS_MAY_BE_HOLE = 0,       ///< a page or SIGBUS: while an operation runs
  CHARNESS_MUST_BE_HOLE = 1,      ///< SIGBUS
  CHARNESS_MUST_NOT_BE_HOLE = 2,  ///< a page
};

/// What is counted in a slot.
enum charness_counter {
  CHARNESS_READS = 0,         ///< signatures read whole
  CHARNESS_FAULTS = 1,        ///< SIGBUS
  CHARNESS_GAPS = 2,          ///< SIGSEGV: the page's mapping was being replaced, see charness_split()
  CHARNESS_TORN = 3,          ///< the page changed while it was read; it was read again in the next round
  CHARNESS_CHANGES = 4,       ///< generations seen other than the one before
  CHARNESS_UNJUDGED = 5,      ///< identities that the ring did not hold any more
  CHARNESS_STORES = 6,        ///< stores through the mapping
  CHARNESS_LOADS = 7,         ///< exact loads, those through trapped windows too
  CHARNESS_LOAD_ERRORS = 8,   ///< exact loads that were refused
  CHARNESS_TRIGGERS = 9,      ///< a guest's signals that were turned into exact stores
  // Violations, one each for the kinds below.
  CHARNESS_STALE_COUNT = 10,
  CHARNESS_BACKWARD_COUNT = 11,
  CHARNESS_WRONG_COUNT = 12,
  CHARNESS_UNSIGNED_COUNT = 13,
  CHARNESS_HOLE_COUNT = 14,
  CHARNESS_PAGE_COUNT = 15,
  CHARNESS_ANSWER_COUNT = 16,
};
#define CHARNESS_COUNTERS 17u

/// What can be wrong. Each has the counter CHARNESS_STALE_COUNT + kind - CHARNESS_STALE.
enum charness_kind {
  CHARNESS_NO_VIOLATION = 0,
  CHARNESS_STALE = 1,            ///< a generation below the floor
  CHARNESS_BACKWARD = 2,         ///< a generation below one that this watcher had seen in that page
  CHARNESS_WRONG_PAGE = 3,       ///< not the identity that was announced, or none was
  CHARNESS_UNSIGNED = 4,         ///< a page without a signature
  CHARNESS_UNEXPECTED_HOLE = 5,  ///< SIGBUS where a page must be
  CHARNESS_UNEXPECTED_PAGE = 6,  ///< a page where a hole must be
  CHARNESS_WRONG_ANSWER = 7,     ///< a load through a trapped window: not the state of who serves the page
};

/// Answers to a load of PQ through a trapped window: bit n is PQ n.
enum charness_answer {
  CHARNESS_ALL_ONES = 1 << 4,   ///< nobody serves it, or a PHB that is fenced
  CHARNESS_BUS_ERROR = 1 << 5,  ///< SIGBUS: the server has gone
  CHARNESS_ANY_ANSWER = (1 << 6) - 1,
};

/// Which page an image says it is: the fields of struct xive_page_signature in host order.
struct charness_sight {
  uint64_t magic;
  uint64_t generation;
  uint64_t device_offset;
  uint32_t lisn, half, backing, phb, hwirq, zero;
};
_Static_assert(sizeof(struct charness_sight) == 48, "layout of the board");

/// The first violation that a watcher met.
struct charness_violation {
  uint32_t kind;  ///< enum charness_kind
  uint32_t page;  ///< index of the watched page
  uint32_t slot;
  uint32_t zero;
  uint64_t floor;                  ///< as it was before the page was touched
  uint64_t nanoseconds;            ///< CLOCK_MONOTONIC; 0: not known, a guest has no such clock
  struct charness_sight seen;      ///< zeros for a hole; of an answer: `generation` is its bit
  struct charness_sight expected;  ///< zeros where nothing was announced; of an answer: those that were right
};
_Static_assert(sizeof(struct charness_violation) == 128, "layout of the board");

/// What one generation of a page must look like.
struct charness_ring_entry {
  _Atomic uint64_t stamp;  ///< generation + 1; 0 empty, all ones being written
  _Atomic uint32_t backing, phb, hwirq;
  uint32_t zero;
};
_Static_assert(sizeof(struct charness_ring_entry) == 24, "layout of the board");

/// A watched page: 4 KiB of the window.
struct charness_page {
  _Atomic uint64_t floor;     ///< smallest generation that may be seen from now on
  _Atomic uint64_t presence;  ///< enum charness_presence in bits 0-1, changes of it above
  uint64_t offset;            ///< in the window, in bytes
  uint64_t device_offset;     ///< that the signature must name, or CHARNESS_ANY_OFFSET
  uint32_t lisn, half;        ///< that the signature must name
  uint32_t store_at;          ///< where in the page a storing watcher stores, a multiple of 8
  uint32_t stores;            ///< 1 if it may be stored to
  uint64_t store_value;       ///< the register's value
  _Atomic uint64_t answers;   ///< enum charness_answer in bits 0-7: the right ones; changes of it above
  struct charness_ring_entry ring[CHARNESS_RING];
};
_Static_assert(sizeof(struct charness_page) == 256, "layout of the board: guests shift by 8");
_Static_assert(offsetof(struct charness_page, floor) == 0, "layout of the board");
_Static_assert(offsetof(struct charness_page, offset) == 16, "layout of the board: guests read it");

/// States of a slot.
enum charness_slot_state {
  CHARNESS_FREE = 0,
  CHARNESS_WATCHING = 1,
  CHARNESS_ENDED = 2,
};

/// What one watching thread has to say. Only that thread writes it.
struct charness_slot {
  _Atomic uint32_t state;  ///< enum charness_slot_state
  _Atomic uint32_t pid, tid;
  _Atomic uint32_t first_kind;  ///< stored last: not 0 once `first` is whole
  _Atomic uint64_t epoch;       ///< the board's, as read at the start of the last whole round
  _Atomic uint64_t heartbeat;   ///< rounds done
  _Atomic uint64_t counters[CHARNESS_COUNTERS];
  struct charness_violation first;
  uint64_t zero[3];
};
_Static_assert(sizeof(struct charness_slot) == 320, "layout of the board");
_Static_assert(offsetof(struct charness_slot, counters) == 32, "layout of the board");

/// The start of a board. Pages, slots and the table of seen generations follow where it says.
struct charness_board {
  uint64_t magic;
  uint32_t version;
  uint32_t page_count, slot_count, zero;
  uint64_t byte_count;     ///< of the whole board, a multiple of CHARNESS_PAGE_SIZE
  uint64_t window_offset;  ///< where in the device file the window starts, in bytes
  uint64_t window_length;
  uint64_t pages_at, slots_at, seen_at;  ///< in the board, in bytes
  uint64_t zero2[7];
  _Atomic uint32_t command;  ///< enum charness_command; a futex
  uint32_t zero3;
  _Atomic uint64_t epoch;
  uint64_t zero4[14];
};
_Static_assert(sizeof(struct charness_board) == 256, "layout of the board");
_Static_assert(offsetof(struct charness_board, command) == 128, "guests read it");
_Static_assert(offsetof(struct charness_board, epoch) == 136, "guests read it");

/// A page of the board.
static inline struct charness_page *charness_page_at(const struct charness_board *board, uint32_t page) {
  return (struct charness_page *)((uintptr_t)board + board->pages_at) + page;
}

/// A slot of the board.
static inline struct charness_slot *charness_slot_at(const struct charness_board *board, uint32_t slot) {
  return (struct charness_slot *)((uintptr_t)board + board->slots_at) + slot;
}

/// Generation + 1 of the page that the slot saw last; 0: none yet.
static inline _Atomic uint64_t *charness_seen_cell(
  const struct charness_board *board, uint32_t slot, uint32_t page
) {
  return (_Atomic uint64_t *)((uintptr_t)board + board->seen_at)
    + (uint64_t)slot * board->page_count + page;
}

/// How large a board is to be, and over which window.
struct charness_shape {
  uint32_t pages, slots;
  uint64_t window_offset, window_length;  ///< of the device file, in bytes, multiples of 4 KiB
};

/// Makes a board of a file: sets its size, maps it, clears it. EINVAL for an empty or crooked shape.
int charness_board_create(int fd, const struct charness_shape *shape, struct charness_board **board);
/// Maps a board that exists. EPROTO if it is none, or of another version.
int charness_board_map(int fd, struct charness_board **board);
void charness_board_unmap(struct charness_board *board);

// MARK: - Operator

/// What never changes of a watched page.
struct charness_page_setup {
  uint64_t offset;         ///< in the window, in bytes, a multiple of 4 KiB
  uint64_t device_offset;  ///< that its signature must name, or CHARNESS_ANY_OFFSET
  uint32_t lisn, half;     ///< that its signature must name
};

/// Says which page a watched page is. Before the watchers run. EINVAL outside the window.
int charness_set_page(
  struct charness_board *board, uint32_t page, const struct charness_page_setup *setup);
/// Lets watchers with CHARNESS_STORE store to a page. A store to a mapped page is an operation, once it
/// is written back: the caller knows which does no harm. EINVAL for crooked places, or in the signature.
int charness_set_store(struct charness_board *board, uint32_t page, uint32_t at, uint64_t value);
/// Says what a generation will look like. Before the operation that makes it.
void charness_announce(
  struct charness_board *board, uint32_t page, uint64_t generation, uint32_t backing, uint32_t phb,
  uint32_t hwirq);
/// Raises a page's floor; a lower one changes nothing. After the operation has returned.
void charness_raise_floor(struct charness_board *board, uint32_t page, uint64_t generation);
/// Says what a touch may end in. MAY_BE_HOLE before an operation, the others after it has returned.
void charness_expect(
  struct charness_board *board, uint32_t page, enum charness_presence presence);
/// Says which answers are right: CHARNESS_ANY_ANSWER before an operation, others after it has returned. At first any.
void charness_expect_answers(struct charness_board *board, uint32_t page, uint32_t answers);

/// Tells all watchers to wait before their next round, to run or to stop, and wakes those that wait.
void charness_order(struct charness_board *board, enum charness_command command);
/// Begins an epoch: a round that starts from now on knows all that the operator has said. Returns it.
uint64_t charness_begin_epoch(struct charness_board *board);
/// Waits until the first `watchers` slots have begun and each that has not ended has finished a round of
/// that epoch. ETIMEDOUT.
int charness_await(
  const struct charness_board *board, uint64_t epoch, uint32_t watchers, uint32_t milliseconds);
/// Marks a slot as ended whose process was killed, so that nobody waits for it.
void charness_end_slot(struct charness_board *board, uint32_t slot);

/// A counter of one slot.
uint64_t charness_count(
  const struct charness_board *board, uint32_t slot, enum charness_counter counter);
/// A counter over all slots.
uint64_t charness_sum(const struct charness_board *board, enum charness_counter counter);
/// Violations of all kinds over all slots.
uint64_t charness_violations(const struct charness_board *board);
/// A slot's first violation. Returns 1, or 0 when there is none.
int charness_first_violation(
  const struct charness_board *board, uint32_t slot, struct charness_violation *violation);
/// A slot's state, enum charness_slot_state, with its thread and rounds.
struct charness_slot_status {
  uint32_t state, pid, tid, zero;
  uint64_t epoch, heartbeat;
};
struct charness_slot_status charness_status(const struct charness_board *board, uint32_t slot);
/// The generation that a slot saw last in a page, plus 1; 0: none yet.
uint64_t charness_seen(const struct charness_board *board, uint32_t slot, uint32_t page);

// MARK: - Mapping

/// How a consumer maps the window.
enum charness_layout {
  CHARNESS_WINDOW = 0,    ///< one mapping of the whole window
  CHARNESS_PER_PAGE = 1,  ///< each watched page by itself, with a gap behind it: one VMA per page
};

/// The device file's window in this process.
struct charness_mapping {
  uint8_t *base;
  uint64_t length;  ///< address space taken, in bytes
  int fd;           ///< borrowed
  uint32_t layout;  ///< enum charness_layout
  int writable;
  struct ctrap_device *trapped;  ///< of a trapped window; else NULL
};

/// Maps the board's window of the device file, shared.
int charness_map(
  struct charness_mapping *mapping, const struct charness_board *board, int device_fd,
  enum charness_layout layout, int writable);
/// The same as a trapped window. -ENOTSUP on other processors than x86-64.
int charness_map_trapped(
  struct charness_mapping *mapping, const struct charness_board *board, int device_fd,
  enum charness_layout layout, int writable);
void charness_unmap(struct charness_mapping *mapping);
/// Where a watched page is.
void *charness_address(
  const struct charness_mapping *mapping, const struct charness_board *board, uint32_t page);
/// Takes part of a CHARNESS_WINDOW mapping away and maps it again, which splits the VMA: partial munmap
/// and remap while others watch. In between, a touch is a SIGSEGV, which watchers count as a gap; the
/// address space stays reserved, so that no other mapping can come there. Of a trapped window the part is exchanged in one
/// step, and no touch is anything. Bytes, multiples of 4 KiB.
int charness_split(
  const struct charness_mapping *mapping, const struct charness_board *board, uint64_t offset,
  uint64_t length);

// MARK: - Watcher

/// charness_watch_options.flags: store to the pages that allow it after each look, so that zaps meet
/// dirty pages. The mapping must be writable.
#define CHARNESS_STORE 1u

/// What one watcher does.
struct charness_watch_options {
  uint32_t slot;
  uint32_t flags;
  uint32_t first_page, page_count;
  uint64_t rounds;  ///< at most so many; 0: until CHARNESS_STOP
};

/// Watches pages through a mapping until the operator says stop or the rounds are done, without a pause
/// and without allocating.
///
/// SIGBUS and SIGSEGV at the page that this thread touches are counted, in each thread by itself; any other
/// goes to the handler that was there before, as do all other signals. The handlers are installed while at
/// least one thread of the process watches; nobody else may change them meanwhile.
int charness_watch(
  const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_watch_options *options);

/// The same for a trapped window: loads PQ in the management pages, and judges the answers.
int charness_watch_trapped(
  const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_watch_options *options);

/// Loads the server instead: exact 8-byte loads at the PQ register (0x800) of each page, which have no side
/// effect. Judges nothing: exact loads see no signature. `device_fd` must be open with O_DIRECT.
int charness_load(
  int device_fd, struct charness_board *board, const struct charness_watch_options *options);

// MARK: - Guest

/// charness_guest_options.flags: the window is a read-only memory slot (KVM_MEM_READONLY).
#define CHARNESS_GUEST_READ_ONLY 1u

/// What a guest does.
struct charness_guest_options {
  uint32_t slot;
  uint32_t flags;
  uint32_t first_page, page_count;
  uint64_t rounds;          ///< at most so many; 0: until CHARNESS_STOP
  uint64_t trigger_every;   ///< rounds between two signals of the guest; 0: none
  uint64_t trigger_offset;  ///< device offset of the trigger page that a signal stores to
};

/// What became of a guest.
struct charness_guest_result {
  uint64_t entries;        ///< times that the guest left to this process, each KVM_RUN but the last included
  uint64_t halts;          ///< of these: because it was told to hold, to stop, or was done
  uint64_t faults;         ///< of these: at a hole
  uint64_t memory_faults;  ///< of `faults`: EFAULT that KVM names KVM_EXIT_MEMORY_FAULT (Linux 6.8)
  uint64_t emulated_faults;  ///< of `faults`: KVM_EXIT_MMIO, where KVM emulates the load; the rest is EFAULT
  uint64_t interruptions;  ///< of these: by a signal
  uint64_t trigger_errors;
  uint32_t exit_reason;  ///< of an exit that should not have been: KVM_EXIT_*
  uint32_t zero;
};

/// Why this machine cannot run guests, in words; NULL when it can.
const char *charness_guest_unavailable(void);

/// Watches pages as a guest does: a virtual machine with one vCPU that has the window as memory.
///
/// `mapping`, of layout CHARNESS_WINDOW, stands behind a memory slot. The guest's program follows the rules of
/// charness_watch() with the board in a slot of its own: floor, backward, magic, LISN and half, ring and expected
/// holes; it does not compare device offsets and has no clock. It never leaves to see a new page: zaps reach it
/// through KVM's MMU notifier, so that `entries` is 1 for a guest that saw no hole and was not interrupted.
/// A touch of a hole takes the guest out; this function counts it and lets the guest go on behind it.
///
/// Every `trigger_every` rounds the guest stores 4 bytes to an address without memory that is an ioeventfd; a thread
/// of this process turns each signal into one exact store to the trigger page, through the mapping's descriptor.
///
/// Returns 0; -ENOTSUP when there is no KVM, see charness_guest_unavailable(); -E2BIG for more than 1 GiB of window
/// or board; -EIO for an exit that should not have been. `result` is filled in any case.
/// Source: Linux Documentation/virt/kvm/api.rst.
int charness_guest_run(
  const struct charness_mapping *mapping, struct charness_board *board,
  const struct charness_guest_options *options, struct charness_guest_result *result);
