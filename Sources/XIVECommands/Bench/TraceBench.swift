internal import Synchronization
internal import SystemCalls
internal import TraceRecords
internal import XIVEClient
internal import XIVEModel
internal import XIVETrace

/// What tracing costs those who fault, and how fast its records can be read.
final class TraceBench {
  private let plan: BenchPlan
  private let server: BenchServer
  private let consumer: BenchConsumer
  private var series: [Turn: BenchSeries] = [:]

  /// A turn of cold faults: without tracing twice, so that the two tell what the machine's noise is.
  private enum Turn: Int, CaseIterable { case off, alsoOff, on, read }

  /// Starts a server.
  init(_ plan: BenchPlan) throws(BenchFailure) {
    // Single faults have a part of the file of their own, which all turns together must not leave.
    self.plan = BenchPlan(
      rounds: plan.rounds, accesses: plan.accesses * 3 / 4, ranges: plan.ranges, pairs: plan.pairs,
      starts: plan.starts)
    server = try BenchServer.xive(sources: BenchConsumer.sourceCount)
    do { consumer = try BenchConsumer(server.path) } catch { throw .system(server.path, error) }
  }

  /// Measures in turns; the first round warms up.
  func run(_ progress: BenchProgress) throws(BenchFailure) -> [BenchFigure] {
    for round in 0...plan.rounds {
      for turn in Turn.allCases {
        try progress.show("tracing: round \(round) of \(plan.rounds)")
        let samples: [Double]
        do { samples = try measure(turn, round) } catch { throw .system(server.path, error) }
        if round > 0 { series[turn, default: BenchSeries()].append(samples) }
      }
    }
    let load: (produced: Double, kept: Double)
    let speeds: [Double]
    do {
      speeds = try (0..<plan.starts * 4).map { _ in try readingSpeed() }
      load = try follow()
    } catch { throw .system(server.path, error) }
    return figures(speeds, load)
  }

  private func measure(_ turn: Turn, _ round: Int) throws -> [Double] {
    let index = round * Turn.allCases.count + turn.rawValue
    switch turn {
    case .off, .alsoOff: return try consumer.measure(.coldFault, round: index, plan)
    case .on:
      var stream = try stream(from: .now)
      _ = try stream.read()
      return try consumer.measure(.coldFault, round: index, plan)
    case .read:
      let reader = try BenchTraceReader(server.path)
      defer { _ = reader.stop() }
      return try consumer.measure(.coldFault, round: index, plan)
    }
  }

  private func stream(from start: TraceStream<DeviceTraceSource>.Start) throws
    -> TraceStream<DeviceTraceSource>
  {
    try TraceStream(try DeviceTraceSource(server.path), from: start)
  }

  /// Fills a ring, and reads it.
  /// - Returns: records in a second.
  private func readingSpeed() throws -> Double {
    // Holds tracing on.
    var stream = try stream(from: .now)
    _ = try stream.read()
    let device = try XIVEDescriptor(server.path)
    for _ in 0..<8_192 { try device.trigger(LISN(rawValue: 7)) }
    let start = MonotonicClock.nanoseconds
    var count = 0
    while true {
      let records = try stream.read()
      guard !records.isEmpty else { break }
      count += records.count
    }
    return Double(count) * 1e9 / Double(MonotonicClock.nanoseconds - start)
  }

  /// Has two threads trigger as fast as they can for a while, with a reader that follows.
  /// - Returns: records in a second, and how many percent of them were read.
  private func follow() throws -> (produced: Double, kept: Double) {
    let reader = try BenchTraceReader(server.path)
    let path = server.path
    let count = plan.accesses * 40
    let start = MonotonicClock.nanoseconds
    _ = try BenchThreads.run(2) { number in
      guard let device = try? XIVEDescriptor(path) else { return nil }
      for _ in 0..<count { try? device.trigger(LISN(rawValue: 100 + UInt32(number))) }
      return nil
    }
    let end = MonotonicClock.nanoseconds
    let result = reader.stop()
    let records = Double(result.read + result.lost)
    return (records * 1e9 / Double(end - start), Double(result.read) * 100 / records)
  }

  private func figures(_ speeds: [Double], _ load: (produced: Double, kept: Double))
    -> [BenchFigure]
  {
    [
      compared("traceOff", "cold fault, tracing off, to itself (noise)", .alsoOff, nil),
      compared("traceOn", "cold fault, tracing on, to off", .on, .atMost(1.03)),
      compared("traceRead", "cold fault, tracing on and read, to off", .read, .atMost(1.03)),
      BenchFigure(
        id: "traceReadingSpeed", name: "trace records read", unit: "10^6/s",
        xive: Spread(speeds.map { $0 * 1e-6 }), judged: nil, target: nil),
      BenchFigure(
        id: "traceFollowed", name: "trace records made by two threads, and followed",
        unit: "10^3/s", xive: Spread([load.produced * 1e-3]), judged: nil, target: nil),
      BenchFigure(
        id: "traceKept", name: "of those, read before they were overwritten", unit: "%",
        xive: Spread([load.kept]), judged: load.kept, target: .atLeast(100)),
    ]
  }

  private func compared(
    _ id: String, _ name: String, _ turn: Turn, _ target: BenchFigure.Target?
  ) -> BenchFigure {
    let own = series[turn] ?? BenchSeries()
    let off = series[.off] ?? BenchSeries()
    let ratio = own.ratio(to: off)
    return BenchFigure(
      id: id, name: name, unit: "us", xive: own.spread(scaledBy: 1e-3),
      baseline: off.spread(scaledBy: 1e-3), ratio: ratio,
      judged: target == nil ? nil : ratio.medianOfRounds, target: target)
  }
}

/// A thread that follows a device's records as `xive trace --follow` does.
private final class BenchTraceReader {
  private let threads = ThreadGroup()
  private let follower: Follower

  /// Starts it; when this returns tracing is on.
  init(_ path: String) throws {
    let follower = try Follower(path)
    self.follower = follower
    try threads.start("reader") { follower.run() }
  }

  /// Reads the rest, and ends it.
  func stop() -> (read: UInt64, lost: UInt64) {
    follower.stop()
    threads.join()
    return follower.counts
  }
}

private final class Follower: Sendable {
  private struct State: ~Copyable {
    var stream: TraceStream<DeviceTraceSource>
    var count: UInt64 = 0
  }
  private let state: Mutex<State>
  private let stopping = Atomic<Bool>(false)

  init(_ path: String) throws {
    var stream = try TraceStream(try DeviceTraceSource(path), from: .now)
    _ = try stream.read()
    state = Mutex(State(stream: stream))
  }

  var counts: (read: UInt64, lost: UInt64) { state.withLock { ($0.count, $0.stream.lost) } }

  func stop() { stopping.store(true, ordering: .sequentiallyConsistent) }

  /// The body of the thread, which alone locks the state until it has ended.
  func run() {
    state.withLock { state in
      while !stopping.load(ordering: .sequentiallyConsistent) {
        _ = state.stream.wait(milliseconds: 10)
        MonotonicClock.sleep(nanoseconds: 10_000_000)
        Self.readAll(&state)
      }
      Self.readAll(&state)
    }
  }

  private static func readAll(_ state: inout State) {
    while let records = try? state.stream.read(), !records.isEmpty {
      state.count += UInt64(records.count { $0.kind != .gap })
    }
  }
}
