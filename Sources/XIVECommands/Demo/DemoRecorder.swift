internal import Synchronization
internal import SystemCalls
internal import TraceRecords
internal import XIVEClient
internal import XIVETrace

/// Follows a device from its start on, on a thread of its own: all that happens for the report, and the faults for what
/// the demo shows in between.
final class DemoRecorder: Sendable {
  private struct State {
    var records: [TraceRecord] = []
    /// Records that there was no room for.
    var dropped: UInt64 = 0
    /// The number of the next record.
    var position: UInt64 = 0
    /// Records whose faults have been shown.
    var shown = 0
    /// Whether the device makes records.
    var hasBegun = false
    /// Whether nothing more comes.
    var isAtEnd = false
  }

  private let device: TracedDevice
  private let state = Mutex(State())
  private let isFinished = Atomic(false)

  /// Records that are kept; what comes behind them is counted.
  private static let limit = 1 << 20
  /// Between two looks, so that records come in batches: long before they would be overwritten.
  private static let pause: UInt64 = 5_000_000

  /// Begins to follow a device; when this returns the device makes records.
  /// - Parameter path: where it is served.
  /// - Throws: `XIVEClientError`; `Errno` for a thread that cannot be started.
  init(_ path: String) throws {
    device = try DeviceTraceSource(path).describe(path)
    let threads = ThreadGroup()
    try threads.start("recorder") { [self] in
      try? follow()
      state.withLock { $0.isAtEnd = true }
    }
    threads.detach()
    awaitRecords(upTo: 0)
  }

  /// Takes records until it is told to end, or until nobody gives any.
  private func follow() throws {
    var stream = try TraceStream(try DeviceTraceSource(device.path), from: .oldest)
    while !isFinished.load(ordering: .acquiring) {
      let records = try stream.read()
      keep(records, stream.position)
      if records.isEmpty { MonotonicClock.sleep(nanoseconds: Self.pause) }
    }
  }

  private func keep(_ records: [TraceRecord], _ position: UInt64) {
    state.withLock { state in
      let room = Self.limit - state.records.count
      state.records += records.prefix(room)
      state.dropped += UInt64(max(0, records.count - room))
      state.position = position
      state.hasBegun = true
    }
  }

  /// Waits until the records below a number are there; for 10 s at most.
  private func awaitRecords(upTo position: UInt64) {
    for _ in 0..<2_000 {
      let isThere = state.withLock { $0.hasBegun && $0.position >= position || $0.isAtEnd }
      if isThere { return }
      MonotonicClock.sleep(nanoseconds: Self.pause)
    }
  }

  /// The faults since the last call, each once.
  /// - Throws: `XIVEClientError` for a server that has gone.
  func takeFaults() throws(XIVEClientError) -> [TraceRecord] {
    awaitRecords(upTo: try DeviceTraceSource(device.path).info().next)
    return state.withLock { state in
      defer { state.shown = state.records.count }
      return state.records[state.shown...].filter { $0.kind == .fill && $0.cause != .again }
    }
  }

  /// Ends, and gives all that was recorded.
  func finish() -> Trace {
    if let end = try? DeviceTraceSource(device.path).info().next { awaitRecords(upTo: end) }
    isFinished.store(true, ordering: .releasing)
    awaitRecords(upTo: .max)
    return state.withLock { state in
      var records = state.records
      if state.dropped > 0, let last = records.last {
        var gap = TraceRecord(.gap, sequence: last.sequence + 1, time: last.time)
        gap.value = state.dropped
        records.append(gap)
      }
      return Trace(device: device, records: records)
    }
  }
}
