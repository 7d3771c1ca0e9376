/// One numbered step of a scenario.
public struct Step: Hashable, Sendable, Encodable {
  /// From 1.
  public let number: Int
  /// What was done.
  public let title: String
  /// What was expected.
  public let expected: String
  /// What was seen.
  public let seen: String
  /// Whether that is what was expected.
  public let isMet: Bool

  /// One line.
  public var text: String {
    "\(number). \(title): expected \(expected); saw \(seen)"
  }
}
