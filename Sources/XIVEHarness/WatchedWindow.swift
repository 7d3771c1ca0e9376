internal import CHarness
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The watched pages, as one consumer process has them mapped.
@safe
final class WatchedWindow: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): all are mapped in `init` and stay so; what watchers share in them is atomic.
  private let board: UnsafeMutablePointer<charness_board>
  private let mapping: UnsafeMutablePointer<charness_mapping>?
  private let trapped: UnsafeMutablePointer<charness_mapping>?
  private let access: ConsumerAccess
  private let device: OwnedDescriptor
  private let boardFile: OwnedDescriptor

  init(_ path: String, _ boardPath: String, _ plan: ConsumerPlan) throws(Errno) {
    let isChanging = plan.stores || plan.guestTriggers != nil
    device = try OwnedDescriptor(opening: path, isChanging ? [.readWrite, .direct] : [.direct])
    // Until somebody asks, the kernel takes a mounted file for empty.
    _ = try device.status()
    boardFile = try OwnedDescriptor(opening: boardPath, [.readWrite])
    var mapped: UnsafeMutablePointer<charness_board>?
    try valueOrErrno(unsafe charness_board_map(boardFile.rawValue, &mapped))
    guard let mapped = unsafe mapped else { throw Errno.noMemory }
    unsafe board = mapped
    access = plan.access
    let layout = plan.isPerPage ? CHARNESS_PER_PAGE : CHARNESS_WINDOW
    let (fd, isWritable) = (device.rawValue, plan.stores ? 1 : 0 as Int32)
    unsafe mapping =
      access == .trapped
      ? nil
      : try Self.made { unsafe charness_map($0, mapped, fd, layout, isWritable) }
    unsafe trapped =
      access == .mapped
      ? nil
      : try Self.made { unsafe charness_map_trapped($0, mapped, fd, layout, isWritable) }
    if plan.wantsHugePages { try adviseHugePages() }
  }

  private static func made(
    _ map: (UnsafeMutablePointer<charness_mapping>) -> CInt
  ) throws(Errno) -> UnsafeMutablePointer<charness_mapping> {
    let mapping = UnsafeMutablePointer<charness_mapping>.allocate(capacity: 1)
    unsafe mapping.initialize(to: charness_mapping())
    try valueOrErrno(unsafe map(mapping))
    return unsafe mapping
  }

  /// Has the kernel fill whole ranges at one touch, as a VMM does for its guest's memory.
  private func adviseHugePages() throws(Errno) {
    guard let mapping = unsafe mapping else { return }
    let length = unsafe Int(mapping.pointee.length)
    guard unsafe madvise(mapping.pointee.base, length, MADV_HUGEPAGE) == 0 else {
      throw Errno(rawValue: errno)
    }
  }

  /// Watches all pages until the board says stop.
  /// - Returns: 0, or an error number.
  func watch(_ slot: UInt32, stores: Bool) -> Int32 {
    var options = charness_watch_options()
    options.slot = slot
    unsafe options.page_count = board.pointee.page_count
    options.flags = stores ? CHARNESS_STORE : 0
    if access.isTrapped(Int(slot)), let trapped = unsafe trapped {
      return unsafe -charness_watch_trapped(trapped, board, &options)
    }
    guard let mapping = unsafe mapping else { return EINVAL }
    return unsafe -charness_watch(mapping, board, &options)
  }

  /// Has a guest watch all pages until the board says stop, and ring by an ioeventfd now and then.
  func runGuest(_ slot: UInt32, triggers offset: UInt64) {
    var options = charness_guest_options()
    options.slot = slot
    unsafe options.page_count = board.pointee.page_count
    // Otherwise KVM asks for write access at a load as well, and a dirty trigger page is a trigger.
    options.flags = CHARNESS_GUEST_READ_ONLY
    options.trigger_every = 64
    options.trigger_offset = offset
    var result = charness_guest_result()
    let error = unsafe mapping.map { unsafe charness_guest_run($0, board, &options, &result) }
    // The harness sees only that nobody watches any more.
    if error != 0 { unsafe charness_end_slot(board, slot) }
  }

  /// Takes part of the window away and maps it again.
  func split(at offset: UInt64, byteCount: UInt64) throws(Errno) {
    if let mapping = unsafe mapping {
      try valueOrErrno(unsafe charness_split(mapping, board, offset, byteCount))
    }
    if let trapped = unsafe trapped {
      try valueOrErrno(unsafe charness_split(trapped, board, offset, byteCount))
    }
  }
}
