/// Follows what is done for a device: who touched what, what it cost, which pages were dropped.
///
/// Whoever serves a device looks at ``isOn`` once a request, and calls the rest only where it was on: a request's
/// three calls come from one thread, ``began(_:)`` first, and no other request's in between.
///
/// Thread rule: from any thread; nothing here may wait, allocate or touch the file.
public protocol RequestTracer: AnyObject, Sendable {
  /// Whether anybody wants to know.
  var isOn: Bool { get }

  /// Tells that the calling thread begins to handle a request.
  /// - Parameter origin: who asks, and since when.
  func began(_ origin: RequestOrigin)

  /// Tells what the answer is, before it is sent.
  /// - Parameters:
  ///   - request: what was asked.
  ///   - error: the error number of the answer; 0 for none.
  func answering(_ request: TracedRequest, _ error: Int32)

  /// Tells that the answer has been sent, or that the request needs none from this thread.
  func answered()

  /// Tells that pages are about to be dropped.
  /// - Parameters:
  ///   - range: byte offsets.
  ///   - reason: why.
  func dropping(_ range: Range<UInt64>, _ reason: DropReason)

  /// Tells that pages have been dropped.
  /// - Parameters:
  ///   - range: byte offsets.
  ///   - reason: why.
  ///   - since: when it was asked for, and when it was begun, in nanoseconds of `CLOCK_MONOTONIC`.
  func dropped(_ range: Range<UInt64>, _ reason: DropReason, since: (asked: UInt64, begun: UInt64))

  /// Tells that bytes have been replaced in pages that consumers have mapped.
  /// - Parameters:
  ///   - range: byte offsets.
  ///   - begun: when it was begun, in nanoseconds of `CLOCK_MONOTONIC`.
  func updated(_ range: Range<UInt64>, since begun: UInt64)

  /// Tells that pages have been filled that nobody had touched.
  /// - Parameters:
  ///   - range: byte offsets, of pages that exist.
  ///   - begun: when it was begun, in nanoseconds of `CLOCK_MONOTONIC`.
  func prefilled(_ range: Range<UInt64>, since begun: UInt64)
}

/// Who made a request.
public struct RequestOrigin: Sendable {
  /// The thread that waits for the answer; 0 for the kernel itself.
  public let threadID: UInt32
  /// Since when the request is known to have waited, in nanoseconds of `CLOCK_MONOTONIC`; nil when it has not.
  public let waitingSince: UInt64?

  /// Describes who made a request.
  public init(threadID: UInt32, waitingSince: UInt64? = nil) {
    self.threadID = threadID
    self.waitingSince = waitingSince
  }
}

/// What was asked.
public enum TracedRequest: Hashable, Sendable {
  /// A page fill, the answer to a fault: byte offset and bytes.
  case fill(UInt64, Int)
  /// An exact load: byte offset and bytes.
  case load(UInt64, Int)
  /// An exact store: byte offset, bytes, and whether the kernel has dropped the page for it.
  case store(UInt64, Int, dropsPage: Bool)
  /// Pages that were stored to through mappings: byte offset and bytes.
  case writeBack(UInt64, Int)
  /// Something that the device follows by itself, or not at all.
  case other
}

/// Why pages were dropped: a number that the device knows.
public struct DropReason: RawRepresentable, Hashable, Sendable {
  /// The number.
  public let rawValue: UInt8

  /// Names a reason of the device's own.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// No reason in particular.
  public static let other = DropReason(rawValue: .max)
  /// The page cache took a store that it must not keep.
  public static let cachedStore = DropReason(rawValue: 0)
}
