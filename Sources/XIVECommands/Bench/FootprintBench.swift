internal import SystemCalls

/// How long the server takes to start, and what memory a source takes there.
enum FootprintBench {
  private static let few = 1 << 10
  private static let many = 1 << 20

  /// Starts servers of two sizes in turns.
  static func run(_ plan: BenchPlan, _ progress: BenchProgress) throws(BenchFailure)
    -> [BenchFigure]
  {
    var ready: [Double] = []
    var perSource: [Double] = []
    for round in 1...plan.starts {
      try progress.show("starting servers: round \(round) of \(plan.starts)")
      let small = try BenchServer.xive(sources: few).privateByteCount
      let server = try BenchServer.xive(sources: many)
      ready.append(Double(server.nanosecondsToReady) / 1e6)
      perSource.append(Double(server.privateByteCount - small) / Double(many - few))
    }
    return [
      figure("ready", "ready with 2^20 sources", "ms", ready, atMost: 1_000),
      figure("memory", "server memory a source", "bytes", perSource, atMost: 32),
    ]
  }

  private static func figure(
    _ id: String, _ name: String, _ unit: String, _ values: [Double], atMost limit: Double
  ) -> BenchFigure {
    let spread = Spread(values)
    return BenchFigure(
      id: id, name: name, unit: unit, xive: spread, judged: spread.p50, target: .atMost(limit))
  }
}
