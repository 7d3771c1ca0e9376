/// What was measured of one thing, round by round.
struct BenchSeries {
  private(set) var rounds: [[Double]] = []

  /// Adds a round's figures.
  mutating func append(_ samples: [Double]) { rounds.append(samples) }

  /// The figures of all rounds together, each multiplied.
  func spread(scaledBy factor: Double = 1) -> Spread {
    Spread(rounds.flatMap { $0 }.map { $0 * factor })
  }

  /// This series compared with another that was measured in turns with it.
  func ratio(to other: BenchSeries) -> Ratio {
    let byRound = zip(rounds, other.rounds).map { $0.percentile(50) / $1.percentile(50) }
    return Ratio(
      ofMedians: spread().p50 / other.spread().p50, medianOfRounds: byRound.percentile(50))
  }
}

/// How a figure is spread.
struct Spread: Encodable {
  let samples: Int
  let p50: Double
  let p99: Double

  init(_ values: [Double]) {
    samples = values.count
    p50 = values.percentile(50)
    p99 = values.percentile(99)
  }
}

/// Two ways to compare figures that were measured in turns on a machine that others use as well.
struct Ratio: Encodable {
  /// The ratio of the medians of all samples.
  let ofMedians: Double
  /// The median of the ratios of the rounds' medians.
  let medianOfRounds: Double
}

extension [Double] {
  /// The smallest value that so many percent of all values do not exceed; NaN of nothing.
  func percentile(_ percent: Double) -> Double {
    guard !isEmpty else { return .nan }
    let rank = (Double(count) * percent / 100).rounded(.up)
    return sorted()[Swift.max(0, Int(rank) - 1)]
  }
}
