internal import CFuse3
internal import Glibc
internal import PagedDevice
internal import Synchronization
internal import SystemCalls

/// What libfuse's callbacks need: the device, who tells the kernel of changes, and the file's attributes.
final class SessionContext: Sendable {
  let device: any PagedDevice
  let notifier: Notifier
  let listener: EventListener
  let cachedPages: CachedPages
  let mailboxes: Mailboxes
  /// Owner and permissions of the file that is mounted over.
  let underlying: FileStatus
  private let nextOpener = Atomic<UInt64>(1)
  private let mounted = Mutex<String?>(nil)

  init(
    _ device: any PagedDevice, _ notifier: Notifier, _ listener: EventListener,
    _ underlying: FileStatus
  ) {
    self.device = device
    self.notifier = notifier
    self.listener = listener
    self.underlying = underlying
    cachedPages = CachedPages()
    mailboxes = Mailboxes(cachedPages)
  }

  /// The number of the mounted file system, once it is mounted; requests come later.
  var mount: String? {
    get { mounted.withLock { $0 } }
    set { mounted.withLock { $0 = newValue } }
  }

  func makeOpener(isWritable: Bool, isReadable: Bool) -> Opener {
    Opener(
      id: nextOpener.wrappingAdd(1, ordering: .relaxed).oldValue, isWritable: isWritable,
      isReadable: isReadable)
  }

  /// The size that every device file has, in bytes.
  static let fileByteCount: off_t = 1 << 62

  /// Constant attributes: a size or a time that changed would make the kernel drop all pages.
  var attributes: stat {
    var info = stat()
    info.st_ino = 1
    info.st_mode = S_IFREG | underlying.mode & 0o777
    info.st_nlink = 1
    info.st_uid = underlying.userID
    info.st_gid = underlying.groupID
    info.st_size = Self.fileByteCount
    info.st_blksize = blksize_t(device.pageByteCount)
    return info
  }

  /// Tells the device that a descriptor has gone, and has its pages dropped.
  func closed(_ opener: Opener) {
    // First: the device does not hear of it again.
    mailboxes.close(opener)
    guard let invalidation = device.closed(opener) else { return }
    // Once the notifier has ended nobody is left to see a page.
    _ = notifier.carryOut(invalidation) {}
  }

  static func of(_ request: fuse_req_t?) -> SessionContext? {
    guard let data = unsafe fuse_req_userdata(request) else { return nil }
    return unsafe Unmanaged<SessionContext>.fromOpaque(data).takeUnretainedValue()
  }
}

/// The requests that go through libfuse: everything but fills, accesses and write-back.
///
/// Callbacks are free functions: a closure written where an actor is isolated would trap on these threads.
enum SessionOperations {
  static var table: fuse_lowlevel_ops {
    var table = fuse_lowlevel_ops()
    unsafe table.`init` = initialize
    unsafe table.getattr = getAttributes
    unsafe table.setattr = setAttributes
    unsafe table.open = openFile
    unsafe table.release = releaseFile
    unsafe table.fsync = synchronizeFile
    unsafe table.ioctl = controlFile
    unsafe table.lseek = seekFile
    return table
  }

  /// Attributes never change, so that the kernel never needs to ask again.
  static let attributeTimeout = 1e9
}

private nonisolated func initialize(
  _ data: UnsafeMutableRawPointer?, _ connection: UnsafeMutablePointer<fuse_conn_info>?
) {
  guard let connection = unsafe connection else { return }
  // One page a fault, and nothing that would drop pages behind our back: neither changed attributes nor
  // truncation, which with ATOMIC_O_TRUNC an open could bring along.
  unsafe connection.pointee.max_readahead = 0
  unsafe connection.pointee.want &= ~UInt32(
    FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_ASYNC_DIO
      | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE
      | FUSE_CAP_SPLICE_MOVE)
  unsafe connection.pointee.want |=
    connection.pointee.capable & UInt32(FUSE_CAP_EXPLICIT_INVAL_DATA)
}

private nonisolated func getAttributes(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?
) {
  unsafe replyAttributes(request)
}

private nonisolated func replyAttributes(_ request: fuse_req_t?) {
  guard let context = unsafe SessionContext.of(request) else { return }
  var attributes = context.attributes
  _ = unsafe fuse_reply_attr(request, &attributes, SessionOperations.attributeTimeout)
}

private nonisolated func setAttributes(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ attributes: UnsafeMutablePointer<stat>?,
  _ toSet: CInt, _ info: UnsafeMutablePointer<fuse_file_info>?
) {
  if toSet & CInt(FUSE_SET_ATTR_SIZE) != 0 {
    _ = unsafe fuse_reply_err(request, EINVAL)
  } else if toSet & CInt(FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID) != 0 {
    _ = unsafe fuse_reply_err(request, EPERM)
  } else {
    // Times are taken and not kept: `touch` is no error.
    unsafe replyAttributes(request)
  }
}

