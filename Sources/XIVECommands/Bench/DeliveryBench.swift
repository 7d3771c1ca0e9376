internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// Interrupts in this process: from the trigger to the entry in the queue and the acknowledgement, and further to
/// the end of the interrupt.
final class DeliveryBench {
  private static let serverCounts = [1, 64, 1_024]
  private static let threadCount = 4

  private let rigs: [DeliveryRig]
  private let shared: DeliveryRig

  /// Makes a controller for each number of vCPUs, and one that several threads drive.
  init() throws(BenchFailure) {
    do {
      rigs = try Self.serverCounts.map { try DeliveryRig(serverCount: $0) }
      shared = try DeliveryRig(serverCount: 64, drivenCount: Self.threadCount)
    } catch { throw .system("the queues' memory", error) }
  }

  /// Measures in turns; the first round warms up.
  func run(_ plan: BenchPlan, _ progress: BenchProgress) throws(BenchFailure) -> [BenchFigure] {
    let isParallel = MonotonicClock.processorCount >= Self.threadCount
    var acknowledged = BenchSeries()
    var handled = Self.serverCounts.map { _ in BenchSeries() }
    var speedUps: [Double] = []
    for round in 0...plan.rounds {
      try progress.show("delivery in process: round \(round) of \(plan.rounds)")
      let nested = try nested(plan.pairs / 8)
      let alone = try rigs.map { rig throws(BenchFailure) in
        try handle(on: rig, threads: 1, plan.pairs / 8)
      }
      let parallel =
        isParallel ? try handle(on: shared, threads: Self.threadCount, plan.pairs / 8) : []
      guard round > 0 else { continue }
      acknowledged.append(nested)
      for (index, times) in alone.enumerated() { handled[index].append(times) }
      if isParallel { speedUps.append(parallel.reduce(0) { $0 + alone[1][0] / $1 }) }
    }
    for rig in rigs + [shared] where rig.mistakeCount > 0 {
      throw .lostInterrupts("a guest error was counted")
    }
    return figures(acknowledged, handled) + [speedUp(isParallel ? Spread(speedUps) : nil)]
  }

  private func figures(_ acknowledged: BenchSeries, _ handled: [BenchSeries]) -> [BenchFigure] {
    let path = acknowledged.spread()
    return [
      BenchFigure(
        id: "deliver", name: "trigger, entry, ack in process", unit: "ns", xive: path,
        judged: path.p50, target: .atMost(100))
    ]
      + zip(Self.serverCounts, handled).map { count, series in
        // Whatever the number of vCPUs, an event touches those that it is for.
        let ratio = count == 1 ? nil : series.ratio(to: handled[0])
        return BenchFigure(
          id: "handle\(count)",
          name: count == 1
            ? "the same, queue, EOI, CPPR; 1 vCPU" : "the same, \(count) vCPUs, to 1",
          unit: "ns", xive: series.spread(), ratio: ratio, judged: ratio?.medianOfRounds,
          target: ratio.map { _ in .atMost(1.1) })
      }
  }

  private func speedUp(_ spread: Spread?) -> BenchFigure {
    BenchFigure(
      id: "handleSpeedUp", name: "the same, 4 threads to 1", unit: "times", xive: spread,
      judged: spread?.p50, target: .atLeast(3.2),
      skipped: spread == nil
        ? "needs \(Self.threadCount) processors, has \(MonotonicClock.processorCount)" : nil)
  }

  // MARK: - One thread

  /// Triggers and acknowledges, each time more favored than before, so that nothing else has to be done in between;
  /// what is left to do follows where it is not measured.
  /// - Returns: the time of one event.
  private func nested(_ count: Int) throws(BenchFailure) -> [Double] {
    let rig = rigs[0]
    let server = Server(rawValue: 0)
    let sources = DeliveryRig.priorities.reversed().map { DeliveryRig.source(server, $0) }
    var duration: UInt64 = 0
    var acknowledged: UInt64 = 0
    rig.setCPPR(0xff, of: server)
    for _ in 0..<count / sources.count {
      let start = MonotonicClock.nanoseconds
      for lisn in sources {
        rig.trigger(lisn)
        acknowledged &+= rig.acknowledge(server) ?? 0
      }
      duration += MonotonicClock.nanoseconds - start
      for lisn in sources { rig.endOfInterrupt(lisn) }
      rig.setCPPR(0xff, of: server)
    }
    let batches = UInt64(count / sources.count)
    // NSR and the priority, of all eight.
    guard acknowledged == batches * (8 * 0x8000 + 28) else {
      throw .lostInterrupts("an acknowledgement gave none")
    }
    return [Double(duration) / Double(batches * UInt64(sources.count))]
  }

  // MARK: - Threads

  /// Handles interrupts on threads, each with a vCPU of its own.
  /// - Returns: each thread's time of one interrupt.
  private func handle(on rig: DeliveryRig, threads count: Int, _ interrupts: Int)
    throws(BenchFailure) -> [Double]
  {
    let times = try BenchThreads.run(count) { number in
      Self.handle(on: rig, Server(rawValue: UInt32(number)), interrupts)
    }
    guard times.count == count else { throw .lostInterrupts("an entry is missing in a queue") }
    return times
  }

  /// Handles one interrupt after the other, as a guest does.
  /// - Returns: the time of one; nil when an entry or an acknowledgement was not what it should be.
  private static func handle(on rig: DeliveryRig, _ server: Server, _ count: Int) -> Double? {
    let priority = DeliveryRig.priorities[6]
    let lisn = DeliveryRig.source(server, priority)
    guard var queue = try? rig.queue(server, priority) else { return nil }
    rig.setCPPR(0xff, of: server)
    let start = MonotonicClock.nanoseconds
    for _ in 0..<count {
      rig.trigger(lisn)
      guard rig.acknowledge(server) == 0x8006, queue.next() == EISN(lisn) else { return nil }
      rig.endOfInterrupt(lisn)
      rig.setCPPR(0xff, of: server)
    }
    return Double(MonotonicClock.nanoseconds - start) / Double(count)
  }
}
