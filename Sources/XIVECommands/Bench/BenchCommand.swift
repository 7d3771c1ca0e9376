internal import ArgumentParser
internal import SystemCalls

/// `xive bench`: the project's figures, as ratios to a C server that does nothing.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract:
      "Measure faults, accesses, the model, delivery, saving, tracing, pointers that trap, the footprint.",
    discussion: """
      Serves temporary files and consumes them. Machines differ and are shared, so that what counts are \
      ratios to a plain C server, measured in turns in the same run: tools/bench builds that server and \
      passes it on. Without it only this program's own figures are printed. Exits 0 also when a target is \
      missed.
      """,
    subcommands: [HotplugBenchCommand.self, BenchToucherCommand.self])

  @OptionGroup var options: BenchOptions

  func run() throws {
    StopSignals.block()
    try reporting {
      let plan = options.quick ? BenchPlan.quick : .full
      let progress = BenchProgress()
      let files = try FileBench(plan, baseline: options.baseline).run(progress)
      let model = try ModelBench().run(plan, progress)
      let delivery = try DeliveryBench().run(plan, progress)
      let fileDelivery = try DeliveryFileBench(plan, baseline: options.baseline).run(progress)
      let injection = try InjectionBench(plan, baseline: options.baseline).run(progress)
      let state = try StateBench.run(plan, progress)
      let trace = try TraceBench(plan).run(progress)
      let pointers = try PointerBench.run(plan, progress)
      let footprint = try FootprintBench.run(plan, progress)
      progress.clear()
      let report = BenchReport(
        isQuick: options.quick,
        figures: files + model + delivery + fileDelivery + injection + state + trace
          + pointers + footprint,
        hasBaseline: options.baseline != nil)
      if options.json { try printJSON(report) } else { print(report.text) }
    }
  }
}

/// What every kind of measurement is told.
struct BenchOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The C server to compare with.", valueName: "program"))
  var baseline: String?
  @Flag(help: "Take a few seconds and few samples.") var quick = false
  @Flag(help: "Print a JSON object.") var json = false
}

/// How much is measured.
struct BenchPlan {
  /// Turns that each server takes for each figure; one more comes first and is not counted.
  let rounds: Int
  /// Faults, loads or stores in a turn.
  let accesses: Int
  /// Ranges filled in a turn.
  let ranges: Int
  /// Trigger and EOI pairs in a batch of the model.
  let pairs: Int
  /// Times that each size of server is started.
  let starts: Int

  static let full = BenchPlan(rounds: 100, accesses: 200, ranges: 4, pairs: 200_000, starts: 5)
  static let quick = BenchPlan(rounds: 3, accesses: 100, ranges: 1, pairs: 20_000, starts: 1)
}

/// One line on standard error that tells how far it is; nothing when that is no terminal.
struct BenchProgress {
  private let isOn = errorsAreWatched

  /// Shows what is being done, unless the user wants no more.
  /// - Throws: ``BenchFailure/interrupted``.
  func show(_ text: @autoclosure () -> String) throws(BenchFailure) {
    if StopSignals.isPending { throw .interrupted }
    if isOn { writeError("\r\u{1b}[K\(text())") }
  }

  /// Wipes the line.
  func clear() { if isOn { writeError("\r\u{1b}[K") } }
}

/// Why nothing could be measured.
enum BenchFailure: Error, CustomStringConvertible {
  /// A server did not get ready; it has said why.
  case notReady(String)
  /// Pages that should have been cold were not filled by the server.
  case notCold(String, expected: Int, filled: Int)
  /// Pages of a run were in the cache, or were not.
  case residentPages(String, expected: Int, found: Int)
  /// A run took another number of zaps than one a window.
  case zapCount(String, expected: Int, found: Int)
  /// Interrupts were not what or where they should be.
  case lostInterrupts(String)
  /// Loads or stores did not reach the device; the file.
  case lostAccesses(String)
  /// A machine's state was not what it had been after it was saved and restored; the file.
  case lostState(String)
  /// A consumer has ended, or is stuck.
  case lostConsumer(String)
  /// A system call failed.
  case system(String, any Error)
  /// SIGINT or SIGTERM arrived.
  case interrupted

  var description: String {
    switch self {
    case .notReady(let program): "\(program): did not get ready to serve a file"
    case .notCold(let server, let expected, let filled):
      "\(server): \(expected) cold pages were touched, but it filled \(filled)"
    case .residentPages(let server, let expected, let found):
      "\(server): \(expected) pages should be in the cache, but \(found) are"
    case .zapCount(let server, let expected, let found):
      "\(server): \(expected) ranges should have been dropped, but \(found) were"
    case .lostInterrupts(let what): "delivery: \(what)"
    case .lostAccesses(let file): "\(file): loads or stores did not reach the device"
    case .lostState(let file): "\(file): what was restored is not what was saved"
    case .lostConsumer(let server): "\(server): a consumer does not answer"
    case .system(let what, let error): "\(what): \(error)"
    case .interrupted: "bench: interrupted"
    }
  }

  var exitCode: ExitCode {
    switch self {
    case .notReady: Exit.unavailable
    case .notCold, .residentPages, .zapCount, .lostInterrupts, .lostAccesses, .lostState,
      .lostConsumer, .system:
      Exit.failed
    case .interrupted: ExitCode(130)
    }
  }
}
