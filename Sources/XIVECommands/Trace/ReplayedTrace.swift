internal import TraceRecords
internal import XIVEModel
internal import XIVETrace

/// What a replay shows: as text, and as JSON.
struct ReplayedTrace: Encodable {
  let schemaVersion = 1
  let file: String
  let requests: Int
  let faults: Int
  let records: Int
  let isFromTheStart: Bool
  let notCompared: [String: Int]
  let differenceCount: Int
  let differences: [Difference]

  struct Difference: Encodable {
    let recordedSequence: UInt64?
    let recorded: String?
    let replayed: String?
  }

  init(_ file: String, _ map: DeviceMap, _ report: ReplayReport, limit: Int) {
    self.file = file
    requests = report.performed
    faults = report.faults
    records = report.compared
    isFromTheStart = !report.beginsLate
    notCompared = Dictionary(
      uniqueKeysWithValues: report.notCompared.map { ($0.key.rawValue, $0.value) })
    differenceCount = report.differences.count
    differences = report.differences.prefix(limit).map { difference in
      Difference(
        recordedSequence: difference.recorded?.sequence,
        recorded: difference.recorded.map { Self.words($0, map) },
        replayed: difference.replayed.map { Self.words($0, map) })
    }
  }

  private static func words(_ record: TraceRecord, _ map: DeviceMap) -> String {
    let event = TraceEvent(record, map)
    var words = [record.kind?.name ?? "?", event.name, event.backingWords ?? "-"]
    words.append(event.failureWords ?? "ok")
    words.append("value \(hexadecimal(record.value))")
    if let pq = record.pq { words.append("PQ \(pq.before)->\(pq.after)") }
    if let cause = event.causeWords { words.append(cause) }
    return words.joined(separator: "  ")
  }

  var lines: [String] {
    var lines = [
      "replayed \(requests) requests, \(faults) of them faults; compared \(records) records"
    ]
    if !isFromTheStart {
      lines.append("the trace begins later than its device: what was before is known in part")
    }
    lines += notCompared.sorted { $0.key < $1.key }.map { "not compared: \($0.value): \($0.key)" }
    for difference in differences {
      let sequence = difference.recordedSequence.map { " \($0)" } ?? ""
      lines.append("recorded\(sequence): \(difference.recorded ?? "nothing")")
      lines.append("replayed: \(difference.replayed ?? "nothing")")
    }
    if differenceCount > differences.count {
      lines.append("and \(differenceCount - differences.count) differences more")
    }
    if differenceCount == 0 { lines.append("no difference") }
    return lines
  }
}
