internal import TraceRecords
internal import XIVETrace

/// Where wanted records go.
protocol TraceSink: ~Copyable {
  /// Takes a record; nothing need be visible yet.
  /// - Parameters:
  ///   - event: the record, and what the kernel knows of it.
  ///   - standing: what it is to its reader.
  ///   - names: names of threads so far.
  mutating func add(_ event: TraceEvent, _ standing: TraceSelection.Standing, _ names: TaskNames)
  /// Makes visible what was taken.
  /// - Returns: false when nobody reads it any more.
  mutating func flush() throws(TraceFileError) -> Bool
  /// Takes nothing more.
  mutating func end() throws(TraceFileError)
  /// Bytes written; nil where they are shown.
  var byteCount: UInt64? { get }
}

/// A form of text.
struct TextSink: TraceSink, ~Copyable {
  private let output: TextOutput
  private let isRaw: Bool
  private var renderer: any TraceRenderer
  private var text = ""

  init(_ output: consuming TextOutput, _ options: TraceFormOptions, _ device: TracedDevice) {
    renderer = options.renderer(device, isTerminal: output.isTerminal)
    isRaw = options.raw
    self.output = output
    renderer.begin(&text)
  }

  let byteCount: UInt64? = nil

  mutating func add(
    _ event: TraceEvent, _ standing: TraceSelection.Standing, _ names: TaskNames
  ) {
    guard standing != .bookkeeping || isRaw else { return }
    renderer.add(event, names, to: &text)
  }

  mutating func flush() throws(TraceFileError) -> Bool {
    defer { text = "" }
    return try output.write(text)
  }

  mutating func end() throws(TraceFileError) {
    renderer.end(&text)
    _ = try flush()
  }
}

/// A recorded file.
struct FileSink: TraceSink, ~Copyable {
  private var writer: TraceWriter
  private var records: [TraceRecord] = []
  /// By process; those that the file does not have yet.
  private var symbols: [UInt32: [UInt64: String]] = [:]
  private var named: Set<UInt64> = []
  /// When the last fault of each thread began that the file has: a fault can be that of several fills.
  private var faults: [UInt32: UInt64] = [:]

  init(_ path: String, _ device: TracedDevice) throws(TraceFileError) {
    writer = try TraceWriter(path, device)
  }

  var byteCount: UInt64? { writer.byteCount }

  mutating func add(
    _ event: TraceEvent, _ standing: TraceSelection.Standing, _ names: TaskNames
  ) {
    if let sight = event.sight { add(sight) }
    if event.record.kind != .kernelFault { records.append(event.record) }
  }

  private mutating func add(_ sight: KernelSight) {
    let fault = sight.fault
    guard faults.updateValue(fault.record.time, forKey: fault.record.threadID) != fault.record.time
    else { return }
    records.append(fault.record)
    if let name = sight.instruction, named.insert(fault.instructionPointer).inserted {
      symbols[fault.record.processID, default: [:]][fault.instructionPointer] = name
    }
  }

  mutating func flush() throws(TraceFileError) -> Bool {
    defer { (records, symbols) = ([], [:]) }
    // First, so that whoever reads on knows the names by the time.
    for (process, names) in symbols { try writer.append(symbols: names, of: process) }
    try writer.append(records)
    return true
  }

  mutating func end() throws(TraceFileError) { _ = try flush() }
}
