internal import TraceRecords

/// The events that took longest.
struct ReportSlowest: Sendable {
  /// How many are kept.
  static let limit = 200

  private var kept: [TraceRecord] = []

  mutating func add(_ record: TraceRecord) {
    guard record.isEvent, record.duration > 0 else { return }
    kept.append(record)
    // Sorted now and then rather than for each: the cost stays small, and so does the list.
    if kept.count == Self.limit * 16 { cut() }
  }

  private mutating func cut() { kept = events }

  /// From the slowest on; of equals the earlier first.
  var events: [TraceRecord] {
    Array(
      kept.sorted { ($1.duration, $0.sequence) < ($0.duration, $1.sequence) }.prefix(Self.limit))
  }
}
