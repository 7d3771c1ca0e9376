internal import TraceRecords

/// One JSON object for each event, each on a line of its own. Its members are documented in <doc:Tracing>.
public struct JSONRenderer: TraceRenderer {
  /// Prepares lines.
  public init() {}

  /// Appends a line.
  public func add(_ event: TraceEvent, _ names: TaskNames, to text: inout String) {
    let record = event.record
    var json = JSONText()
    json.add("sequence", record.kind == .kernelFault ? nil : record.sequence)
    json.add("time_ns", record.time)
    json.add("kind", event.kindName)
    if record.kind != .gap {
      json.add("tid", record.threadID)
      json.add("pid", record.processID)
      json.add("comm", names.name(of: record.threadID))
    }
    event.addFacts(to: &json)
    text += json.closed + "\n"
  }
}
