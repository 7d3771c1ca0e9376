internal import Glibc
internal import Synchronization
internal import XIVEHarness

/// Shows a run: results on standard output, progress on a terminal's standard error.
final class HotplugConsole: RunObserver {
  private struct State {
    var title = ""
    var isShown = false
  }

  /// Whether only the report at the end is wanted.
  private let isQuiet: Bool
  private let isWatched = errorsAreWatched
  private let state = Mutex(State())

  init(isQuiet: Bool) { self.isQuiet = isQuiet }

  func began(_ scenario: Scenario, number: Int, of count: Int, seed: UInt64) {
    state.withLock { $0.title = "\(number)/\(count) \(scenario.name)" }
    say("\(scenario.name), seed \(seed)")
  }

  func made(_ step: Step) {
    say("  \(step.isMet ? "ok " : "NOT") \(step.number). \(step.title)")
    say("        expected \(step.expected)")
    say("        saw      \(step.seen)")
  }

  func progressed(_ progress: Progress) {
    guard isWatched, !isQuiet else { return }
    state.withLock { state in
      writeError("\r\u{1b}[K\(state.title): \(progress.text)")
      state.isShown = true
    }
  }

  func ended(_ result: ScenarioResult) {
    switch result.outcome {
    case .passed: say("  passed in \(decimal(result.seconds)) s\(result.rates)")
    case .skipped: say("  skipped: \(result.reason ?? "")")
    case .failed:
      say("  FAILED: \(result.reason ?? "")")
      result.log.map { say("  log: \($0)") }
      result.repeatCommand.map { say("  once more: \($0)") }
    }
    result.trace.map { say("  trace: \($0)") }
  }

  func gaveUp(after last: String) {
    clear()
    printError("xive: hotplug: cannot be ended, after: \(last)")
    // The children see our end and go; nobody can be waited for.
    _exit(1)
  }

  /// Says how everything went.
  func finish(_ report: RunReport) {
    var counts = ["\(report.passed) passed"]
    if report.failed > 0 { counts.append("\(report.failed) failed") }
    if report.skipped > 0 { counts.append("\(report.skipped) skipped") }
    say("\(counts.joined(separator: ", ")); seed \(report.seed)")
  }

  private func say(_ line: String) {
    clear()
    guard !isQuiet else { return }
    print(line)
    flushOutput()
  }

  private func clear() {
    state.withLock { state in
      if state.isShown { writeError("\r\u{1b}[K") }
      state.isShown = false
    }
  }
}

extension Progress {
  fileprivate var text: String {
    let all = allCycles.map { " of \($0)" } ?? ""
    let rest = remainingSeconds.map { ", \(Int($0.rounded(.up))) s left" } ?? ""
    return "\(cycles)\(all) cycles, \(Int(cycleRate)) cycles/s, \(Int(readRate)) reads/s\(rest)"
  }
}

extension ScenarioResult {
  fileprivate var rates: String {
    cycles == 0
      ? "" : ": \(Int(cyclesPerSecond)) cycles/s, \(Int(readsPerSecond)) pages read/s"
  }
}

/// Seconds with one decimal.
private func decimal(_ seconds: Double) -> String {
  let tenths = Int((seconds * 10).rounded())
  return "\(tenths / 10).\(tenths % 10)"
}
