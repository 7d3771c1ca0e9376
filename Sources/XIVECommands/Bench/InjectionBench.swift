internal import DeviceClient
internal import Synchronization
internal import SystemCalls
internal import SystemPackage
internal import XIVEClient
internal import XIVEModel

/// What a VMM's threads wait for beside their guests: attributes, and interrupts by eventfd.
final class InjectionBench {
  private let plan: BenchPlan
  private let vcpus: BenchVCPUs
  private let message: Line
  private let level: Line
  private let relay: EventRelay
  private let baseline: BaselineLoads?
  private var series: [Figure: BenchSeries] = [:]

  private enum Figure: Hashable { case attribute, load, message, level, event }

  /// Starts the servers, and assigns the eventfds.
  init(_ plan: BenchPlan, baseline program: String?) throws(BenchFailure) {
    self.plan = plan
    do {
      vcpus = try BenchVCPUs(count: 2)
      message = try Line(vcpus.all[0], isLevel: false)
      level = try Line(vcpus.all[1], isLevel: true)
      relay = try EventRelay()
      baseline = try program.map { try BaselineLoads($0) }
    } catch let failure as BenchFailure { throw failure } catch {
      throw .system("injection", error)
    }
  }

  /// Measures in turns; the first round warms up.
  func run(_ progress: BenchProgress) throws(BenchFailure) -> [BenchFigure] {
    for round in 0...plan.rounds {
      try progress.show("injection: round \(round) of \(plan.rounds)")
      do {
        try add(.attribute, round) { try vcpus.all[0].askQueue() }
        if let baseline { try add(.load, round) { try baseline.load() } }
        try add(message.measure(plan.accesses / 4), .message, round)
        try add(level.measure(plan.accesses / 4), .level, round)
        try add(relay.measure(plan.accesses / 4), .event, round)
      } catch let failure as BenchFailure { throw failure } catch {
        throw .system("injection", error)
      }
    }
    return figures
  }

  private func add(_ figure: Figure, _ round: Int, _ body: () throws -> Void) throws {
    let samples = try (0..<plan.accesses).map { _ in
      let start = MonotonicClock.nanoseconds
      try body()
      return Double(MonotonicClock.nanoseconds - start)
    }
    add(samples, figure, round)
  }

  private func add(_ samples: [Double], _ figure: Figure, _ round: Int) {
    if round > 0 { series[figure, default: BenchSeries()].append(samples) }
  }

  private var figures: [BenchFigure] {
    [
      compared("attribute", "attribute call, to C exact load", .attribute, to: .load),
      compared("irqfd", "irqfd to queue entry, to eventfd and a thread", .message, to: .event),
      compared("resample", "irqfd, entry, ack, EOI, resamplefd", .level, to: .event),
    ]
  }

  private func compared(_ id: String, _ name: String, _ figure: Figure, to other: Figure)
    -> BenchFigure
  {
    let microsecond = 1e-3
    let own = series[figure] ?? BenchSeries()
    return BenchFigure(
      id: id, name: name, unit: "us", xive: own.spread(scaledBy: microsecond),
      baseline: series[other]?.spread(scaledBy: microsecond),
      ratio: series[other].map { own.ratio(to: $0) }, judged: nil, target: nil)
  }
}

/// An eventfd that raises the source of a vCPU.
private final class Line {
  private let vcpu: BenchVCPU
  private let event: Event
  /// For an LSI: what is told when its interrupt ends.
  private let resample: Event?
  private let irqfd: IRQFD

  init(_ vcpu: BenchVCPU, isLevel: Bool) throws {
    self.vcpu = vcpu
    let event = try Event()
    guard isLevel else {
      irqfd = try vcpu.assign(event)
      self.event = event
      resample = nil
      return
    }
    try vcpu.makeLevelSensitive()
    let resample = try Event()
    irqfd = try vcpu.assign(event, resample: resample)
    self.event = event
    self.resample = consume resample
  }

  /// Raises it again and again, handling each interrupt.
  /// - Returns: nanoseconds from there to the entry in the queue; for an LSI to when its end was told.
  func measure(_ count: Int) throws -> [Double] {
    try (0..<count).map { _ in
      let start = MonotonicClock.nanoseconds
      event.raise()
      guard let entry = vcpu.entryTime(), try vcpu.acknowledge() else {
        throw BenchFailure.lostInterrupts("an irqfd's")
      }
      guard resample != nil else {
        try vcpu.end()
        return Double(entry - start)
      }
      try vcpu.endLevel()
      guard resample?.wait(milliseconds: 5_000) == true else {
        throw BenchFailure.lostInterrupts("the end of a level interrupt")
      }
      let end = MonotonicClock.nanoseconds
      resample?.lower()
      try vcpu.open()
      return Double(end - start)
    }
  }
}

/// What no way of injecting can be faster than: an eventfd, a thread that waits for it, and a word that it writes.
private final class EventRelay {
  private let threads = ThreadGroup()
  private let box: Box

  private final class Box: Sendable {
    let event: Event
    let count = Atomic<UInt64>(0)
    let isOver = Atomic<Bool>(false)
    init() throws(Errno) { event = try Event() }
  }

  init() throws {
    let box = try Box()
    self.box = box
    try threads.start("bench-relay") { Self.relay(box) }
  }

  deinit {
    box.isOver.store(true, ordering: .sequentiallyConsistent)
    box.event.raise()
    threads.join()
  }

  /// - Returns: nanoseconds from raising the eventfd to the word.
  func measure(_ count: Int) throws -> [Double] {
    (0..<count).map { _ in
      let before = box.count.load(ordering: .acquiring)
      let start = MonotonicClock.nanoseconds
      box.event.raise()
      while box.count.load(ordering: .acquiring) == before {}
      return Double(MonotonicClock.nanoseconds - start)
    }
  }

  private static func relay(_ box: Box) {
    while !box.isOver.load(ordering: .sequentiallyConsistent) {
      guard box.event.wait() else { continue }
      box.event.lower()
      box.count.wrappingAdd(1, ordering: .releasing)
    }
  }
}

/// Exact loads from the C server: one request and its answer.
private final class BaselineLoads {
  private let file: DeviceDescriptor
  private let server: BenchServer

  init(_ program: String) throws {
    server = try BenchServer(program)
    file = try DeviceDescriptor(server.path)
  }

  func load() throws { _ = try file.load(at: 1 << 40) }
}
