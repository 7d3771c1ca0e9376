internal import ArgumentParser
internal import SystemCalls
internal import XIVEClient
internal import XIVETrace

/// `xive trace top`: what a device does, live.
struct TopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Show live which pages are touched, what they cost, and by whom.",
    discussion: """
      Hottest pages, rates, the PQ mix of what was touched, latency, hot-plug and consumers, drawn about every \
      second. Keys: q quit; f, r, s, t order pages by faults, refaults, SIGBUS, time; space pauses; h explains. \
      With --once one table for scripts, after one interval.

      Exit status: 0 done; 1 the server ended; 64 wrong usage; 69 no server.
      """)

  @Argument(help: "The device file.") var path: String
  @Flag(help: "Print one interval and end; needs no terminal.") var once = false
  @Option(
    help: ArgumentHelp("Seconds of an interval, 0.1 to 3600.", valueName: "s"))
  var interval: Double = 1
  @Option(
    help: "The pages' order: faults, refaults, sigbus or time.",
    transform: { text in
      guard let order = TopOrder(rawValue: text) else {
        throw ValidationError("--sort '\(text)': write faults, refaults, sigbus or time")
      }
      return order
    })
  var sort: TopOrder = .faults
  @Option(help: "With --once: most pages that are printed.")
  var pages: Int = 40
  @Flag(help: "With --once: print a JSON object.") var json = false

  func validate() throws {
    guard (0.1...3_600).contains(interval) else {
      throw ValidationError("--interval: \(interval) is out of range: 0.1 to 3600 seconds")
    }
    guard (1...1_000_000).contains(pages) else {
      throw ValidationError("--pages: \(pages) is out of range: 1 to 1000000")
    }
    if json && !once { throw ValidationError("--json: a program reads one interval: say --once") }
  }

  func run() throws {
    guard once || Screen.isThere else {
      printError("xive: trace top: needs a terminal: say --once for a table")
      throw ExitCode(64)
    }
    do { try watch() } catch let error as TraceStreamError {
      printError("xive: \(path): \(error)")
      throw Exit.failed
    }
  }

  private func watch() throws {
    var watch = try reporting { try TopWatch(path, interval: interval) }
    if !once { return try watch.run(order: sort) }
    let view = try watch.interval(by: sort, pages: pages)
    if json { return try printJSON(view) }
    for line in TopScreen(view, title: path).everything { print(line.text) }
  }
}
