internal import TraceRecords

/// What each consumer's thread did when.
struct ReportConsumers: Sendable {
  /// The most threads that get a lane.
  static let limit = 16

  private let span: ReportSpan
  private var threads: [UInt32: Lane] = [:]
  private(set) var names: [UInt32: String] = [:]

  /// A thread.
  struct Lane: Hashable, Sendable {
    let threadID: UInt32
    let processID: UInt32
    var counts = ReportCounts()
    var accesses: UInt64 = 0
    /// By bin.
    var faults = [UInt64](repeating: 0, count: ReportSpan.binCount)
    var exact = faultless
    var sigbus = faultless

    private static let faultless = [UInt64](repeating: 0, count: ReportSpan.binCount)

    var activity: UInt64 { counts.faults + accesses }
  }

  init(_ span: ReportSpan) { self.span = span }

  mutating func add(_ record: TraceRecord) {
    if let name = record.threadName { names[record.threadID] = name }
    guard record.isConsumers else { return }
    let bin = span.bin(record.time)
    let empty = Lane(threadID: record.threadID, processID: record.processID)
    if record.isTouch {
      threads[record.threadID, default: empty].counts += record.faultCounts
      threads[record.threadID, default: empty].faults[bin] += 1
      if record.result != .ok { threads[record.threadID, default: empty].sigbus[bin] += 1 }
    } else {
      threads[record.threadID, default: empty].accesses += 1
      threads[record.threadID, default: empty].exact[bin] += 1
    }
  }

  /// How many threads there are.
  var count: Int { threads.count }

  /// The busiest threads, by process and thread.
  var lanes: [Lane] {
    threads.values.sorted { ($1.activity, $0.threadID) < ($0.activity, $1.threadID) }
      .prefix(Self.limit)
      .sorted { ($0.processID, $0.threadID) < ($1.processID, $1.threadID) }
  }

  /// What people call a thread: its name and number, as `perf` writes them.
  func name(_ threadID: UInt32) -> String {
    guard threadID != 0 else { return "kernel" }
    return "\(names[threadID] ?? "?")/\(threadID)"
  }
}
