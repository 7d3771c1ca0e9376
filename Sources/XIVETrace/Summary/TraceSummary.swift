public import TraceRecords
public import XIVEModel

/// What a trace comes to: faults by place and cause, what they cost, what was refused, what was lost.
///
/// Takes records one by one, in memory that grows with the places that were touched.
public struct TraceSummary: Sendable {
  /// Where a fault happened.
  public enum Place: Hashable, Sendable {
    /// A source's pages, in any window.
    case source(UInt32)
    /// A page of no source.
    case page(PageTarget)
    /// Where no page can be.
    case elsewhere
  }

  /// Faults at a place.
  public struct Faults: Hashable, Sendable {
    /// Served, by cause.
    public fileprivate(set) var causes: [TraceCause: UInt64] = [:]
    /// Ended in `SIGBUS`.
    public fileprivate(set) var refused: UInt64 = 0

    /// All that were served.
    public var served: UInt64 { causes.values.reduce(0, +) }
    /// Those of pages that had been filled before.
    public var refaults: UInt64 { causes.reduce(0) { $0 + ($1.key.isRefault ? $1.value : 0) } }
    /// Served and refused.
    public var total: UInt64 { served + refused }
  }

  private let map: DeviceMap
  /// Records, but names of threads and gaps, by kind.
  public private(set) var kinds: [TraceKind: UInt64] = [:]
  /// Faults by place.
  public private(set) var places: [Place: Faults] = [:]
  /// Faults of all places.
  public private(set) var faults = Faults()
  /// Pages that the server filled by itself.
  public private(set) var prefaults: UInt64 = 0
  /// `SIGBUS` by reason.
  public private(set) var sigbus: [TraceResult: UInt64] = [:]
  /// What guests did wrong: by the place in `struct xive_info_guest_errors`.
  public private(set) var guestErrors: [UInt64: UInt64] = [:]
  /// Records that were overwritten before they were read.
  public private(set) var lost: UInt64 = 0
  /// The answers to page faults that were served.
  public private(set) var fills = Latencies()
  /// Exact loads and stores.
  public private(set) var exact = Latencies()
  /// Zaps.
  public private(set) var zaps = Latencies()
  /// From the first record's beginning to the last one's end, in nanoseconds of `CLOCK_MONOTONIC`.
  public private(set) var span: ClosedRange<UInt64>?

  /// Begins with nothing.
  /// - Parameter map: the layout of the device.
  public init(_ map: DeviceMap) { self.map = map }

  /// The part of the faults that were of pages that had been filled before; nil without faults.
  public var refaultRatio: Double? {
    faults.served > 0 ? Double(faults.refaults) / Double(faults.served) : nil
  }

  /// Takes a record.
  /// - Parameter record: what happened.
  public mutating func add(_ record: TraceRecord) {
    if record.kind == .gap { lost.addSaturating(record.value) }
    let event = TraceEvent(record, map)
    guard let kind = record.kind, kind != .gap, !event.isBookkeeping else { return }
    kinds[kind, default: 0] += 1
    extend(event)
    switch kind {
    case .fill: add(fill: event)
    case .load, .store: exact.add(event.duration)
    case .zap: zaps.add(event.duration)
    case .guestError: guestErrors[record.value, default: 0] += 1
    default: break
    }
  }

  private mutating func extend(_ event: TraceEvent) {
    let time = event.record.time
    let end = max(time, event.end)
    span = span.map { min($0.lowerBound, time)...max($0.upperBound, end) } ?? time...end
  }

  private mutating func add(fill event: TraceEvent) {
    let record = event.record
    if event.isRefusedRange { return }
    if record.result == .ok, record.cause == .prefault {
      prefaults.addSaturating(event.pageCount)
      return
    }
    let place = Self.place(event)
    if record.result == .ok {
      fills.add(event.duration)
      faults.causes[record.cause, default: 0] += 1
      places[place, default: Faults()].causes[record.cause, default: 0] += 1
    } else {
      sigbus[record.result, default: 0] += 1
      faults.refused += 1
      places[place, default: Faults()].refused += 1
    }
  }

  private static func place(_ event: TraceEvent) -> Place {
    switch event.target {
    case .esb(let lisn, _): .source(lisn.rawValue)
    case .some(let target): .page(target)
    case nil: .elsewhere
    }
  }
}
