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
    var readySmall: [Double] = []
    var perSource: [Double] = []
    var small: [Double] = []
    var large: [Double] = []
    for round in 1...plan.starts {
      try progress.show("starting servers: round \(round) of \(plan.starts)")
      let (smallTime, smallBytes) = try start(few)
      let (time, bytes) = try start(many)
      readySmall.append(smallTime)
      ready.append(time)
      small.append(smallBytes / 1e6)
      large.append(bytes / 1e6)
      perSource.append((bytes - smallBytes) / Double(many - few))
    }
    // 32 bytes a source, and 16 MB for the process itself.
    return [
      figure("readySmall", "ready with 2^10 sources", "ms", readySmall, atMost: 1_000),
      figure("ready", "ready with 2^20 sources", "ms", ready, atMost: 1_000),
      figure("memorySmall", "server memory, 2^10 sources", "MB", small, atMost: 16),
      figure("memoryLarge", "server memory, 2^20 sources", "MB", large, atMost: 50),
      figure("memory", "server memory a source", "bytes", perSource, atMost: 32),
    ]
  }

  /// Starts a server and ends it.
  /// - Returns: milliseconds until it was ready, and the bytes of memory that are its own.
  private static func start(_ sources: Int) throws(BenchFailure) -> (Double, Double) {
    let server = try BenchServer.xive(sources: sources)
    return (Double(server.nanosecondsToReady) / 1e6, Double(server.privateByteCount))
  }

  private static func figure(
    _ id: String, _ name: String, _ unit: String, _ values: [Double], atMost limit: Double
  ) -> BenchFigure {
    let spread = Spread(values)
    return BenchFigure(
      id: id, name: name, unit: unit, xive: spread, judged: spread.p50, target: .atMost(limit))
  }
}
