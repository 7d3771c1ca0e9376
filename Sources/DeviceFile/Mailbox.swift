internal import CSystemCalls
internal import PagedDevice
internal import Synchronization

/// Memory in which a client posts accesses for whoever leads to find: a shorter way than a request of the kernel's.
///
/// The client may write any byte at any time. Each field is read once, and only the client's own answer depends on it.
/// Source: `Sources/CXIVE/include/xive.h`, `struct xive_mailbox_page`.
///
/// Thread rule: whoever leads; ``close()`` from any thread.
@safe
final class Mailbox: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): the memory is held for as long as this lives, is as large as the layout says, and is
  // touched by atomic accesses alone; the only variable is the leader's.
  private let base: UnsafeMutableRawPointer
  private let memory: any SharedMemory
  /// The descriptor that the accesses belong to.
  let opener: Opener
  /// The process that handed it over; 0 where it cannot be seen.
  private let process: UInt32
  /// Held during each access that is performed for it: none is once it is closed.
  private let isClosed = Mutex(false)
  /// The thread of that process that was last seen in each slot.
  private var threads = InlineArray<32, UInt32>(repeating: 0)

  /// `XIVE_MAILBOX_SIZE`.
  static let byteCount: UInt64 = 4_096
  /// `XIVE_MAILBOX_LEFT`, in what ``take()`` gives.
  static let left: UInt64 = 1 << 63
  /// The bits of `XIVE_MAILBOX_SLOTS` slots.
  private static let slots: UInt64 = 0xffff_ffff

  /// Takes memory of ``byteCount`` bytes.
  init(_ memory: any SharedMemory, of opener: Opener, in process: UInt32) {
    self.memory = memory
    self.opener = opener
    self.process = process
    guard let base = unsafe memory.bytes.baseAddress, unsafe memory.bytes.count >= Self.byteCount
    else { preconditionFailure("not the memory of a mailbox") }
    unsafe self.base = base
    setAwake(false)
  }

  // MARK: - Header

  /// Says whether somebody looks for what is posted; a ``take()`` that follows sees all that was posted before.
  func setAwake(_ isAwake: Bool) {
    unsafe half(at: 0).pointee.store(isAwake ? 1 : 0, ordering: .sequentiallyConsistent)
  }

  /// Takes the bits of what has been posted since the last time; 0 when nothing has.
  func take() -> UInt64 {
    let posted = unsafe word(at: 8)
    // Only read while there is nothing: the line stays in this processor's cache.
    guard unsafe posted.pointee.load(ordering: .sequentiallyConsistent) != 0 else { return 0 }
    return unsafe posted.pointee.exchange(0, ordering: .acquiring) & (Self.slots | Self.left)
  }

  /// Whether the client has done with it.
  var isLeft: Bool {
    unsafe word(at: 8).pointee.load(ordering: .relaxed) & Self.left != 0
  }

  // MARK: - Slots

  /// An access as it was posted.
  struct Post {
    let slot: Int
    let offset: UInt64
    let bytes: UInt64
    let isStore: Bool
    let byteCount: Int
    let threadID: UInt32
  }

  /// `XIVE_SLOT_POSTED` and what the server makes of it.
  private enum State {
    static let posted: UInt32 = 2
    static let taken: UInt32 = 3
    static let done: UInt32 = 4
    static let returned: UInt32 = 5
  }

  /// Takes the access out of a slot.
  /// - Parameter slot: the number of a bit that ``take()`` gave.
  /// - Returns: nil when there is none: its client has taken it back.
  func takePost(_ slot: Int) -> Post? {
    let start = Self.start(of: slot)
    let (isTaken, _) = unsafe half(at: start).pointee.compareExchange(
      expected: State.posted, desired: State.taken, ordering: .acquiring)
    guard isTaken else { return nil }
    let kind = unsafe word(at: start + 24).pointee.load(ordering: .relaxed)
    return Post(
      slot: slot, offset: unsafe word(at: start + 8).pointee.load(ordering: .relaxed),
      bytes: unsafe word(at: start + 16).pointee.load(ordering: .relaxed),
      isStore: kind & 0xff != 0, byteCount: Int(kind >> 8 & 0xff),
      threadID: UInt32(truncatingIfNeeded: kind >> 32))
  }

  /// Gives the answer to an access.
  /// - Parameters:
  ///   - post: what was taken.
  ///   - result: bytes loaded or stored, or a negative error number.
  ///   - bytes: the register, in memory's order.
  func answer(_ post: Post, _ result: Int32, bytes: UInt64) {
    let start = Self.start(of: post.slot)
    unsafe word(at: start + 16).pointee.store(bytes, ordering: .relaxed)
    unsafe half(at: start + 4).pointee.store(UInt32(bitPattern: result), ordering: .relaxed)
    unsafe half(at: start).pointee.store(State.done, ordering: .releasing)
  }

  /// Gives an access back that was not performed: the client makes its system call.
  func giveBack(_ post: Post) {
    unsafe half(at: Self.start(of: post.slot)).pointee.store(State.returned, ordering: .releasing)
  }

  /// Whether the thread that a post names is one of the process that handed the mailbox over.
  ///
  /// Source: a request of the kernel's names the thread that waits, which no process can choose.
  func isOwn(_ post: Post) -> Bool {
    guard post.threadID != threads[post.slot] else { return post.threadID != 0 }
    guard process != 0, Self.process(of: post.threadID) == process else { return false }
    threads[post.slot] = post.threadID
    return true
  }

  // MARK: - Life

  /// Ends it: when this returns nothing is being performed for it, and nothing will be.
  func close() {
    isClosed.withLock { $0 = true }
    setAwake(false)
  }

  /// Calls a function, during which it is not closed, unless it is.
  func whileOpen(_ body: () -> Void) {
    isClosed.withLock { isClosed in if !isClosed { body() } }
  }

  /// The process of a thread; 0 when it cannot be seen. Does not allocate.
  static func process(of threadID: UInt32) -> UInt32 {
    var process: UInt32 = 0
    var name = InlineArray<16, CChar>(repeating: 0)
    let result = unsafe withUnsafeMutableBytes(of: &name) { bytes in
      unsafe csystem_task(
        threadID, &process, bytes.baseAddress?.assumingMemoryBound(to: CChar.self))
    }
    return result == 0 ? process : 0
  }

  // MARK: - Layout

  private static func start(of slot: Int) -> Int { 64 + slot * 64 }

  private func word(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  private func half(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
  }
}
