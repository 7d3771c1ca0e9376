public import TraceRecords
internal import XIVEClient
public import XIVEModel

/// A record in the controller's terms.
public struct TraceEvent: Sendable {
  /// The record.
  public let record: TraceRecord
  /// The layout of the device.
  public let map: DeviceMap
  /// What the kernel knows of it, where it was asked.
  public let sight: KernelSight?

  /// Puts a record and the device's layout together.
  /// - Parameters:
  ///   - record: what happened.
  ///   - map: the layout of the device that it happened to.
  ///   - sight: what the kernel knows of it; of a record of the kernel's that record.
  public init(_ record: TraceRecord, _ map: DeviceMap, _ sight: KernelSight? = nil) {
    self.record = record
    self.map = map
    self.sight = sight ?? KernelFault(record).map { KernelSight($0) }
  }

  /// Where in the device file it happened; nil for what has no place there, such as an attribute.
  public var offset: UInt64? {
    switch record.kind {
    case .attribute, .task, .gap, nil: nil
    default: record.offset
    }
  }

  /// The region that it happened in.
  public var region: Region? {
    offset.flatMap { Region(rawValue: $0 >> Region.shift) }
  }

  /// The page that it happened to.
  public var target: PageTarget? { offset.flatMap { map.target(at: $0) } }

  /// Device pages that it is about: more than one for a fill of several, and for a zap.
  public var pageCount: UInt64 {
    switch record.kind {
    case .fill, .zap, .update:
      max(1, (record.value >> map.pageShift) + (record.value % map.pageByteCount == 0 ? 0 : 1))
    default: 1
    }
  }

  /// The sources that it is about; nil for none.
  public var sources: ClosedRange<UInt32>? {
    switch record.kind {
    case .publish, .map, .unmap: record.number.map { Self.run($0, record.value) }
    case .trigger, .forward, .eoi: record.number.map { $0...$0 }
    case .attribute: configured.map { $0...$0 }
    case .guestError: misused.map { $0...$0 }
    case .notify, .task, .gap, .plug, .unplug, .fence, nil: nil
    case .fill, .load, .store, .writeBack, .zap, .update, .kernelFault: touched
    }
  }

  /// The sources of the pages that were touched, dropped or changed.
  private var touched: ClosedRange<UInt32>? {
    switch target {
    case .esb(let lisn, let half):
      Self.run(lisn.rawValue, (pageCount + UInt64(half.rawValue) + 1) / 2)
    case .phb: record.number.map { $0...$0 }
    case .connectedTIMA, .end, .tima, nil: nil
    }
  }

  /// The source that a request is about. Groups 2, 3 and 5 name it, 0x41 the first of a run.
  private var configured: UInt32? {
    [2, 3, 5, 0x41].contains(record.generation)
      ? record.offset.flatMap { UInt32(exactly: $0) } : nil
  }

  /// The source that a guest has misused.
  private var misused: UInt32? {
    if case .esb(let lisn, _) = target { return lisn.rawValue }
    return GuestErrorName(record.value)?.object == .source ? record.number : nil
  }

  private static func run(_ first: UInt32, _ count: UInt64) -> ClosedRange<UInt32> {
    let last = UInt64(first) + max(1, min(count, UInt64(UInt32.max))) - 1
    return first...UInt32(min(last, UInt64(UInt32.max)))
  }

  /// Whether it has nothing to tell that another record does not: names, and the kernel's second question for one
  /// `SIGBUS`.
  public var isBookkeeping: Bool { record.kind == .task || record.cause == .again }

  /// Whether a toucher got `SIGBUS`, counted once.
  public var isSIGBUS: Bool {
    record.kind == .fill && record.result != .ok && record.cause != .again && !isRefusedRange
  }

  /// Whether a fill of several pages was refused for one of them: the kernel then asks for the touched page alone.
  public var isRefusedRange: Bool {
    record.kind == .fill && record.result != .ok && record.value > 4_096
  }

  /// When it was done, in nanoseconds of `CLOCK_MONOTONIC`. Waiting lies before ``/TraceRecords/TraceRecord/time``.
  public var end: UInt64 { record.time &+ serviceTime }

  /// Nanoseconds of waiting and of service; 0 where nobody has measured.
  public var duration: UInt64 { queueTime + serviceTime }

  // Of what the kernel saw the fields of the times hold an address.

  /// Nanoseconds of waiting.
  var queueTime: UInt64 { record.kind == .kernelFault ? 0 : UInt64(record.queueTime) }

  /// Nanoseconds of service.
  var serviceTime: UInt64 {
    KernelFault(record).map { $0.duration ?? 0 } ?? UInt64(record.serviceTime)
  }
}
