internal import TraceRecords
internal import XIVEModel

/// A summary for people.
extension TraceSummary {
  /// Lines of text, each with its end.
  /// - Parameter top: how many places are listed, the ones with most faults first.
  /// - Returns: the text.
  public func text(top: Int = 20) -> String {
    var lines = [heading]
    if faults.total > 0 { lines += faultLines(top) }
    lines += latencyLines
    lines += Self.block("events by kind", kinds.map { ($0.key.name, $0.value) })
    lines += Self.block("SIGBUS by reason", sigbus.map { (Self.words($0.key), $0.value) })
    lines += Self.block(
      "guest errors",
      guestErrors.map { (GuestErrorName($0.key)?.name ?? "error \($0.key)", $0.value) })
    if lost > 0 { lines.append("\(lost) records lost: overwritten before they were read") }
    return lines.map { $0 + "\n" }.joined()
  }

  private var heading: String {
    let count = kinds.values.reduce(0, +)
    let seconds =
      span.map { TimeWords.seconds($0.upperBound - $0.lowerBound, digits: 3) } ?? "0.000"
    return "\(count) events in \(seconds) s"
  }

  private func faultLines(_ top: Int) -> [String] {
    let ratio = refaultRatio.map { ", refault ratio \(Self.percent($0))" } ?? ""
    let filled = prefaults > 0 ? "; pages prefaulted: \(prefaults)" : ""
    var lines = [
      "\(faults.served) faults served, \(faults.refaults) of them again\(ratio); "
        + "\(faults.refused) ended in SIGBUS\(filled)"
    ]
    let head = ["served", "again", "SIGBUS", "place", "causes"]
    lines += ([head] + ranked.prefix(top).map { Self.row($0, $1) }).map(Self.line)
    let rest = ranked.count - top
    if rest > 0 { lines.append("  and \(rest) places more: --top \(ranked.count) shows them all") }
    return lines
  }

  private static func row(_ place: Place, _ count: Faults) -> [String] {
    ["\(count.served)", "\(count.refaults)", "\(count.refused)", name(place), causes(count)]
  }

  private static func line(_ row: [String]) -> String {
    var line = ""
    for text in row.prefix(3) { line.column(text, 10, isRight: true) }
    line.column("  " + row[3], 22)
    line += "  " + row[4]
    while line.last == " " { line.removeLast() }
    return line
  }

  /// Places by their faults, most first, and among equals by name.
  var ranked: [(Place, Faults)] {
    places.map { ($0.key, $0.value, Self.order($0.key)) }
      .sorted { ($1.1.total, $0.2.0, $0.2.1) < ($0.1.total, $1.2.0, $1.2.1) }
      .map { ($0.0, $0.1) }
  }

  /// Sources first, by number; then what has a name.
  private static func order(_ place: Place) -> (UInt64, String) {
    if case .source(let number) = place { return (UInt64(number), "") }
    return (.max, name(place))
  }

  static func name(_ place: Place) -> String {
    switch place {
    case .source(let number): "LISN \(LISN(rawValue: number))"
    case .page(let target): "\(target)"
    case .elsewhere: "elsewhere"
    }
  }

  private static func causes(_ faults: Faults) -> String {
    sorted(faults.causes.map { ($0.key.name, $0.value) })
      .map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }

  static func words(_ result: TraceResult) -> String {
    switch result {
    case .ok: "ok"
    case .absent(let reason): reason.words
    case .errno(let number): ErrorNumber.name(number)
    }
  }

  private var latencyLines: [String] {
    let rows = [("fill", fills), ("exact", exact), ("zap", zaps)].filter { $0.1.count > 0 }
    guard !rows.isEmpty else { return [] }
    return ["microseconds      count       p50       p90       p99       max"]
      + rows.map { name, times in
        var line = "  " + name.padded(11)
        line.column("\(times.count)", 10, isRight: true)
        for percent in [50, 90, 99] as [UInt64] {
          line.column(TimeWords.microseconds(times.percentile(percent) ?? 0), 10, isRight: true)
        }
        line.column(TimeWords.microseconds(times.largest), 10, isRight: true)
        return line
      }
  }

  private static func block(_ title: String, _ counts: [(String, UInt64)]) -> [String] {
    guard !counts.isEmpty else { return [] }
    return [
      title + ": " + sorted(counts).map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    ]
  }

  /// Most first, and among equals by name.
  private static func sorted(_ counts: [(String, UInt64)]) -> [(String, UInt64)] {
    counts.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
  }

  private static func percent(_ part: Double) -> String {
    let thousandths = Int((part * 1_000).rounded())
    return "\(thousandths / 10).\(thousandths % 10) %"
  }
}

extension String {
  fileprivate func padded(_ width: Int) -> String {
    var text = ""
    text.column(self, width)
    return text
  }
}
