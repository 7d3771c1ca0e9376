internal import SystemCalls
internal import XIVEClient

/// Faults and accesses of a served file, in turns against this program and the C server.
final class FileBench {
  private let plan: BenchPlan
  private let xive: ServedFile
  private let baseline: ServedFile?

  /// Starts the servers.
  init(_ plan: BenchPlan, baseline program: String?) throws(BenchFailure) {
    self.plan = plan
    xive = try ServedFile(
      "xive", BenchServer.xive(sources: BenchConsumer.sourceCount), hasCounters: true)
    if let program {
      baseline = try ServedFile(program, BenchServer(program), hasCounters: false)
    } else {
      baseline = nil
    }
  }

  /// Measures in turns; the first round warms up.
  func run(_ progress: BenchProgress) throws(BenchFailure) -> [BenchFigure] {
    for round in 0...plan.rounds {
      for figure in FileFigure.allCases {
        try progress.show("faults and accesses: round \(round) of \(plan.rounds)")
        try xive.measure(figure, round: round, plan)
        try baseline?.measure(figure, round: round, plan)
      }
    }
    return figures
  }

  private var figures: [BenchFigure] {
    [
      compared("coldFault", "cold fault, one page", .coldFault, atMost: 0.8),
      compared("exactLoad", "exact load, 8 bytes", .exactLoad, atMost: 0.65),
      compared("exactStore", "exact store, 8 bytes", .exactStore, atMost: 0.65),
      compared(
        "rangeFill", "range fill, per page, to own cold fault", .rangeFill, to: xive[.coldFault],
        atMost: 0.15),
      compared(
        "rangeFillToBaseline", "range fill, per page, to C cold fault", .rangeFill,
        to: baseline?[.coldFault], atMost: 0.15),
    ]
  }

  private func compared(
    _ id: String, _ name: String, _ figure: FileFigure, atMost limit: Double
  ) -> BenchFigure {
    compared(id, name, figure, to: baseline?[figure], atMost: limit)
  }

  private func compared(
    _ id: String, _ name: String, _ figure: FileFigure, to other: BenchSeries?,
    atMost limit: Double
  ) -> BenchFigure {
    let microsecond = 1e-3
    // A round's turns share the machine's mood, which the medians of all rounds do not.
    let ratio = other.map { xive[figure].ratio(to: $0) }
    return BenchFigure(
      id: id, name: name, unit: "us", xive: xive[figure].spread(scaledBy: microsecond),
      baseline: baseline?[figure].spread(scaledBy: microsecond), ratio: ratio,
      judged: ratio?.medianOfRounds, target: .atMost(limit))
  }
}

/// A served file with its consumer and what was measured so far.
private final class ServedFile {
  private let name: String
  private let counters: XIVEDescriptor?
  private let consumer: BenchConsumer
  private let server: BenchServer
  private var series: [FileFigure: BenchSeries] = [:]

  init(_ name: String, _ server: BenchServer, hasCounters: Bool) throws(BenchFailure) {
    self.name = name
    self.server = server
    do {
      consumer = try BenchConsumer(server.path)
      counters = hasCounters ? try XIVEDescriptor(server.path) : nil
    } catch { throw .system(server.path, error) }
  }

  subscript(figure: FileFigure) -> BenchSeries { series[figure] ?? BenchSeries() }

  /// Measures one turn, and has the server's own counter confirm that it answered all faults.
  func measure(_ figure: FileFigure, round: Int, _ plan: BenchPlan) throws(BenchFailure) {
    let before = try fillCount()
    let samples: [Double]
    do { samples = try consumer.measure(figure, round: round, plan) } catch {
      throw .system("\(name): \(figure)", error)
    }
    let expected = BenchConsumer.pageCount(of: figure, plan)
    if let before, let after = try fillCount(), after - before < expected {
      throw .notCold(name, expected: expected, filled: after - before)
    }
    if round > 0 { series[figure, default: BenchSeries()].append(samples) }
  }

  /// Pages that the server says it has filled, where it says so.
  private func fillCount() throws(BenchFailure) -> Int? {
    do { return try counters?.counters().fills.asInt } catch { throw .system(name, error) }
  }
}

extension UInt64 {
  fileprivate var asInt: Int { Int(clamping: self) }
}
