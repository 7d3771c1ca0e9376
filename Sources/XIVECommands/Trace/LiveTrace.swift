internal import Glibc
internal import SystemCalls
internal import TraceRecords
internal import XIVETrace

/// Follows a device's records into a sink, until it is told to stop, or has enough.
struct LiveTrace<Sink: TraceSink & ~Copyable>: ~Copyable {
  /// When to stop.
  struct Limits {
    /// Whether to wait for what happens; otherwise what is kept is all.
    var goesOn: Bool
    /// Events.
    var count: UInt64?
    /// A moment of `CLOCK_MONOTONIC`, in nanoseconds.
    var deadline: UInt64?
  }

  /// How it ended.
  enum End {
    /// As it was told to.
    case done
    /// Nobody reads what it prints any more.
    case unread
  }

  private var stream: TraceStream<DeviceTraceSource>
  private var sink: Sink
  private var selection: TraceSelection
  private let limits: Limits
  private let startWatch: () -> KernelWatch?
  private var kernel: KernelWatch?
  private var progress: TraceProgress
  /// What was selected comes to this.
  private(set) var summary: TraceSummary
  /// Events that were selected.
  private(set) var count: UInt64 = 0

  init(
    _ stream: consuming TraceStream<DeviceTraceSource>, _ selection: TraceSelection,
    into sink: consuming Sink, _ limits: Limits, _ startWatch: @escaping () -> KernelWatch?
  ) {
    self.startWatch = startWatch
    progress = TraceProgress(isOn: sink.byteCount != nil)
    self.stream = stream
    self.sink = sink
    self.selection = selection
    self.limits = limits
    summary = TraceSummary(selection.map)
  }

  /// Whether records have been read.
  var hasRead: Bool { stream.lost > 0 || hasRecords }
  private var hasRecords = false

  private let ownID = UInt32(getpid())

  /// Readers that take records in batches cost the server little.
  private static var pause: UInt64 { 10_000_000 }

  /// Follows the device.
  /// - Returns: how it ended.
  /// - Throws: `TraceStreamError`, `TraceFileError`; what came before has been shown.
  mutating func run() throws -> End {
    defer { progress.clear() }
    let kept = try stream.end()
    // The device's records first: a fault from before would look as if it had not reached the server.
    guard try take() else { return .unread }
    kernel = startWatch()
    while try !isDone(kept) {
      guard try take() else { return .unread }
      guard limits.goesOn, !isStopped else { continue }
      if stream.wait(milliseconds: waitingTime) { MonotonicClock.sleep(nanoseconds: Self.pause) }
    }
    if let kernel { show(kernel.finish()) }
    try sink.end()
    return .done
  }

  /// What happened until it was told to stop is shown as well.
  private mutating func isDone(_ kept: UInt64) throws(TraceStreamError) -> Bool {
    if let wanted = limits.count, count >= wanted { return true }
    if !limits.goesOn { return stream.position >= kept }
    guard isStopped else { return false }
    if end == nil { end = try stream.end() }
    return end.map { stream.position >= $0 } ?? false
  }
  private var end: UInt64?

  private var isStopped: Bool {
    StopSignals.isPending || limits.deadline.map { MonotonicClock.nanoseconds >= $0 } ?? false
  }

  /// Signals are looked at ten times a second.
  private var waitingTime: Int32 {
    let now = MonotonicClock.nanoseconds
    let left = limits.deadline.map { $0 > now ? ($0 - now) / 1_000_000 : 0 } ?? 100
    return Int32(min(left, 100))
  }

  /// Reads records, and hands those over that are wanted.
  private mutating func take() throws -> Bool {
    let records = try stream.read()
    guard !records.isEmpty || kernel != nil else { return true }
    hasRecords = hasRecords || !records.isEmpty
    for record in selection.missingNames(in: records) { add(record) }
    show(kernel?.events(adding: records) ?? records.map { FaultJoin.Event($0) })
    progress.show(count, lost: stream.lost, sink.byteCount)
    return try sink.flush()
  }

  private mutating func show(_ events: [FaultJoin.Event]) {
    for event in events {
      if let wanted = limits.count, count >= wanted { break }
      add(event.record, kernel?.sight(event))
    }
  }

  private mutating func add(_ record: TraceRecord, _ sight: KernelSight? = nil) {
    // What this program itself asks is nothing that its user did.
    if record.kind == .attribute, record.processID == ownID { return }
    let standing = selection.take(record)
    guard standing != .unwanted else { return }
    if standing == .event { count += 1 }
    summary.add(record)
    sink.add(TraceEvent(record, selection.map, sight), standing, selection.names)
  }
}

/// One line on standard error about a recording; nothing when that is no terminal.
struct TraceProgress {
  private let isOn: Bool
  private let start = MonotonicClock.nanoseconds
  private var shown: UInt64 = 0

  init(isOn: Bool) { self.isOn = isOn && errorsAreWatched }

  /// Shows how far it is, four times a second.
  mutating func show(_ count: UInt64, lost: UInt64, _ byteCount: UInt64?) {
    let now = MonotonicClock.nanoseconds
    guard isOn, now - shown >= 250_000_000 else { return }
    shown = now
    let losses = lost > 0 ? ", \(lost) records lost" : ""
    writeError(
      "\r\u{1b}[K\((now - start) / 1_000_000_000) s: \(count) events, \((byteCount ?? 0) / 1_024) KiB\(losses)"
    )
  }

  /// Wipes the line.
  func clear() { if isOn { writeError("\r\u{1b}[K") } }
}
