internal import TraceRecords
internal import XIVETrace

/// Where wanted records go.
protocol TraceSink: ~Copyable {
  /// Takes a record; nothing need be visible yet.
  /// - Parameters:
  ///   - record: the record.
  ///   - standing: what it is to its reader.
  ///   - names: names of threads so far.
  mutating func add(_ record: TraceRecord, _ standing: TraceSelection.Standing, _ names: TaskNames)
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
  private let device: TracedDevice
  private let isRaw: Bool
  private var renderer: any TraceRenderer
  private var text = ""

  init(_ output: consuming TextOutput, _ options: TraceFormOptions, _ device: TracedDevice) {
    renderer = options.renderer(device, isTerminal: output.isTerminal)
    isRaw = options.raw
    self.output = output
    self.device = device
    renderer.begin(&text)
  }

  let byteCount: UInt64? = nil

  mutating func add(
    _ record: TraceRecord, _ standing: TraceSelection.Standing, _ names: TaskNames
  ) {
    guard standing != .bookkeeping || isRaw else { return }
    renderer.add(TraceEvent(record, device.map), names, to: &text)
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

  init(_ path: String, _ device: TracedDevice) throws(TraceFileError) {
    writer = try TraceWriter(path, device)
  }

  var byteCount: UInt64? { writer.byteCount }

  mutating func add(
    _ record: TraceRecord, _ standing: TraceSelection.Standing, _ names: TaskNames
  ) {
    records.append(record)
  }

  mutating func flush() throws(TraceFileError) -> Bool {
    defer { records = [] }
    try writer.append(records)
    return true
  }

  mutating func end() throws(TraceFileError) { _ = try flush() }
}
