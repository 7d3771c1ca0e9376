internal import TraceRecords
internal import XIVEClient

/// JSON of the Trace Event Format, which Perfetto and `chrome://tracing` open: one track for each thread, what lasts
/// as slices, the rest as instants, and arrows from a new backing through its zap to the page fault that it caused.
///
/// Times are microseconds of `CLOCK_MONOTONIC`. Source: "Trace Event Format", Google, 2016; its JSON object form.
public struct ChromeRenderer: TraceRenderer {
  private let device: TracedDevice
  private var isFirst = true
  /// Threads whose names have been written, and under which.
  private var tracks: [UInt32: String] = [:]
  private var slices = ChromeSlices()
  private var flows = ChromeFlows()
  private var flowCount: UInt64 = 0

  /// Prepares a trace.
  /// - Parameter device: what is traced, which goes into it as metadata.
  public init(_ device: TracedDevice) { self.device = device }

  /// Appends the object's beginning.
  public mutating func begin(_ text: inout String) {
    var about = JSONText()
    about.add("device", device.path)
    about.add("sources", device.geometry.sourceCount)
    about.add("start_monotonic_ns", device.start.monotonic)
    about.add("start_unix_ns", device.start.realtime)
    text += "{\"displayTimeUnit\":\"ns\",\"otherData\":\(about.closed),\"traceEvents\":["
  }

  /// Appends the object's end.
  public mutating func end(_ text: inout String) { text += "\n]}\n" }

  /// Appends an event, with the names and the arrows that belong to it.
  public mutating func add(_ event: TraceEvent, _ names: TaskNames, to text: inout String) {
    addTrack(event.record, names, to: &text)
    guard event.lasts else {
      var json = Self.start(event.record, "i", at: event.record.time)
      json.add("s", event.record.kind == .gap ? "g" : "t")
      return add(event, json, to: &text)
    }
    let slice = slices.place(event)
    var json = Self.start(event.record, "X", at: slice.start)
    json.add("dur", decimal: Self.microseconds(slice.length))
    add(event, json, to: &text)
    for flow in flows.add(slice) { add(flow, to: &text) }
  }

  private mutating func add(_ event: TraceEvent, _ json: JSONText, to text: inout String) {
    var json = json
    let name = event.name
    json.add("name", name == "-" ? event.kindName : "\(event.kindName) \(name)")
    json.add("cat", event.category)
    var facts = JSONText()
    facts.add("sequence", event.record.sequence)
    event.addFacts(to: &facts)
    json.add("args", facts)
    write(json, to: &text)
  }

  private mutating func addTrack(
    _ record: TraceRecord, _ names: TaskNames, to text: inout String
  ) {
    let name = names.name(of: record.threadID) ?? "thread \(record.threadID)"
    guard tracks[record.threadID] != name else { return }
    tracks[record.threadID] = name
    addName("thread_name", name, record, to: &text)
    addName("process_name", names.name(of: record.processID) ?? name, record, to: &text)
  }

  private mutating func addName(
    _ kind: String, _ name: String, _ record: TraceRecord, to text: inout String
  ) {
    var json = JSONText()
    json.add("ph", "M")
    json.add("pid", record.processID)
    json.add("tid", record.threadID)
    json.add("name", kind)
    var arguments = JSONText()
    arguments.add("name", name)
    json.add("args", arguments)
    write(json, to: &text)
  }

  /// Arrows bind to the slices that are there at their times.
  private mutating func add(_ flow: ChromeFlows.Flow, to text: inout String) {
    flowCount += 1
    let steps = (flow.publish.map { [$0] } ?? []) + [flow.zap, flow.fill]
    for (index, slice) in steps.enumerated() {
      let phase = index == 0 ? "s" : index == steps.count - 1 ? "f" : "t"
      var json = Self.start(slice.event.record, phase, at: slice.start)
      json.add("name", "refault")
      json.add("cat", "refault")
      json.add("id", flowCount)
      if phase == "f" { json.add("bp", "e") }
      write(json, to: &text)
    }
  }

  private static func start(_ record: TraceRecord, _ phase: String, at time: UInt64) -> JSONText {
    var json = JSONText()
    json.add("ph", phase)
    json.add("ts", decimal: microseconds(time))
    json.add("pid", record.processID)
    json.add("tid", record.threadID)
    return json
  }

  private static func microseconds(_ nanoseconds: UInt64) -> String {
    let rest = String(nanoseconds % 1_000)
    return "\(nanoseconds / 1_000)." + String(repeating: "0", count: 3 - rest.count) + rest
  }

  private mutating func write(_ json: JSONText, to text: inout String) {
    text += (isFirst ? "\n" : ",\n") + json.closed
    isFirst = false
  }
}

extension TraceEvent {
  /// A slice or an instant. A new backing is at once there, and a slice all the same: arrows begin at it.
  fileprivate var lasts: Bool {
    record.kind == .publish || record.kind?.takesTime == true || duration > 0
  }

  /// By which viewers select events.
  fileprivate var category: String {
    switch record.kind {
    case .fill, .kernelFault: "fault"
    case .load, .store, .writeBack: "access"
    case .zap, .publish, .map, .unmap, .plug, .unplug, .fence, .update: "hot-plug"
    case .trigger, .forward, .eoi, .notify: "interrupt"
    case .attribute: "request"
    case .guestError: "error"
    case .task, .gap, nil: "trace"
    }
  }
}
