internal import TraceRecords
internal import XIVEModel

/// What was done to a page, or by a thread, in one interval.
struct TopUses: Hashable, Sendable {
  var faults = 0
  var refaults = 0
  var buserrors = 0
  var exact = 0
  var writeBacks = 0
  var requests = 0
  var nanoseconds: UInt64 = 0

  init() {}

  /// One touch.
  init(_ kind: TraceKind, _ record: TraceRecord, _ nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
    switch kind {
    case .fill:
      // Nobody touches what is filled in advance.
      faults = record.cause == .prefault ? 0 : 1
      refaults = record.cause.isRefault ? 1 : 0
      buserrors = record.result == .ok ? 0 : 1
    case .load, .store: exact = 1
    default: writeBacks = 1
    }
  }

  mutating func add(_ other: TopUses) {
    faults += other.faults
    refaults += other.refaults
    buserrors += other.buserrors
    exact += other.exact
    writeBacks += other.writeBacks
    requests += other.requests
    nanoseconds += other.nanoseconds
  }

  var touches: Int { faults + exact + writeBacks + requests }
  var isEmpty: Bool { self == TopUses() }
}

/// One page of the device.
struct TopPage: Sendable {
  var current = TopUses()
  private(set) var last = TopUses()
  /// Faults since the view began.
  private(set) var faultsInAll = 0
  private(set) var cause = TraceCause.none
  /// The last touch that tells what served the page.
  private(set) var record: TraceRecord?

  mutating func take(_ record: TraceRecord, _ uses: TopUses) {
    current.add(uses)
    faultsInAll += uses.faults
    if record.kind == .fill { cause = record.cause }
    // Of other touches not all tell what served them.
    if record.kind == .fill || record.backing != nil { self.record = record }
  }

  mutating func turn() {
    last = current
    current = TopUses()
  }
}

/// One thread that touches pages.
struct TopThread: Sendable {
  /// Intervals without a sign of it after which it is forgotten; its name comes again with its next record.
  static let patience = 60

  let processID: UInt32
  var name: String?
  var current = TopUses()
  private(set) var last = TopUses()
  private(set) var idleIntervals = 0

  init(processID: UInt32) { self.processID = processID }

  mutating func turn() {
    last = current
    current = TopUses()
    idleIntervals = last.isEmpty ? idleIntervals + 1 : 0
  }
}

/// Counts of one interval that belong to no page.
struct TopInterval: Sendable {
  private(set) var kinds: [TraceKind: Int] = [:]
  var fills = Latencies()
  var exact = Latencies()
  var zaps = Latencies()
  /// Sources whose state was told.
  var touched: Set<UInt32> = []
  var lost: UInt64 = 0

  mutating func count(_ kind: TraceKind) { kinds[kind, default: 0] += 1 }
}
