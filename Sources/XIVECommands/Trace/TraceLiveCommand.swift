internal import ArgumentParser
internal import SystemCalls
internal import XIVEClient
internal import XIVETrace

/// `xive trace live`: a device's records as they come.
struct TraceLiveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "live",
    abstract: "Show what a device keeps, or what happens to it (the default).",
    discussion: """
      Each line has time, thread, event, what it happened to, what served it, microseconds of waiting and of service, \
      and what there is to tell besides. Without --follow, --duration or --count it shows what is kept, and ends; with \
      one of them it goes on until Ctrl-C, SIGTERM, or that limit, and ends with a summary on standard error. With -o \
      FILE and no form, the records are written to a file that summary, convert and the other subcommands read.
      """)

  @Argument(help: "The device file.") var path: String
  @Flag(name: .shortAndLong, help: "Go on until Ctrl-C.") var follow = false
  @Option(
    name: .shortAndLong, help: ArgumentHelp("Go on for so long: 10, 500ms, 2m.", valueName: "time"))
  var duration: String?
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Go on until so many events were shown.", valueName: "events"))
  var count: UInt64?
  @Flag(help: "Leave out what is kept from before.") var new = false
  @Option(
    help: ArgumentHelp(
      "Ask the kernel, too, about the page faults of a process: address, instruction, minor faults.",
      valueName: "pid"))
  var kernel: Int32?
  @OptionGroup(title: "Forms") var form: TraceFormOptions
  @Option(name: .short, help: ArgumentHelp("Write to a file.", valueName: "file")) var output:
    String?
  @OptionGroup(title: "Filters") var filters: TraceFilterOptions

  private var goesOn: Bool { follow || duration != nil || count != nil }

  private func nanoseconds() throws -> UInt64? {
    guard let duration else { return nil }
    guard let time = TimeWords.nanoseconds(duration, unit: 1_000_000_000), time > 0 else {
      throw ValidationError("--duration '\(duration)': write 10, 500ms or 2m")
    }
    return time
  }

  func validate() throws {
    _ = try nanoseconds()
    guard count != 0 else { throw ValidationError("--count 0: write how many events") }
    guard goesOn || !new else {
      throw ValidationError("--new: say how long, with --follow, --duration or --count")
    }
    guard goesOn || kernel == nil else {
      throw ValidationError("--kernel: say how long, with --follow, --duration or --count")
    }
  }

  func run() throws {
    StopSignals.block()
    try reporting {
      let source = try DeviceTraceSource(path)
      let device = try source.describe(path)
      try requireOther(path, than: output)
      try requireRecords(source)
      let stream = try stream(source)
      if let output, form.form == nil {
        try follow(stream, device, into: try FileSink(output, device))
      } else {
        try follow(stream, device, into: TextSink(try TextOutput(output), form, device))
      }
    }
  }

  private func requireOther(_ path: String, than output: String?) throws {
    guard let output, let its = try? FileStatus(ofPath: output),
      let mine = try? FileStatus(ofPath: path), its.device == mine.device
    else { return }
    throw ValidationError("-o '\(output)': is the device itself: write to another file")
  }

  /// Without records that are kept there is nothing to show, unless somebody waits for new ones.
  private func requireRecords(_ source: borrowing DeviceTraceSource) throws {
    let info: TraceInfo
    do { info = try source.streamInfo() } catch { throw StreamFailure(path, error, hasRead: false) }
    guard !goesOn, !info.isOn, info.oldest == info.next else { return }
    printError(
      "xive: \(path): tracing is off, and nothing is kept: add --follow, or start the server with "
        + "xive serve --trace")
    throw Exit.failed
  }

  /// Begins to read; from then on the device makes records.
  private func stream(_ source: consuming DeviceTraceSource) throws -> TraceStream<
    DeviceTraceSource
  > {
    do { return try TraceStream(source, from: new ? .now : .oldest) } catch {
      throw StreamFailure(path, error, hasRead: false)
    }
  }

  private func follow(
    _ stream: consuming TraceStream<DeviceTraceSource>, _ device: TracedDevice,
    into sink: consuming some TraceSink & ~Copyable
  ) throws {
    let end = try nanoseconds().map { MonotonicClock.nanoseconds + $0 }
    var trace = LiveTrace(
      stream, TraceSelection(try filters.filter(), device.map), into: sink,
      .init(goesOn: goesOn, count: count, deadline: end),
      { [kernel, path] in kernel.flatMap { KernelWatch($0, path, device.map) } })
    do {
      let end = try trace.run()
      if goesOn || output != nil, end == .done { writeError(trace.summary.text(top: 10)) }
    } catch let error as TraceStreamError {
      if trace.hasRead { writeError(trace.summary.text(top: 10)) }
      throw StreamFailure(path, error, hasRead: trace.hasRead)
    }
  }
}

/// Why a device's stream ended, for the user.
struct StreamFailure: Error {
  let line: String
  let exitCode: ExitCode

  init(_ path: String, _ error: TraceStreamError, hasRead: Bool) {
    line = "\(path): \(error)"
    if case .ended = error, !hasRead { exitCode = Exit.unavailable } else { exitCode = Exit.failed }
  }
}
