internal import TraceRecords

/// What happened when, in the bins of a span.
struct ReportTimeline: Sendable {
  /// The operations that have a row, in its order.
  static let operations: [TraceKind] = [.plug, .map, .unmap, .unplug, .fence]

  let span: ReportSpan
  /// Fills by bin and ``ReportOrigin``.
  private(set) var fills = bins
  /// Zaps by bin and the origin of the refaults that they cause.
  private(set) var zaps = bins
  /// Operations by row and bin.
  private(set) var rows = [[Mark]](
    repeating: [Mark](repeating: Mark(), count: ReportSpan.binCount), count: operations.count)

  private static let bins = [[UInt64]](
    repeating: [UInt64](repeating: 0, count: ReportOrigin.allCases.count),
    count: ReportSpan.binCount)

  /// Operations of one kind in one bin.
  struct Mark: Hashable, Sendable {
    var count: UInt64 = 0
    /// The first of them.
    var first: TraceRecord?
  }

  init(_ span: ReportSpan) { self.span = span }

  mutating func add(_ record: TraceRecord) {
    guard let kind = record.kind else { return }
    let bin = span.bin(record.time)
    if let origin = ReportOrigin(record) { fills[bin][Int(origin.rawValue)] += 1 }
    if kind == .zap { zaps[bin][Int(ReportOrigin(record.cause).rawValue)] += 1 }
    guard let row = Self.operations.firstIndex(of: kind) else { return }
    rows[row][bin].count += 1
    if rows[row][bin].first == nil { rows[row][bin].first = record }
  }

  /// The most of one bin.
  static func greatest(_ bins: [[UInt64]]) -> UInt64 {
    bins.map { $0.reduce(0, +) }.max() ?? 0
  }

  /// Which origins occur at all, so that a legend names no others.
  static func occurring(_ bins: [[UInt64]]) -> [ReportOrigin] {
    ReportOrigin.allCases.filter { origin in bins.contains { $0[Int(origin.rawValue)] > 0 } }
  }
}
