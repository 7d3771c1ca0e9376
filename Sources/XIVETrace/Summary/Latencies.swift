/// How long things took: percentiles in memory that does not grow with their number.
///
/// 64 steps for each power of two: a percentile is at most a 64th too large, and never above the largest time.
public struct Latencies: Hashable, Sendable {
  private static let shift = 6
  private static let steps = 1 << shift

  private var counts: [UInt64] = []
  /// How many times were added.
  public private(set) var count: UInt64 = 0
  /// The longest, in nanoseconds.
  public private(set) var largest: UInt64 = 0

  /// Adds a time.
  /// - Parameter nanoseconds: the time.
  mutating func add(_ nanoseconds: UInt64) {
    let step = Self.step(of: nanoseconds)
    if counts.count <= step { counts += Array(repeating: 0, count: step + 1 - counts.count) }
    counts[step] += 1
    count += 1
    largest = max(largest, nanoseconds)
  }

  /// The time that a part of them did not exceed.
  /// - Parameter percent: the part, 0 to 100.
  /// - Returns: nanoseconds; nil when there were none.
  public func percentile(_ percent: UInt64) -> UInt64? {
    guard count > 0 else { return nil }
    let wanted = max(1, (count * percent + 99) / 100)
    var seen: UInt64 = 0
    let step = counts.firstIndex { number in
      seen += number
      return seen >= wanted
    }
    return step.map { min(largest, Self.upperBound(of: $0)) }
  }

  /// Below 64 each value has a step of its own; above, its highest bit and the six behind it tell.
  private static func step(of value: UInt64) -> Int {
    guard value >= steps else { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    return (exponent - shift) * steps + Int(value >> UInt64(exponent - shift))
  }

  /// The largest value of a step.
  private static func upperBound(of step: Int) -> UInt64 {
    guard step >= 2 * steps else { return UInt64(step) }
    let exponent = step / steps - 1
    let next = UInt64(step - exponent * steps + 1)
    // The last step of all ends where numbers do.
    return next << UInt64(exponent) &- 1
  }
}
