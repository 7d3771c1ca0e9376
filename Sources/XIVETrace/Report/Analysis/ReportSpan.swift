internal import TraceRecords

/// The time that a trace covers, in equal bins.
struct ReportSpan: Hashable, Sendable {
  static let binCount = 200

  /// The first event's beginning, in nanoseconds of `CLOCK_MONOTONIC`.
  let start: UInt64
  /// Nanoseconds from there to the last event's end.
  let duration: UInt64

  init(_ records: [TraceRecord]) {
    var first = UInt64.max
    var last: UInt64 = 0
    for record in records where record.isEvent {
      first = min(first, record.time)
      // Waiting lies before its time.
      last = max(last, record.time &+ min(record.duration, UInt64(record.serviceTime)))
    }
    start = first == .max ? 0 : first
    duration = last > start ? last - start : 0
  }

  /// Nanoseconds of a bin.
  var binWidth: UInt64 { duration / UInt64(Self.binCount) + 1 }

  /// The bin of a moment.
  func bin(_ time: UInt64) -> Int {
    time <= start ? 0 : Int(min((time - start) / binWidth, UInt64(Self.binCount - 1)))
  }

  /// Where a bin begins, in nanoseconds from the start.
  func start(ofBin bin: Int) -> UInt64 { UInt64(bin) * binWidth }
}
