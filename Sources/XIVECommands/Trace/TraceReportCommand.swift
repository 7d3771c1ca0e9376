internal import ArgumentParser
internal import SystemCalls
internal import XIVETrace

/// `xive trace report`: a recorded trace as a page and as pictures.
struct TraceReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Make a page, or pictures, of a recorded trace.",
    discussion: """
      The page needs nothing but itself: a map of the device, a timeline, latencies, consumers, the slowest events, and \
      a search. --svg and --png write the pictures alone: all in one file where the path ends in .svg or .png, else \
      each in a file of its own in that directory. The files that were written are listed.
      """)

  @Argument(help: "What xive trace -o has written.") var file: String
  @Option(name: .short, help: ArgumentHelp("Write the page.", valueName: "file")) var output:
    String?
  @Option(help: ArgumentHelp("Write the pictures as SVG.", valueName: "path")) var svg: String?
  @Option(help: ArgumentHelp("Write the pictures as PNG.", valueName: "path")) var png: String?

  func validate() throws {
    let outputs = [output, svg, png].compactMap { $0 }
    guard !outputs.isEmpty else {
      throw ValidationError(
        "nothing to write: add -o FILE for the page, --svg or --png for pictures")
    }
    let own = (try? MountTable.realPath(file)) ?? file
    for path in outputs where ((try? MountTable.realPath(path)) ?? path) == own {
      throw ValidationError("'\(path)' is the file that the report is of: write to another")
    }
  }

  func run() throws {
    try reporting {
      let (trace, damage) = try Trace.read(file)
      printDamage(damage, of: file)
      let report = TraceReport(trace)
      if let output { try ReportFiles.write(report.html, to: output) }
      if let svg { try ReportFiles.write(report, to: svg, .svg) }
      if let png { try ReportFiles.write(report, to: png, .png) }
    }
  }
}
