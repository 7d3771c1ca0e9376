internal import CFuse3
internal import Glibc
internal import PagedDevice
internal import Synchronization
internal import SystemCalls

/// A libfuse session: one file of one device, mounted.
///
/// Thread rule: notifications from any thread that serves no requests; mounting and unmounting by the owner.
@safe
final class Session: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): created in `init`, destroyed in `deinit`; libfuse's session functions
  // that are used here lock for themselves.
  let pointer: OpaquePointer
  /// Wakes those who wait in `poll`, until the file is unmounted.
  let pollNotifications: PollNotifications
  let cachedPages: CachedPages
  let mailboxes: Mailboxes
  private let path: String
  /// The number of the mounted file system.
  private let device: String?
  private let context: Unmanaged<SessionContext>
  private let isUnmounted = Atomic<Bool>(false)

  /// Mounts the file.
  /// - Throws: ``DeviceFileError/mountFailed(_:_:)`` with libfuse's reason.
  init(_ context: SessionContext, at path: String, name: String) throws(DeviceFileError) {
    SessionLog.install()
    cachedPages = context.cachedPages
    mailboxes = context.mailboxes
    var operations = SessionOperations.table
    let words = unsafe Self.words(name: name)
    defer { unsafe words.forEach { unsafe free($0) } }
    let context = unsafe Unmanaged.passRetained(context)
    let created = unsafe words.withUnsafeBufferPointer { words -> OpaquePointer? in
      var arguments = unsafe fuse_args(
        argc: CInt(words.count - 1), argv: UnsafeMutablePointer(mutating: words.baseAddress),
        allocated: 0)
      defer { unsafe fuse_opt_free_args(&arguments) }
      return unsafe fuse_session_new(
        &arguments, &operations, MemoryLayout<fuse_lowlevel_ops>.size, context.toOpaque())
    }
    guard let pointer = unsafe created else {
      unsafe context.release()
      throw .mountFailed(path, SessionLog.lastLine)
    }
    guard unsafe fuse_session_mount(pointer, path) == 0 else {
      unsafe fuse_session_destroy(pointer)
      unsafe context.release()
      throw .mountFailed(path, SessionLog.lastLine)
    }
    unsafe self.pointer = pointer
    unsafe pollNotifications = PollNotifications(on: fuse_session_fd(pointer))
    self.path = path
    device = MountTable.device(at: path)
    unsafe context.takeUnretainedValue().mount = device
    unsafe self.context = context
  }

  deinit {
    unmount()
    unsafe fuse_session_destroy(pointer)
    unsafe context.release()
  }

  private static func words(name: String) -> [UnsafeMutablePointer<CChar>?] {
    var options = "fsname=\(name),subtype=\(name),default_permissions"
    // Others are let in by the file's own permissions; only root may allow that without a system setting.
    if geteuid() == 0 { options += ",allow_other" }
    return unsafe [strdup(name), strdup("-o"), strdup(options), nil]
  }

  /// Closes the connection and unmounts; consumers that are left get `ENOTCONN` and `SIGBUS`.
  func unmount() {
    guard !isUnmounted.exchange(true, ordering: .sequentiallyConsistent) else { return }
    // Before the descriptor's number can be anybody else's.
    pollNotifications.close()
    if isOnPath {
      unsafe fuse_session_unmount(pointer)
      // libfuse leaves the mount of a connection that was aborted.
      if isOnPath { try? MountTable.unmountLazily(path) }
    } else {
      // libfuse would take off whatever is mounted there now. The connection must end all the same.
      OwnedDescriptor.retire(unsafe fuse_session_fd(pointer))
    }
  }

  /// Whether the file is mounted anywhere.
  ///
  /// The kernel tells a server of its unmounting only when the last descriptor has gone, and one is ours.
  var isMounted: Bool { device.map(MountTable.isMounted) ?? true }

  private var isOnPath: Bool { device.map { MountTable.isTopmost(device: $0, at: path) } ?? true }

  /// Changes bytes of cached pages in place; whoever has them mapped sees the new bytes without a fault.
  func store(_ update: PageUpdate) {
    _ = unsafe cfuse3_notify_store(
      pointer, update.offset, UnsafeMutableRawPointer(mutating: update.bytes.baseAddress),
      update.bytes.count)
  }

  /// Drops cached pages; when it returns nobody has any of them mapped.
  func invalidate(_ range: Range<UInt64>) {
    _ = unsafe fuse_lowlevel_notify_inval_inode(
      pointer, fuse_ino_t(FUSE_ROOT_ID), off_t(range.lowerBound), off_t(range.count))
  }
}

/// libfuse's messages: kept for the error that they explain, instead of lines of their own.
private enum SessionLog {
  private static let line = Mutex("")

  static var lastLine: String { line.withLock { $0 } }

  static func install() {
    line.withLock { $0 = "" }
    unsafe fuse_set_log_func(keepLogLine)
  }

  fileprivate static func keep(_ text: String) {
    line.withLock { line in
      line = String(text.drop { $0 == "\n" }.prefix { $0 != "\n" })
    }
  }
}

private nonisolated func keepLogLine(
  _ level: fuse_log_level, _ format: UnsafePointer<CChar>?, _ arguments: CVaListPointer?
) {
  guard let format = unsafe format, let arguments = unsafe arguments else { return }
  let text = unsafe String(unsafeUninitializedCapacity: 512) { bytes in
    let written = unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
      unsafe vsnprintf(characters.baseAddress, characters.count, format, arguments)
    }
    return max(0, min(Int(written), 511))
  }
  SessionLog.keep(text)
}
