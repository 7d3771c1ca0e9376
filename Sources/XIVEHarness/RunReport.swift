/// What became of one scenario.
public struct ScenarioResult: Sendable, Encodable {
  /// How it ended.
  public enum Outcome: String, Sendable, Encodable {
    /// Everything was as expected.
    case passed
    /// Something was not.
    case failed
    /// The machine lacks what it needs.
    case skipped
  }

  /// The scenario's name.
  public let scenario: String
  /// What its random numbers depended on.
  public let seed: UInt64
  /// How it ended.
  public let outcome: Outcome
  /// Why it failed or was skipped.
  public internal(set) var reason: String?
  /// How long it took.
  public internal(set) var seconds = 0.0
  /// How far it came.
  public internal(set) var cycles = 0
  /// Things that were compared.
  public internal(set) var checks = 0
  /// Signatures that its watchers read.
  public internal(set) var reads: UInt64 = 0
  /// Cycles a second.
  public internal(set) var cyclesPerSecond = 0.0
  /// Signatures a second.
  public internal(set) var readsPerSecond = 0.0
  /// Its steps.
  public internal(set) var steps: [Step] = []
  /// The file with everything that was done and seen; of a failure only.
  public internal(set) var log: String?
  /// The file with the trace records that its device had kept, for `xive trace`; of a failure, and when all are
  /// wanted.
  public internal(set) var trace: String?
  /// The last of these records as text.
  public internal(set) var lastRecords: [String] = []
  /// The command that runs it once more.
  public internal(set) var repeatCommand: String?

  init(_ scenario: Scenario, seed: UInt64, _ outcome: Outcome, reason: String? = nil) {
    self.scenario = scenario.name
    self.seed = seed
    self.outcome = outcome
    self.reason = reason
  }
}

/// What became of a run.
public struct RunReport: Sendable, Encodable {
  /// Grows when a field changes its meaning.
  public let schemaVersion = 1
  /// The seed of the first repetition.
  public let seed: UInt64
  /// Whether the user ended it.
  public internal(set) var isInterrupted = false
  /// All scenarios that were run, in order.
  public internal(set) var results: [ScenarioResult] = []
  /// How many passed.
  public var passed: Int { count(.passed) }
  /// How many failed.
  public var failed: Int { count(.failed) }
  /// How many were skipped.
  public var skipped: Int { count(.skipped) }

  private func count(_ outcome: ScenarioResult.Outcome) -> Int {
    results.count { $0.outcome == outcome }
  }

  private enum Key: String, CodingKey {
    case schemaVersion, seed, isInterrupted, passed, failed, skipped, results
  }

  /// Writes the fields, those that are counted as well.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Key.self)
    try fields.encode(schemaVersion, forKey: .schemaVersion)
    try fields.encode(seed, forKey: .seed)
    try fields.encode(isInterrupted, forKey: .isInterrupted)
    try fields.encode(passed, forKey: .passed)
    try fields.encode(failed, forKey: .failed)
    try fields.encode(skipped, forKey: .skipped)
    try fields.encode(results, forKey: .results)
  }
}
