internal import SystemCalls
internal import XIVEModel

/// PQ operations in this process: triggers and EOIs of sources of an engine, on one and on four threads.
///
/// Events are dropped: ``DeliveryBench`` routes them.
@safe
final class ModelBench: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`; used through the cells only.
  private let memory: UnsafeMutableRawBufferPointer
  private let engine: SourceEngine

  private static let sourceCount = 1_024
  private static let threadCount = 4

  init() {
    unsafe memory = .allocate(
      byteCount: SourceCells.byteCount(for: Self.sourceCount), alignment: 64)
    let cells = unsafe SourceCells(unsafeMemory: memory, count: Self.sourceCount)
    engine = SourceEngine(cells: cells, supportsStoreEOI: false, router: NoRouter())
    for number in 0..<UInt32(Self.threadCount) {
      engine.perform(.create(isLSI: false, isAsserted: false), on: LISN(rawValue: number))
      engine.perform(.set(.reset), on: LISN(rawValue: number))
    }
  }

  deinit { unsafe memory.deallocate() }

  /// Measures one and four threads in turns; the first round warms up.
  func run(_ plan: BenchPlan, _ progress: BenchProgress) throws(BenchFailure) -> [BenchFigure] {
    let isParallel = MonotonicClock.processorCount >= Self.threadCount
    var single = BenchSeries()
    var speedUps: [Double] = []
    for round in 0...plan.rounds {
      try progress.show("the model: round \(round) of \(plan.rounds)")
      let alone = try nanosecondsPerOperation(threads: 1, plan.pairs)
      let together =
        isParallel ? try nanosecondsPerOperation(threads: Self.threadCount, plan.pairs) : []
      guard round > 0 else { continue }
      single.append(alone)
      if isParallel { speedUps.append(together.reduce(0) { $0 + alone[0] / $1 }) }
    }
    return [operation(single.spread()), speedUp(isParallel ? Spread(speedUps) : nil)]
  }

  private func operation(_ spread: Spread) -> BenchFigure {
    BenchFigure(
      id: "pqOperation", name: "PQ operation in process, 1 thread", unit: "ns", xive: spread,
      judged: spread.p50, target: .atMost(10))
  }

  private func speedUp(_ spread: Spread?) -> BenchFigure {
    BenchFigure(
      id: "pqSpeedUp", name: "PQ operations, 4 threads to 1", unit: "times", xive: spread,
      judged: spread?.p50, target: .atLeast(3.2),
      skipped: spread == nil
        ? "needs 4 processors, has \(MonotonicClock.processorCount)" : nil)
  }

  /// Runs threads at once, each on a source of its own.
  /// - Returns: each thread's time for one operation.
  private func nanosecondsPerOperation(threads count: Int, _ pairs: Int) throws(BenchFailure)
    -> [Double]
  {
    try BenchThreads.run(count) { [self] number in
      nanosecondsPerOperation(on: LISN(rawValue: UInt32(number)), pairs)
    }
  }

  private func nanosecondsPerOperation(on lisn: LISN, _ pairs: Int) -> Double {
    let start = MonotonicClock.nanoseconds
    for _ in 0..<pairs {
      engine.perform(.trigger, on: lisn)
      engine.perform(.endOfInterrupt, on: lisn)
    }
    return Double(MonotonicClock.nanoseconds - start) / Double(2 * pairs)
  }
}

/// Drops what leaves the sources.
private struct NoRouter: EventRouter {
  func forward(_ lisn: LISN) {}
}
