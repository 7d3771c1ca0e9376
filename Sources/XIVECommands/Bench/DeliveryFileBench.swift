internal import DeviceClient
internal import SystemCalls
internal import SystemPackage
internal import XIVEClient
internal import XIVEModel

/// Interrupts through the served file: exact accesses, and waiting.
final class DeliveryFileBench {
  private static let vcpuCounts = [1, 1_000]

  private let plan: BenchPlan
  private let vcpus: [BenchVCPUs]
  private let wakeUps: [WakeUpBench]
  private let eventWakeUps: EventWakeUpBench
  private let baseline: BaselineAccesses?
  private var series: [Figure: BenchSeries] = [:]

  private enum Figure: Hashable {
    case acknowledge(isBaseline: Bool)
    case handle(isBaseline: Bool)
    case wakeUp(vcpus: Int)
    case eventWakeUp
  }

  /// Starts the servers, and connects the vCPUs.
  init(_ plan: BenchPlan, baseline program: String?) throws(BenchFailure) {
    self.plan = plan
    do {
      vcpus = try Self.vcpuCounts.map { try BenchVCPUs(count: $0) }
      wakeUps = try vcpus.map { try WakeUpBench($0) }
      eventWakeUps = try EventWakeUpBench()
      baseline = try program.map { try BaselineAccesses($0) }
    } catch let failure as BenchFailure { throw failure } catch { throw .system("delivery", error) }
  }

  /// Measures in turns; the first round warms up.
  func run(_ progress: BenchProgress) throws(BenchFailure) -> [BenchFigure] {
    for round in 0...plan.rounds {
      try progress.show("delivery through the file: round \(round) of \(plan.rounds)")
      do {
        try handle(round)
        try wake(round)
      } catch let failure as BenchFailure { throw failure } catch {
        throw .system("delivery", error)
      }
    }
    return figures
  }

  // MARK: - Turns

  private func handle(_ round: Int) throws {
    let vcpu = vcpus[0].all[0]
    var acknowledged: [Double] = []
    var handled: [Double] = []
    for _ in 0..<plan.accesses {
      let start = MonotonicClock.nanoseconds
      try vcpu.trigger()
      let isTaken = try vcpu.acknowledge()
      let middle = MonotonicClock.nanoseconds
      let isThere = try vcpu.finish()
      let end = MonotonicClock.nanoseconds
      guard isTaken, isThere else { throw BenchFailure.lostInterrupts("through the file") }
      acknowledged.append(Double(middle - start))
      handled.append(Double(end - start))
    }
    add(acknowledged, .acknowledge(isBaseline: false), round)
    add(handled, .handle(isBaseline: false), round)
    guard let baseline else { return }
    let times = try baseline.measure(plan.accesses)
    add(times.map { $0.acknowledged }, .acknowledge(isBaseline: true), round)
    add(times.map { $0.handled }, .handle(isBaseline: true), round)
  }

  private func wake(_ round: Int) throws {
    let count = max(1, plan.accesses / 4)
    for (vcpuCount, bench) in zip(Self.vcpuCounts, wakeUps) {
      add(try bench.measure(count), .wakeUp(vcpus: vcpuCount), round)
    }
    add(try eventWakeUps.measure(count), .eventWakeUp, round)
  }

  private func add(_ samples: [Double], _ figure: Figure, _ round: Int) {
    if round > 0 { series[figure, default: BenchSeries()].append(samples) }
  }

  // MARK: - Figures

  private var figures: [BenchFigure] {
    [
      compared(
        "deliverExact", "trigger, ack through the file", .acknowledge(isBaseline: false),
        to: .acknowledge(isBaseline: true)),
      compared(
        "handleExact", "the same, queue, EOI, CPPR", .handle(isBaseline: false),
        to: .handle(isBaseline: true)),
      compared("wakeUp1", "trigger to epoll_wait, to eventfd", .wakeUp(vcpus: 1), to: .eventWakeUp),
      compared(
        "wakeUp1000", "the same, 1,000 vCPUs wait", .wakeUp(vcpus: 1_000), to: .eventWakeUp),
    ]
  }

  private func compared(_ id: String, _ name: String, _ figure: Figure, to other: Figure)
    -> BenchFigure
  {
    let microsecond = 1e-3
    let own = series[figure] ?? BenchSeries()
    let ratio = series[other].map { own.ratio(to: $0) }
    return BenchFigure(
      id: id, name: name, unit: "us", xive: own.spread(scaledBy: microsecond),
      baseline: series[other]?.spread(scaledBy: microsecond), ratio: ratio, judged: nil,
      target: nil)
  }
}

/// The accesses of an interrupt, at the C server: nothing happens there.
private final class BaselineAccesses {
  private let file: DeviceDescriptor
  private let server: BenchServer

  init(_ program: String) throws {
    server = try BenchServer(program)
    file = try DeviceDescriptor(server.path)
  }

  func measure(_ count: Int) throws -> [(acknowledged: Double, handled: Double)] {
    let map = DeviceMap(pageShift: 12, sourceCount: 1, serverCount: 1)
    let lisn = LISN(rawValue: 0)
    let trigger = map.offset(of: .esb(lisn, .trigger))
    let management = map.offset(of: .esb(lisn, .management))
    let view = map.offset(of: .connectedTIMA(.os))
    return try (0..<count).map { _ in
      let start = MonotonicClock.nanoseconds
      try file.store(0, at: trigger)
      _ = try file.load(at: view + 0x810, byteCount: 2)
      let middle = MonotonicClock.nanoseconds
      _ = try file.load(at: management + 0xc00)
      try file.store(0xff, at: view + 0x11, byteCount: 1)
      return (Double(middle - start), Double(MonotonicClock.nanoseconds - start))
    }
  }
}
