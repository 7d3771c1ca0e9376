import PagedDevice
import Synchronization

/// A device that writes down what it is asked, and answers by simple rules.
///
/// Pages exist where bit 12 of the offset is clear, unless told otherwise; accesses of 8 bytes are taken, all others refused.
final class RecordingDevice: PagedDevice {
  enum Call: Hashable {
    case image(UInt64)
    case load(UInt64, Int, Opener)
    case store(UInt64, [UInt8], Opener)
    case writeBack(UInt64, [UInt8])
    case control(UInt32, [UInt8], Opener)
    case isReadable(Opener)
    case closed(Opener)
  }

  private let record = Mutex<[Call]>([])
  private let changes = Mutex<[(offset: UInt64, bytes: [UInt8])]>([])
  private let next = Mutex<Invalidation?>(nil)
  private let lastWaker = Mutex<PollWaker?>(nil)
  private let readable = Mutex(false)
  private let segments: [Range<UInt64>]
  private let exists: @Sendable (UInt64) -> Bool
  // One for all, for bodies are never freed.
  private static let body = PageBody(repeating: 0xb0)

  let tracer: (any RequestTracer)?

  init(
    segments: [Range<UInt64>] = [], tracer: (any RequestTracer)? = nil,
    pages exists: @escaping @Sendable (UInt64) -> Bool = { $0 & 4_096 == 0 }
  ) {
    self.segments = segments
    self.tracer = tracer
    self.exists = exists
  }

  /// Whether descriptors are readable.
  var isReadable: Bool {
    get { readable.withLock { $0 } }
    set { readable.withLock { $0 = newValue } }
  }

  /// The waker of the last poll.
  var waker: PollWaker? { lastWaker.withLock { $0 } }

  /// What the next control request, or the next end of a descriptor, has to have carried out.
  func order(_ invalidation: Invalidation) { next.withLock { $0 = invalidation } }

  /// The calls since the last look.
  func calls() -> [Call] {
    record.withLock { calls in
      defer { calls = [] }
      return calls
    }
  }

  private func note(_ call: Call) { record.withLock { $0.append(call) } }

  var pageByteCount: Int { 4_096 }

  func attach(to host: any DeviceHost) {}

  func image(at offset: UInt64) throws(PageFault) -> PageImage {
    note(.image(offset))
    guard exists(offset) else { throw PageFault() }
    // Every other page that exists has a tail of its own.
    guard offset & 8_192 == 0 else { return PageImage(body: Self.body) }
    return PageImage(body: Self.body, tail: .init { offset + UInt64($0) })
  }

  /// The bytes that a fill of a page gives.
  func expectedImage(at offset: UInt64) -> [UInt8] {
    guard offset & 8_192 == 0 else { return [UInt8](repeating: 0xb0, count: 4_096) }
    return [UInt8](repeating: 0xb0, count: 4_032) + (0..<8).flatMap { rawBytes(offset + $0) }
  }

  func load(at offset: UInt64, into bytes: inout MutableRawSpan, by opener: Opener)
    throws(DeviceError)
  {
    note(.load(offset, bytes.byteCount, opener))
    guard bytes.byteCount == 8 else { throw .invalid }
    bytes.storeBytes(of: offset.bigEndian, toByteOffset: 0, as: UInt64.self)
  }

  func store(_ bytes: RawSpan, at offset: UInt64, by opener: Opener) throws(DeviceError) {
    note(.store(offset, bytes.array, opener))
    guard bytes.byteCount == 8 else { throw .invalid }
    guard opener.isWritable else { throw .badDescriptor }
  }

  func writeBack(_ image: RawSpan, at offset: UInt64) { note(.writeBack(offset, image.array)) }

  func control(_ request: inout ControlRequest) throws(DeviceError) -> Int32 {
    note(.control(request.number, request.input, request.opener))
    guard request.number & 0xff != 0 else { throw .unknownRequest }
    request.output = request.input.reversed()
    request.invalidation = takeOrder()
    return 3
  }

  /// The request that it handles promptly, when it brings the bytes 4 and 5.
  static let promptRequest: UInt32 = 0x5_4321

  func isPrompt(_ number: UInt32, _ input: RawSpan) -> Bool {
    number == Self.promptRequest && input.array == [4, 5]
  }

  /// What the next call for updates delivers.
  var updates: [(offset: UInt64, bytes: [UInt8])] {
    get { changes.withLock { $0 } }
    set { changes.withLock { $0 = newValue } }
  }

  func takeUpdates(_ deliver: (PageUpdate) -> Void) {
    for update in updates {
      unsafe update.bytes.withUnsafeBytes {
        deliver(unsafe PageUpdate(offset: update.offset, unsafeBytes: $0))
      }
    }
    updates = []
  }

  func segment(endingAfter offset: UInt64) -> Range<UInt64>? {
    segments.first { $0.upperBound > offset }
  }

  func isReadable(_ opener: Opener, orWake waker: PollWaker) -> Bool {
    note(.isReadable(opener))
    lastWaker.withLock { $0 = waker }
    return isReadable
  }

  func closed(_ opener: Opener) -> Invalidation? {
    note(.closed(opener))
    return takeOrder()
  }

  private func takeOrder() -> Invalidation? {
    next.withLock { next in
      defer { next = nil }
      return next
    }
  }
}

extension RawSpan {
  /// A copy of the bytes.
  var array: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}
