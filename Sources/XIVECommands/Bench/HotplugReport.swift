/// What was measured of one case.
struct HotplugResult {
  let item: HotplugCase
  let small: [HotplugPhase: BenchSeries]
  let baseline: [HotplugPhase: BenchSeries]
  let large: [HotplugPhase: BenchSeries]

  init(
    item: HotplugCase, small: (HotplugPhase) -> BenchSeries?,
    baseline: (HotplugPhase) -> BenchSeries?, large: (HotplugPhase) -> BenchSeries?
  ) {
    func gather(_ series: (HotplugPhase) -> BenchSeries?) -> [HotplugPhase: BenchSeries] {
      var gathered: [HotplugPhase: BenchSeries] = [:]
      for phase in item.phases { gathered[phase] = series(phase) }
      return gathered
    }
    self.item = item
    self.small = gather(small)
    self.baseline = gather(baseline)
    self.large = gather(large)
  }

  /// This program compared with the C server.
  func ratio(_ phase: HotplugPhase) -> Ratio? {
    guard let small = small[phase], let baseline = baseline[phase] else { return nil }
    return small.ratio(to: baseline)
  }

  /// The large server compared with the small one.
  func sizeRatio(_ phase: HotplugPhase) -> Ratio? {
    guard let small = small[phase] else { return nil }
    return large[phase]?.ratio(to: small)
  }
}

/// One phase of one case, for programs; times in microseconds.
struct HotplugLine: Encodable {
  let vectors: Int
  let isTouched: Bool
  let consumers: Int
  let isPrefaulted: Bool
  let phase: HotplugPhase
  let unit = "us"
  /// The sources of the smaller server.
  let sources: Int
  let xive: Spread?
  let xiveLarge: Spread?
  let baseline: Spread?
  let ratio: Ratio?
  let sizeRatio: Ratio?

  init(_ result: HotplugResult, _ phase: HotplugPhase) {
    let item = result.item
    vectors = item.vectors
    isTouched = item.isTouched
    consumers = item.consumers
    isPrefaulted = item.isPrefaulted
    self.phase = phase
    sources = item.smallSourceCount
    xive = result.small[phase]?.microseconds
    xiveLarge = result.large[phase]?.microseconds
    baseline = result.baseline[phase]?.microseconds
    ratio = result.ratio(phase)
    sizeRatio = result.sizeRatio(phase)
  }
}

/// The result of a run, for people and for programs.
struct HotplugReport: Encodable {
  let schemaVersion = 1
  let machine = Machine()
  let isQuick: Bool
  /// What the project has promised, and what a reader asks first.
  let figures: [BenchFigure]
  /// Everything.
  let phases: [HotplugLine]
  private let hasBaseline: Bool
  private let rows: [[String]]

  init(isQuick: Bool, results: [HotplugResult], hasBaseline: Bool) {
    self.isQuick = isQuick
    self.hasBaseline = hasBaseline
    figures = HotplugFigures(results).all
    phases = results.flatMap { result in result.item.phases.map { HotplugLine(result, $0) } }
    rows = results.map(\.cells)
  }

  private enum CodingKeys: String, CodingKey {
    case schemaVersion, machine, isQuick, figures, phases
  }

  /// The machine, all cases, and what is judged.
  var text: String {
    let head = [
      "vectors", "pages", "processes", "prefault", "map us", "C", "touch us", "C", "unmap us", "C",
      "ratio", "by round", "2^20 us", "to small",
    ]
    let lines = [
      machine.text, table([head] + rows, rightAligned: Set([0, 2] + Array(4..<head.count))),
      "Medians. Small: 2^10 sources, 2^12 for 2,048 vectors. Ratios are of map + touch + unmap.",
      "",
      figures.text,
    ]
    return (lines + (hasBaseline ? [] : [BenchReport.baselineHint])).joined(separator: "\n")
  }
}

extension HotplugResult {
  fileprivate var cells: [String] {
    let times = [HotplugPhase.map, .touch, .unmap].flatMap { phase in
      [decimal(small[phase]?.microseconds.p50), decimal(baseline[phase]?.microseconds.p50)]
    }
    return [
      "\(item.vectors)", item.isTouched ? "touched" : "untouched", "\(item.consumers)",
      item.isPrefaulted ? "yes" : "no",
    ] + times + [
      decimal(ratio(.all)?.ofMedians), decimal(ratio(.all)?.medianOfRounds),
      decimal(large[.all]?.microseconds.p50), decimal(sizeRatio(.all)?.medianOfRounds),
    ]
  }
}

extension BenchSeries {
  /// All figures together, of nanoseconds.
  var microseconds: Spread { spread(scaledBy: 1e-3) }
}
