import CFuse3
import Glibc
import SystemCalls

@testable import DeviceFile

/// The other end of a connection that looks like `/dev/fuse`: messages go in, answers come out.
///
/// A socket that keeps messages apart; libfuse takes any descriptor that is passed as `/dev/fd/N`.
/// Source: libfuse `lib/fuse_lowlevel.c`, `fuse_session_mount`.
final class KernelSide {
  /// An answer.
  struct Answer: Hashable {
    let unique: UInt64
    /// 0, or Linux's error number.
    let error: Int32
    let body: [UInt8]
  }

  let device: RecordingDevice
  private let ours: OwnedDescriptor
  let notifier: Notifier
  let worker: Worker
  // Last, so that it is destroyed, and the descriptor closed, after the worker that uses it.
  let session: Session

  init(_ device: RecordingDevice = RecordingDevice()) throws {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_SEQPACKET.rawValue)
    precondition(unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0, "no socket")
    var room: Int32 = 4 << 20
    for end in ends {
      for option in [SO_SNDBUFFORCE, SO_RCVBUFFORCE, SO_SNDBUF] {
        unsafe setsockopt(end, SOL_SOCKET, option, &room, 4)
      }
    }
    ours = OwnedDescriptor(rawValue: ends[0])
    self.device = device
    notifier = try Notifier()
    let context = SessionContext(
      device, notifier, try EventListener(), try FileStatus(ofPath: "/dev/null"))
    session = try Session(context, at: "/dev/fd/\(ends[1])", name: "test")
    try OwnedDescriptor.makeNonblocking(ends[1])
    try OwnedDescriptor.makeNonblocking(ends[0])
    worker = Worker(session, device, notifier, WaitingRequests(threadCount: 2))
  }

  /// Sends a message and lets the worker handle it.
  /// - Returns: whether it may have to wait for others, and the answers.
  func handle(_ message: [UInt8]) -> (mayBlock: Bool, answers: [Answer]) {
    let sent = unsafe message.withUnsafeBytes {
      unsafe write(ours.rawValue, $0.baseAddress, $0.count)
    }
    precondition(sent == message.count, "not sent: \(errno)")
    guard worker.receive() == .request else { return (false, []) }
    var mayBlock = false
    worker.handle(waitingSince: nil) { mayBlock = true }
    return (mayBlock, answers())
  }

  func receive() -> Worker.Received { worker.receive() }

  /// What the server has answered since the last look.
  func answers() -> [Answer] {
    var answers: [Answer] = []
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = unsafe bytes.withUnsafeMutableBytes {
        unsafe read(ours.rawValue, $0.baseAddress, $0.count)
      }
      guard count > 0, let header = bytes.leading(fuse_out_header.self) else { return answers }
      precondition(Int(header.len) == count, "an answer of \(count) bytes says \(header.len)")
      answers.append(
        Answer(unique: header.unique, error: -header.error, body: Array(bytes[16..<count])))
    }
  }

  /// Ends the connection, as an unmount does.
  func disconnect() { _ = shutdown(ours.rawValue, Int32(SHUT_RDWR)) }

  /// Runs the notifier once, to its end.
  /// - Returns: its messages.
  func notify() -> [Answer] {
    notifier.stop()
    notifier.run(session, device)
    return answers()
  }

  /// The first message of a connection; nothing else is taken by libfuse before it.
  func initialize() -> [Answer] {
    var body = fuse_init_in()
    body.major = UInt32(FUSE_KERNEL_VERSION)
    body.minor = 36
    body.max_readahead = 131_072
    body.flags = .max
    return handle(Message(FUSE_INIT, unique: 1, rawBytes(body)).bytes).answers
  }
}

extension KernelSide.Answer {
  /// The message that drops a range of pages.
  static func drop(_ range: Range<UInt64>) -> Self {
    let body = fuse_notify_inval_inode_out(
      ino: UInt64(FUSE_ROOT_ID), off: Int64(range.lowerBound), len: Int64(range.count))
    return .init(unique: 0, error: -Int32(FUSE_NOTIFY_INVAL_INODE.rawValue), body: rawBytes(body))
  }

  /// The message that wakes those who wait for a descriptor.
  static func wake(_ waiters: UInt64) -> Self {
    let body = fuse_notify_poll_wakeup_out(kh: waiters)
    return .init(unique: 0, error: -Int32(FUSE_NOTIFY_POLL.rawValue), body: rawBytes(body))
  }

  /// The message that stores bytes into pages.
  static func store(_ bytes: [UInt8], at offset: UInt64) -> Self {
    let body = fuse_notify_store_out(
      nodeid: UInt64(FUSE_ROOT_ID), offset: offset, size: UInt32(bytes.count), padding: 0)
    return .init(
      unique: 0, error: -Int32(FUSE_NOTIFY_STORE.rawValue), body: rawBytes(body) + bytes)
  }
}
