internal import TraceRecords

/// Text as `perf script` prints tracepoints with a call chain: a line, frames from the innermost on, an empty line.
///
/// Scripts for `perf script` read it; FlameGraph's `stackcollapse-perf.pl` makes stacks of thread, kind, cause and
/// page of it. Records do not say which processor a thread ran on: it is 0 for all. Source: Linux
/// `tools/perf/Documentation/perf-script.txt`, `tools/perf/builtin-script.c`.
public struct PerfRenderer: TraceRenderer {
  /// Prepares text.
  public init() {}

  /// Appends an event.
  public func add(_ event: TraceEvent, _ names: TaskNames, to text: inout String) {
    let record = event.record
    // As perf names a thread whose name it does not know.
    let comm = names.name(of: record.threadID) ?? ":\(record.threadID)"
    let time = TimeWords.seconds(record.time, digits: 9)
    text += "\(comm) \(record.processID)/\(record.threadID) [000] \(time): xive:\(event.kindName): "
    text += fields(event) + "\n"
    for (address, frame) in frames(event) {
      text += "\t"
      text.column(String(address, radix: 16), 16, isRight: true)
      text += " \(frame) (xive)\n"
    }
    text += "\n"
  }

  /// Facts as tracepoints print them: `key=value`, without spaces in a value.
  private func fields(_ event: TraceEvent) -> String {
    let record = event.record
    var fields: [String] = []
    if let offset = event.offset { fields.append("offset=" + TraceEvent.hex(offset)) }
    if event.name != "-" { fields.append("name=" + joined(event.name)) }
    if let backing = event.backingWords { fields.append("backing=" + joined(backing)) }
    fields.append("value=" + TraceEvent.hex(record.value))
    if let pq = record.pq { fields.append("pq=\(pq.before)->\(pq.after)") }
    fields.append("result=" + result(record.result))
    if record.cause != .none { fields.append("cause=" + record.cause.name) }
    if event.duration > 0 {
      fields.append("queue_ns=\(event.queueTime) service_ns=\(event.serviceTime)")
    }
    return fields.joined(separator: " ")
  }

  private func result(_ result: TraceResult) -> String {
    switch result {
    case .ok: "ok"
    case .absent(let reason): reason.name
    case .errno(let number): joined(ErrorNumber.name(number))
    }
  }

  private func joined(_ words: String) -> String {
    String(words.map { $0 == " " ? "_" : $0 })
  }

  /// What stands for a call chain, the innermost first: page, cause, kind.
  private func frames(_ event: TraceEvent) -> [(UInt64, String)] {
    var frames: [(UInt64, String)] = []
    let page = event.pageWords ?? (event.name == "-" ? nil : event.name)
    if let page { frames.append((event.offset ?? 0, joined(page))) }
    if event.record.cause != .none { frames.append((0, event.record.cause.name)) }
    frames.append((0, event.kindName))
    return frames
  }
}
