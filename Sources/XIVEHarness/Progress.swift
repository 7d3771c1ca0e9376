/// How far a scenario is.
public struct Progress: Hashable, Sendable {
  /// Cycles done.
  public var cycles = 0
  /// Cycles that there will be; nil when only the time ends them.
  public var allCycles: Int?
  /// Signatures that watchers have read.
  public var reads: UInt64 = 0
  /// Nanoseconds since the cycles began.
  public var nanoseconds: UInt64 = 0
  /// Nanoseconds that the cycles may go on; nil when only their number ends them.
  public var allNanoseconds: UInt64?

  /// Cycles a second.
  public var cycleRate: Double { perSecond(Double(cycles)) }
  /// Signatures read a second.
  public var readRate: Double { perSecond(Double(reads)) }

  private func perSecond(_ count: Double) -> Double {
    nanoseconds == 0 ? 0 : count * 1e9 / Double(nanoseconds)
  }

  /// Seconds that the rest will take at this rate, or nil while nobody knows.
  public var remainingSeconds: Double? {
    var estimates: [Double] = []
    if let allCycles, cycleRate > 0 { estimates.append(Double(allCycles - cycles) / cycleRate) }
    if let allNanoseconds {
      estimates.append((Double(allNanoseconds) - Double(nanoseconds)) / 1e9)
    }
    return estimates.min().map { max(0, $0) }
  }
}
