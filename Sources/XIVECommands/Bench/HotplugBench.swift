internal import ArgumentParser
internal import SystemCalls

/// `xive bench hotplug`: what it costs to plug and unplug a device.
struct HotplugBenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hotplug",
    abstract: "Measure map, zap, first touch and unmap of a device's interrupts.",
    discussion: """
      Consumers are processes of their own that have the device's pages mapped. The C server drops, and \
      fills, the same ranges of pages on a thread of its own, and knows nothing of interrupts.
      """)

  @OptionGroup var options: BenchOptions

  func run() throws {
    StopSignals.block()
    try reporting {
      let progress = BenchProgress()
      let plan = options.quick ? HotplugPlan.quick : .full
      let bench = try HotplugBench(plan, baseline: options.baseline)
      let report = try bench.run(progress, isQuick: options.quick)
      progress.clear()
      if options.json { try printJSON(report) } else { print(report.text) }
    }
  }
}

/// Every case, in turns against servers of two sizes and the C server.
final class HotplugBench {
  private let plan: HotplugPlan
  /// By the number of sources.
  private var small: [Int: HotplugServer] = [:]
  private let large: HotplugServer
  private var baseline: [Int: HotplugServer] = [:]

  /// The sources of the large server.
  static let largeSourceCount = 1 << 20

  /// Starts servers and consumers.
  init(_ plan: HotplugPlan, baseline program: String?) throws(BenchFailure) {
    self.plan = plan
    for count in Set(HotplugCase.all.map(\.smallSourceCount)) {
      small[count] = try .xive(sources: count)
      if let program { baseline[count] = try .baseline(program, sources: count) }
    }
    large = try .xive(sources: Self.largeSourceCount)
  }

  /// Measures in turns; the first round warms up.
  func run(_ progress: BenchProgress, isQuick: Bool) throws(BenchFailure) -> HotplugReport {
    for round in 0...plan.rounds {
      for item in HotplugCase.all where round <= plan.rounds(item) {
        try progress.show("hot-plug: round \(round) of \(plan.rounds), \(item.vectors) vectors")
        try small[item.smallSourceCount]?.measure(item, round: round, plan)
        try baseline[item.smallSourceCount]?.measure(item, round: round, plan)
        try large.measure(item, round: round, plan)
      }
    }
    let results = HotplugCase.all.map { item in
      HotplugResult(
        item: item, small: { phase in self.small[item.smallSourceCount]?[item, phase] },
        baseline: { phase in self.baseline[item.smallSourceCount]?[item, phase] },
        large: { phase in self.large[item, phase] })
    }
    return HotplugReport(isQuick: isQuick, results: results, hasBaseline: !baseline.isEmpty)
  }
}
