/// The figures of hot-plug that are judged or asked for first.
struct HotplugFigures {
  private let results: [HotplugCase: HotplugResult]

  init(_ results: [HotplugResult]) {
    self.results = Dictionary(results.map { ($0.item, $0) }) { first, _ in first }
  }

  var all: [BenchFigure] {
    let one = "64 vectors: map, zap, refault"
    return [
      toBaseline("hotplug", "\(one), to C", consumers: 1),
      toBaseline("hotplugCrowd", "\(one), 8 processes, to C", consumers: 8),
      toSmall("hotplugSize", "\(one), 2^20 sources, to 2^10", consumers: 1),
      prefault("prefaultPage", "prefault, per page, to C cold fault", isOwn: false),
      prefault("prefaultPageToOwn", "prefault, per page, to own cold fault", isOwn: true),
      untouched("untouchedOne", "map and unmap 1 untouched vector", vectors: 1),
      untouched("untouchedMany", "map and unmap 2,048 untouched vectors", vectors: 2_048),
    ].compactMap { $0 }
  }

  private func toBaseline(_ id: String, _ name: String, consumers: Int) -> BenchFigure? {
    guard let result = touched(64, consumers) else { return nil }
    let ratio = result.ratio(.refault)
    return BenchFigure(
      id: id, name: name, unit: "us", xive: result.small[.refault]?.microseconds,
      baseline: result.baseline[.refault]?.microseconds, ratio: ratio,
      judged: ratio?.medianOfRounds, target: .atMost(1))
  }

  private func toSmall(_ id: String, _ name: String, consumers: Int) -> BenchFigure? {
    guard let result = touched(64, consumers) else { return nil }
    let ratio = result.sizeRatio(.refault)
    return BenchFigure(
      id: id, name: name, unit: "us", xive: result.large[.refault]?.microseconds, ratio: ratio,
      judged: ratio?.medianOfRounds, target: .atMost(1.1))
  }

  /// What a pushed page adds to the request that maps, compared with its cold fault.
  private func prefault(_ id: String, _ name: String, isOwn: Bool) -> BenchFigure? {
    guard let faults = touched(2_048, 1), let pushes = pushedPages(\.small) else { return nil }
    let pages = Double(faults.item.pageCount)
    let series = isOwn ? faults.small[.touch] : faults.baseline[.touch]
    let ratio = series.map { pushes.ratio(to: $0.divided(by: pages)) }
    return BenchFigure(
      id: id, name: name, unit: "us", xive: pushes.microseconds,
      baseline: pushedPages(\.baseline)?.microseconds, ratio: ratio, judged: ratio?.medianOfRounds,
      target: .atMost(0.15))
  }

  /// For each round, the time that a pushed page adds; pages are pushed to both windows.
  private func pushedPages(_ side: KeyPath<HotplugResult, [HotplugPhase: BenchSeries]>)
    -> BenchSeries?
  {
    guard let plain = self[2_048, false, 1, false], let pushed = self[2_048, false, 1, true],
      let without = plain[keyPath: side][.map], let with = pushed[keyPath: side][.map]
    else { return nil }
    var series = BenchSeries()
    for (without, with) in zip(without.rounds, with.rounds) {
      let pages = Double(2 * pushed.item.pageCount)
      series.append([(with.percentile(50) - without.percentile(50)) / pages])
    }
    return series
  }

  private func untouched(_ id: String, _ name: String, vectors: Int) -> BenchFigure? {
    guard let result = self[vectors, false, 1, false] else { return nil }
    return BenchFigure(
      id: id, name: name, unit: "us", xive: result.small[.all]?.microseconds,
      baseline: result.baseline[.all]?.microseconds, ratio: result.ratio(.all), judged: nil,
      target: nil)
  }

  private func touched(_ vectors: Int, _ consumers: Int) -> HotplugResult? {
    self[vectors, true, consumers, false]
  }

  private subscript(
    _ vectors: Int, _ isTouched: Bool, _ consumers: Int, _ isPrefaulted: Bool
  ) -> HotplugResult? {
    results[
      HotplugCase(
        vectors: vectors, isTouched: isTouched, consumers: consumers, isPrefaulted: isPrefaulted)]
  }
}

extension BenchSeries {
  /// The same with every figure divided.
  fileprivate func divided(by divisor: Double) -> BenchSeries {
    var result = BenchSeries()
    for round in rounds { result.append(round.map { $0 / divisor }) }
    return result
  }
}
