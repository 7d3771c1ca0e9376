internal import ArgumentParser
internal import SystemCalls
internal import XIVETrace

/// `xive trace summary`: what a recorded trace comes to.
struct TraceSummaryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "summary",
    abstract: "Sum up a recorded trace: faults by LISN and cause, latencies, losses.")

  @Argument(help: "What xive trace -o has written.") var file: String
  @Option(help: ArgumentHelp("How many places are listed.", valueName: "places")) var top = 20
  @Flag(help: "Print a JSON object.") var json = false
  @OptionGroup(title: "Filters") var filters: TraceFilterOptions

  func validate() throws {
    guard top >= 0 else { throw ValidationError("--top \(top): write how many") }
  }

  func run() throws {
    StopSignals.block()
    try reporting {
      var reader = try TraceReader(file)
      var summary = TraceSummary(reader.device.map)
      var selection = TraceSelection(try filters.filter(), reader.device.map)
      while let block = try reader.next() {
        guard case .records(let records) = block else { continue }
        for record in records where selection.take(record) != .unwanted { summary.add(record) }
      }
      printDamage(reader.damage, of: file)
      _ = try TextOutput(nil).write(json ? summary.json(top: top) : summary.text(top: top))
    }
  }
}

/// `xive trace convert`: a recorded trace in another form.
struct TraceConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Convert a recorded trace: to lines, JSON, Chrome trace JSON, or perf script's text.")

  @Argument(help: "What xive trace -o has written.") var file: String
  @OptionGroup(title: "Forms") var form: TraceFormOptions
  @Option(name: .short, help: ArgumentHelp("Write to a file.", valueName: "file")) var output:
    String?
  @OptionGroup(title: "Filters") var filters: TraceFilterOptions

  func run() throws {
    StopSignals.block()
    try reporting {
      var reader = try TraceReader(file)
      try requireOther()
      var sink = TextSink(try TextOutput(output), form, reader.device)
      var selection = TraceSelection(try filters.filter(), reader.device.map)
      var faults = RecordedFaults(reader.device.map)
      while let block = try reader.next() {
        if case .symbols(let process, let names) = block {
          faults.symbols[process, default: [:]].merge(names) { $1 }
        }
        guard case .records(let records) = block else { continue }
        for record in records {
          for event in faults.take(record) { add(event, to: &sink, &selection) }
        }
        guard try sink.flush(), !StopSignals.isPending else { return }
      }
      for event in faults.end() { add(event, to: &sink, &selection) }
      try sink.end()
      printDamage(reader.damage, of: file)
    }
  }

  private func add(_ event: TraceEvent, to sink: inout TextSink, _ selection: inout TraceSelection)
  {
    let standing = selection.take(event.record)
    if standing != .unwanted { sink.add(event, standing, selection.names) }
  }

  private func requireOther() throws {
    guard let output, (try? MountTable.realPath(output)) == (try? MountTable.realPath(file)) else {
      return
    }
    throw ValidationError("-o '\(output)': is the file that is converted: write to another")
  }
}

/// Says where a file is damaged; what comes before that is used.
func printDamage(_ damage: TraceFileDamage?, of file: String) {
  if let damage { printError("xive: \(TraceFileError(file, .damaged(damage)))") }
}
