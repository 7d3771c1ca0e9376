import CFuse3
import PagedDevice
import Synchronization

@testable import DeviceFile

/// The memory of a mailbox and its client's half, field by field.
///
/// Source: `Sources/CXIVE/include/xive.h`, `struct xive_mailbox_page`.
@safe
final class ClientsMailbox: SharedMemory, @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`; tests and the leader take turns.
  let bytes: UnsafeMutableRawBufferPointer

  init() {
    unsafe bytes = .allocate(byteCount: 4_096, alignment: 64)
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe bytes.deallocate() }

  enum State: UInt32 { case free, claimed, posted, taken, done, returned }

  private func load<Value: BitwiseCopyable>(_ offset: Int, as type: Value.Type) -> Value {
    unsafe bytes.load(fromByteOffset: offset, as: type)
  }

  private func store<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
    unsafe bytes.storeBytes(of: value, toByteOffset: offset, as: Value.self)
  }

  var isAwake: Bool { load(0, as: UInt32.self) == 1 }

  var posted: UInt64 {
    get { load(8, as: UInt64.self) }
    set { store(newValue, at: 8) }
  }

  subscript(slot: Int) -> State? {
    get { State(rawValue: load(64 + slot * 64, as: UInt32.self)) }
    set { store(newValue?.rawValue ?? .max, at: 64 + slot * 64) }
  }

  func result(_ slot: Int) -> Int32 { load(64 + slot * 64 + 4, as: Int32.self) }

  func value(_ slot: Int) -> [UInt8] {
    (0..<8).map { load(64 + slot * 64 + 16 + $0, as: UInt8.self) }
  }

  /// Fills a slot in, posts it and sets its bit.
  func post(
    _ slot: Int = 0, at offset: UInt64, store data: [UInt8]? = nil, _ byteCount: UInt8 = 8,
    thread: UInt32 = 0
  ) {
    let start = 64 + slot * 64
    store(offset, at: start + 8)
    for index in 0..<8 {
      store(data.flatMap { index < $0.count ? $0[index] : nil } ?? 0xee, at: start + 16 + index)
    }
    store(UInt8(data == nil ? 0 : 1), at: start + 24)
    store(byteCount, at: start + 25)
    store(thread, at: start + 28)
    self[slot] = .posted
    posted |= 1 << slot
  }

  /// Writes any bytes over all of it.
  func scribble(_ next: () -> UInt64) {
    for word in 0..<512 { store(next(), at: word * 8) }
  }
}

extension KernelSide {
  /// Makes a mailbox of a descriptor known, as the request does.
  @discardableResult
  func addMailbox(of opener: Opener, in process: UInt32 = 0) throws -> ClientsMailbox {
    let memory = ClientsMailbox()
    try session.mailboxes.add(Mailbox(memory, of: opener, in: process))
    return memory
  }

  /// Lets the worker look into all mailboxes, as a leader does.
  @discardableResult
  func serve() -> Bool { session.mailboxes.serve(by: worker) }

  /// The last close of a descriptor.
  func release(_ opener: Opener) {
    var body = fuse_release_in()
    body.fh = opener.handle
    _ = handle(Message(FUSE_RELEASE, rawBytes(body)).bytes)
  }
}

/// A tracer that writes down what it is told.
final class RecordingTracer: RequestTracer {
  enum Call: Hashable {
    case began(UInt32)
    case answering(TracedRequest, Int32)
    case answered
  }

  private let record = Mutex<[Call]>([])

  /// The calls since the last look.
  func calls() -> [Call] {
    record.withLock { calls in
      defer { calls = [] }
      return calls
    }
  }

  private func note(_ call: Call) { record.withLock { $0.append(call) } }

  var isOn: Bool { true }
  func began(_ origin: RequestOrigin) { note(.began(origin.threadID)) }
  func answering(_ request: TracedRequest, _ error: Int32) { note(.answering(request, error)) }
  func answered() { note(.answered) }
  func dropping(_ range: Range<UInt64>, _ reason: DropReason) {}
  func dropped(
    _ range: Range<UInt64>, _ reason: DropReason, since: (asked: UInt64, begun: UInt64)
  ) {}
  func updated(_ range: Range<UInt64>, since begun: UInt64) {}
  func prefilled(_ range: Range<UInt64>, since begun: UInt64) {}
}
