/// What is worth telling: each thing once in a while, and so many things at most in that time.
///
/// Thread rule: one thread at a time.
struct News<Item: Hashable> {
  /// The time in which nothing is told twice, in any unit.
  private let pause: UInt64
  /// How many things are told in that time.
  private let limit: Int
  /// What was told, and when.
  private var lastTimes: [Item: UInt64] = [:]
  /// When the first of them may be forgotten; looked at where there are as many as there may be.
  private var fullUntil: UInt64 = 0

  init(pause: UInt64, limit: Int) {
    self.pause = pause
    self.limit = limit
  }

  /// Whether to tell of something; it counts as told then.
  /// - Parameters:
  ///   - item: what.
  ///   - now: a time that never goes back.
  /// - Returns: false for what was told a short time ago, and where so many things were.
  mutating func isNews(_ item: Item, at now: UInt64) -> Bool {
    if let last = lastTimes[item], now - last < pause { return false }
    if lastTimes.count >= limit {
      guard now >= fullUntil else { return false }
      lastTimes = lastTimes.filter { now - $0.value < pause }
      fullUntil = (lastTimes.values.min() ?? now) + pause
      guard lastTimes.count < limit else { return false }
    }
    lastTimes[item] = now
    return true
  }
}
