/// How long things took, in 16 steps for each power of two: a percentile is at most a sixteenth too large.
///
/// Takes the same memory however much is added.
struct LatencyHistogram: Sendable {
  private static let shift = 4
  private static let steps = 1 << shift

  private var counts: [Int32] = []
  private(set) var count = 0

  /// Adds a time in nanoseconds.
  mutating func add(_ nanoseconds: UInt64) {
    let step = Self.step(of: nanoseconds)
    if counts.count <= step {
      counts += [Int32](repeating: 0, count: step + 1 - counts.count)
    }
    counts[step] &+= 1
    count += 1
  }

  /// The time that so many of a hundred did not exceed, in nanoseconds; nil when there were none.
  func percentile(_ percent: Int) -> UInt64? {
    guard count > 0 else { return nil }
    var left = max(1, (count * percent + 99) / 100)
    for (step, number) in counts.enumerated() {
      left -= Int(number)
      if left <= 0 { return Self.upperBound(of: step) }
    }
    return nil
  }

  /// Below 16 each value has a step of its own; above, the highest bit and the four behind it tell.
  private static func step(of value: UInt64) -> Int {
    guard value >= steps else { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    let mantissa = Int(value >> UInt64(exponent - shift)) - steps
    return (exponent - shift + 1) * steps + mantissa
  }

  private static func upperBound(of step: Int) -> UInt64 {
    guard step >= steps else { return UInt64(step) }
    let exponent = UInt64(step / steps - 1)
    let next = UInt64(step % steps + steps + 1)
    // The last step of all ends where the number does.
    return next << exponent &- 1
  }
}
