internal import ArgumentParser
internal import SystemCalls
internal import XIVETrace

/// `xive trace replay`: does once more what a trace tells of.
struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Perform a recorded trace again on a fresh device, and compare what happens.",
    discussion: """
      Faults, exact loads and stores, stores to mappings, requests and hot-plug are performed in the order in which \
      they took effect, by one process, on a device that is served for it in a temporary place. What the new device \
      records is compared with the trace: what was touched, what served it, results, causes, values and PQ; not \
      times, threads or sequence numbers.

      Exit status: 0 the same; 1 something differs, or the file cannot be used; 64 wrong usage; 69 no /dev/fuse.
      """)

  @Argument(help: "A recorded trace, as xive trace -o makes it.") var file: String
  @Option(help: "Most differences that are printed.") var differences: Int = 20
  @Flag(help: "Print a JSON object.") var json = false

  func validate() throws {
    guard (0...1_000_000).contains(differences) else {
      throw ValidationError("--differences: \(differences) is out of range: 0 to 1000000")
    }
  }

  func run() throws {
    StopSignals.block()
    let trace = try read()
    let report: ReplayReport
    do { report = try reporting { try replay(trace) } } catch let error as ReplayError {
      printError("xive: \(file): \(error)")
      throw Exit.failed
    }
    let shown = ReplayedTrace(file, trace.device.map, report, limit: differences)
    if json { try printJSON(shown) } else { shown.lines.forEach { print($0) } }
    if !report.differences.isEmpty { throw Exit.failed }
  }

  private func read() throws -> Trace {
    do {
      let (trace, damage) = try Trace.read(file)
      if let damage { printError("xive: \(file): \(damage)") }
      return trace
    } catch {
      printError("xive: \(error)")
      throw Exit.failed
    }
  }

  private func replay(_ trace: Trace) throws -> ReplayReport {
    let plan = ReplayPlan(trace)
    let server = try BenchServer(
      Program.own, ["serve", "--exit-with-parent"], options: trace.serveOptions)
    defer { extendLifetime(server) }
    var replayer = try Replayer(server.path)
    for step in plan.steps {
      if StopSignals.isPending { throw ExitCode(130) }
      try replayer.perform(step)
    }
    return try replayer.finish(plan)
  }
}
