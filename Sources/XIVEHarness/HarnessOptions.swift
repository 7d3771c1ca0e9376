internal import SystemCalls

/// A mistake that a served device makes on purpose, by which the stale-page detector proves itself.
public enum Sabotage: String, Hashable, Sendable, CaseIterable {
  /// The old pages are taken away before the new backing is published, and not after.
  case zapFirst = "zap-first"
  /// Only one of the two windows loses its pages.
  case skipAlias = "skip-alias"
}

/// How scenarios are run.
public struct HarnessOptions: Hashable, Sendable {
  /// What all random numbers of the first repetition depend on; the next one counts from there.
  public var seed: UInt64
  /// How often each scenario runs.
  public var repetitions = 1
  /// Cycles of each scenario; nil: as many as the scenario finds enough.
  public var cycles: Int?
  /// Consumer processes.
  public var consumers = 2
  /// Threads that read signatures, in each of them.
  public var threads = 2
  /// Seconds that the cycles of each scenario go on; nil: until they are done.
  public var seconds: Int?
  /// What a touch of the consumers' pages is; guests' are mapped.
  public var access = ConsumerAccess.mapped
  /// A mistake that served devices make on purpose.
  public var sabotage: Sabotage?

  /// A directory for the trace of each scenario, from its device's start on; nil: only what a failed one had kept, beside
  /// its log.
  public var traceDirectory: String?

  /// Seconds without a sign of life that are a hang.
  public var patience = 30
  /// The program that consumer processes run: one that knows `hotplug consume`.
  public var consumerProgram = Program.own

  /// Creates the usual options.
  /// - Parameter seed: what all random numbers depend on.
  public init(seed: UInt64) { self.seed = seed }

  /// The command that runs a scenario once more with the same numbers.
  /// - Parameters:
  ///   - scenario: its name.
  ///   - seed: the seed of the repetition that is meant.
  /// - Returns: words of a shell.
  public func command(repeating scenario: String, seed: UInt64) -> String {
    var words = ["xive hotplug run \(scenario) --seed \(seed)"]
    let usual = HarnessOptions(seed: seed)
    if let cycles { words.append("--cycles \(cycles)") }
    if consumers != usual.consumers { words.append("--consumers \(consumers)") }
    if threads != usual.threads { words.append("--threads \(threads)") }
    if access != usual.access { words.append("--access \(access.rawValue)") }
    if let seconds { words.append("--duration \(seconds)") }
    if patience != usual.patience { words.append("--patience \(patience)") }
    if let traceDirectory { words.append("--trace \(traceDirectory)") }
    if let sabotage { words.append("--sabotage \(sabotage.rawValue)") }
    return words.joined(separator: " ")
  }
}
