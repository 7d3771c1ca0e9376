/// One way of putting devices in and pulling them out, and what must be true meanwhile.
public struct Scenario: Sendable {
  /// What the user calls it.
  public let name: String
  /// One line about it.
  public let summary: String
  /// What the machine must have.
  public let needs: [Need]
  /// Cycles of a run that names no number.
  let usualCycles: Int
  /// Performs it; throws at the first thing that is not as expected.
  let perform: @Sendable (Stage) throws -> Void

  /// Creates a scenario.
  /// - Parameters:
  ///   - name: what the user calls it.
  ///   - summary: one line about it.
  ///   - cycles: cycles of a run that names no number.
  ///   - needs: what the machine must have, beside `/dev/fuse`.
  ///   - perform: its steps.
  init(
    _ name: String, _ summary: String, cycles: Int, needs: [Need] = [],
    perform: @escaping @Sendable (Stage) throws -> Void
  ) {
    self.name = name
    self.summary = summary
    self.usualCycles = cycles
    self.needs = needs
    self.perform = perform
  }
}