private nonisolated func openFile(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?
) {
  guard let context = unsafe SessionContext.of(request), let info = unsafe info else { return }
  let mode = unsafe info.pointee.flags & O_ACCMODE
  let opener = context.makeOpener(isWritable: mode != O_RDONLY, isReadable: mode != O_WRONLY)
  unsafe info.pointee.fh = opener.handle
  // Without this each open would drop the pages that all others have mapped.
  unsafe cfuse3_keep_pages(info)
  if unsafe fuse_reply_open(request, info) != 0 { context.closed(opener) }
}

private nonisolated func releaseFile(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?
) {
  if let context = unsafe SessionContext.of(request), let info = unsafe info {
    context.closed(Opener(handle: unsafe info.pointee.fh))
  }
  _ = unsafe fuse_reply_err(request, 0)
}

private nonisolated func synchronizeFile(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ dataOnly: CInt,
  _ info: UnsafeMutablePointer<fuse_file_info>?
) {
  // The kernel has written the pages back already, and each took effect before it was answered.
  _ = unsafe fuse_reply_err(request, 0)
}

private nonisolated func controlFile(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ number: CUnsignedInt,
  _ argument: UnsafeMutableRawPointer?, _ info: UnsafeMutablePointer<fuse_file_info>?,
  _ flags: CUnsignedInt, _ input: UnsafeRawPointer?, _ inputByteCount: Int, _ outputByteCount: Int
) {
  guard let context = unsafe SessionContext.of(request), let info = unsafe info,
    let caller = unsafe fuse_req_ctx(request)
  else { return }
  let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: input, count: inputByteCount))
  let process = CallingProcess(
    threadID: unsafe caller.pointee.pid, mount: context.mount, listener: context.listener)
  var control = ControlRequest(
    number: number, input: bytes, argument: UInt64(UInt(bitPattern: argument)),
    outputByteCount: outputByteCount, opener: Opener(handle: unsafe info.pointee.fh),
    caller: process)
  do {
    guard number != MailboxRequest.number else {
      try MailboxRequest.perform(control, ofThread: process.threadID, context.mailboxes)
      return unsafe ControlAnswer(request: request, result: 0, output: []).send()
    }
    let result = try context.device.control(&control)
    let answer = unsafe ControlAnswer(
      request: request, result: result, output: Array(control.output.prefix(outputByteCount)))
    guard let invalidation = control.invalidation else { return answer.send() }
    // Answered by the notifier: a request thread does not wait for it.
    if !context.notifier.carryOut(invalidation, then: answer.send) { answer.fail(ENOTCONN) }
  } catch {
    _ = unsafe fuse_reply_err(request, error.rawValue)
  }
}

/// The answer to a control request, for whichever thread gives it; once.
@safe
private struct ControlAnswer: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): libfuse keeps the request until it is answered, by any thread.
  private let request: fuse_req_t?
  private let result: Int32
  private let output: [UInt8]

  init(request: fuse_req_t?, result: Int32, output: [UInt8]) {
    unsafe self.request = request
    self.result = result
    self.output = output
  }

  func send() {
    _ = unsafe output.withUnsafeBytes { bytes in
      unsafe fuse_reply_ioctl(request, result, bytes.baseAddress, bytes.count)
    }
  }

  func fail(_ error: CInt) { _ = unsafe fuse_reply_err(request, error) }
}

private nonisolated func seekFile(
  _ request: fuse_req_t?, _ inode: fuse_ino_t, _ offset: off_t, _ whence: CInt,
  _ info: UnsafeMutablePointer<fuse_file_info>?
) {
  guard let context = unsafe SessionContext.of(request) else { return }
  if (0..<SessionContext.fileByteCount).contains(offset),
    let found = context.device.seek(from: UInt64(offset), toHole: whence == seekHole)
  {
    _ = unsafe fuse_reply_lseek(request, off_t(found))
  } else {
    _ = unsafe fuse_reply_err(request, ENXIO)
  }
}

/// Linux's `SEEK_HOLE`, which Swift's Glibc module lacks; the kernel asks for nothing else but `SEEK_DATA`.
private let seekHole: CInt = 4

extension PagedDevice {
  /// Finds the next byte that is part of a page, or the next that is not.
  /// - Parameters:
  ///   - offset: byte offset to start from.
  ///   - hole: whether a byte without a page is wanted.
  /// - Returns: its offset, or nil when no page follows.
  func seek(from offset: UInt64, toHole hole: Bool) -> UInt64? {
    var position = offset
    guard hole else {
      return segment(endingAfter: offset).map { max(offset, $0.lowerBound) }
    }
    while let segment = segment(endingAfter: position), segment.contains(position) {
      position = segment.upperBound
    }
    return position
  }
}
