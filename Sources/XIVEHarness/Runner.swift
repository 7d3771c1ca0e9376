internal import SystemCalls
internal import SystemPackage
internal import XIVETrace

/// Runs scenarios, one after the other.
public struct Runner {
  private let scenarios: [Scenario]
  private let options: HarnessOptions
  private let observer: any RunObserver

  /// Creates a runner. Block the stop signals first (`StopSignals.block()`): it takes them for the user's wish to end.
  /// - Parameters:
  ///   - scenarios: what to run.
  ///   - options: how.
  ///   - observer: hears what is done.
  public init(_ scenarios: [Scenario], _ options: HarnessOptions, _ observer: any RunObserver) {
    self.scenarios = scenarios
    self.options = options
    self.observer = observer
  }

  /// Runs them all, as often as the options say, until the user wants no more.
  /// - Returns: what became of each.
  public func run() -> RunReport {
    var report = RunReport(seed: options.seed)
    let count = scenarios.count * options.repetitions
    for number in 0..<count {
      let scenario = scenarios[number % scenarios.count]
      let seed = options.seed &+ UInt64(number / scenarios.count)
      observer.began(scenario, number: number + 1, of: count, seed: seed)
      let result = run(scenario, seed)
      observer.ended(result)
      report.results.append(result)
      if StopSignals.isPending {
        report.isInterrupted = true
        break
      }
    }
    return report
  }

  private func run(_ scenario: Scenario, _ seed: UInt64) -> ScenarioResult {
    if let missing = scenario.needs.lazy.compactMap(\.whatIsMissing).first {
      let outcome = Need.isRequired ? ScenarioResult.Outcome.failed : .skipped
      return ScenarioResult(scenario, seed: seed, outcome, reason: missing)
    }
    let start = MonotonicClock.nanoseconds
    var result: ScenarioResult
    do {
      let stage = try Stage(options, seed: seed, cycles: scenario.usualCycles, observer)
      let (failure, tails) = perform(scenario, stage)
      let trace = keep(tails, stage, scenario, seed)
      result = ScenarioResult(
        scenario, seed: seed, failure == nil ? .passed : .failed, reason: failure)
      result.take(from: stage)
      result.trace = trace
      if failure != nil {
        result.lastRecords = tails.flatMap(\.lines)
        note(tails, stage)
        result.log = keep(stage.log, scenario, seed)
        result.repeatCommand = options.command(repeating: scenario.name, seed: seed)
      }
    } catch {
      result = ScenarioResult(
        scenario, seed: seed, .failed, reason: "no place for its files: \(error)")
    }
    result.seconds = Double(MonotonicClock.nanoseconds - start) / 1e9
    return result
  }

  /// Performs a scenario and cleans up after it.
  /// - Returns: why it failed, and the last records of its devices; or nil and none.
  private func perform(_ scenario: Scenario, _ stage: Stage) -> (String?, [TraceTail]) {
    let supervisor: Supervisor
    do {
      let log = stage.log
      supervisor = try Supervisor(
        stage.control, patience: options.patience, last: { log.last }, observer)
    } catch { return ("no thread to watch over it: \(error)", []) }
    var failure: (any Error)?
    var tails: [TraceTail] = []
    do { try scenario.perform(stage) } catch {
      failure = error
    }
    // Before the servers end, and while somebody watches over it.
    if failure != nil || options.traceDirectory != nil { tails = stage.traceTails() }
    do { try stage.close() } catch { failure = failure ?? error }
    supervisor.end()
    guard let failure else { return (nil, tails) }
    stage.note("ended: \(failure)")
    return ("\(failure)", tails)
  }

  /// Writes the last records to the log.
  private func note(_ tails: [TraceTail], _ stage: Stage) {
    for tail in tails {
      let lines = tail.lines
      stage.note(
        "the last \(lines.count) records of \(tail.trace.device.path):\n"
          + lines.joined(separator: "\n"))
    }
  }

  /// Writes the records of the scenario's device, no scenario has two, to a file that stays.
  private func keep(_ tails: [TraceTail], _ stage: Stage, _ scenario: Scenario, _ seed: UInt64)
    -> String?
  {
    guard let tail = tails.first else { return nil }
    let path = path(scenario, seed, "xivetrace", in: options.traceDirectory)
    do { try tail.trace.write(to: path) } catch {
      stage.note("\(error)")
      return nil
    }
    return path
  }

  /// A file that stays.
  private func path(
    _ scenario: Scenario, _ seed: UInt64, _ suffix: String, in directory: String? = nil
  ) -> String {
    let directory = directory ?? Program.variable("TMPDIR") ?? "/tmp"
    return "\(directory)/xive-hotplug-\(scenario.name)-\(seed).\(suffix)"
  }

  /// Writes a log to a file that stays.
  private func keep(_ log: RunLog, _ scenario: Scenario, _ seed: UInt64) -> String? {
    let path = path(scenario, seed, "log")
    do {
      try TextFile.write(log.text, to: path)
      return path
    } catch { return nil }
  }
}

extension ScenarioResult {
  fileprivate mutating func take(from stage: Stage) {
    let progress = stage.control.progress
    steps = stage.steps
    checks = stage.checks
    cycles = progress.cycles
    reads = stage.finalReads
    cyclesPerSecond = progress.cycleRate
    // Some consumers tell only at their end how much they have read.
    readsPerSecond =
      progress.reads > 0 || progress.nanoseconds == 0
      ? progress.readRate : Double(reads) * 1e9 / Double(progress.nanoseconds)
  }
}
