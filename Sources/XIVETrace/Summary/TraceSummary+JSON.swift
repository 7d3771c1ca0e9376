internal import TraceRecords
internal import XIVEModel

/// A summary for programs. Its members are documented in <doc:Tracing>.
extension TraceSummary {
  /// One JSON object and a line's end.
  /// - Parameter top: how many places are listed, the ones with most faults first.
  /// - Returns: the text.
  public func json(top: Int = 20) -> String {
    var json = JSONText()
    json.add("schemaVersion", 1)
    json.add("start_ns", span?.lowerBound)
    json.add("end_ns", span?.upperBound)
    json.add("kinds", Self.object(kinds.map { ($0.key.name, $0.value) }))
    json.add("faults", Self.object(faults, prefaults, refaultRatio))
    json.add("places", ranked.prefix(top).map { Self.object($0.0, $0.1) })
    json.add("placeCount", places.count)
    json.add("sigbus", Self.object(sigbus.map { (Self.key($0.key), $0.value) }))
    json.add(
      "guestErrors",
      Self.object(guestErrors.map { (GuestErrorName($0.key)?.name ?? "\($0.key)", $0.value) }))
    json.add("lost", lost)
    json.add("fill", Self.object(fills))
    json.add("exact", Self.object(exact))
    json.add("zap", Self.object(zaps))
    return json.closed + "\n"
  }

  private static func key(_ result: TraceResult) -> String {
    if case .absent(let reason) = result { reason.name } else { words(result) }
  }

  private static func object(_ counts: [(String, UInt64)]) -> JSONText {
    var json = JSONText()
    for (name, count) in counts.sorted(by: { $0.0 < $1.0 }) { json.add(name: name, count) }
    return json
  }

  private static func object(_ faults: Faults, _ prefaults: UInt64, _ ratio: Double?) -> JSONText {
    var json = counts(faults)
    json.add("prefaultedPages", prefaults)
    if let ratio { json.add("refaultRatio", decimal: "\(ratio)") }
    return json
  }

  private static func object(_ place: Place, _ faults: Faults) -> JSONText {
    var json = counts(faults)
    json.add("name", name(place))
    if case .source(let number) = place { json.add("lisn", number) }
    return json
  }

  private static func counts(_ faults: Faults) -> JSONText {
    var json = JSONText()
    json.add("served", faults.served)
    json.add("refaults", faults.refaults)
    json.add("sigbus", faults.refused)
    json.add("causes", object(faults.causes.map { ($0.key.name, $0.value) }))
    return json
  }

  private static func object(_ times: Latencies) -> JSONText {
    var json = JSONText()
    json.add("count", times.count)
    json.add("p50_ns", times.percentile(50))
    json.add("p90_ns", times.percentile(90))
    json.add("p99_ns", times.percentile(99))
    json.add("max_ns", times.count > 0 ? times.largest : nil)
    return json
  }
}
