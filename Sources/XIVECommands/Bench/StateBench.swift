internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// How long a machine with the most sources that there can be takes to be saved to a file, and to be restored from it.
enum StateBench {
  private static let sourceCount = 1 << 20

  /// Measures on one server, whose sources are all routed and in all states.
  static func run(_ plan: BenchPlan, _ progress: BenchProgress) throws(BenchFailure)
    -> [BenchFigure]
  {
    let server = try BenchServer.xive(sources: sourceCount)
    let place: TemporaryPlace
    do { place = try TemporaryPlace("xive-bench") } catch { throw .system("state", error) }
    var saves: [Double] = []
    var restores: [Double] = []
    do {
      let device = try XIVEDescriptor(server.path)
      try device.setSourceRecords(records, from: LISN(rawValue: 0))
      for round in 0...plan.starts {
        try progress.show("save and restore: round \(round) of \(plan.starts)")
        let (save, restore) = try turn(device, place.path + "/state")
        guard round > 0 else { continue }
        saves.append(save)
        restores.append(restore)
      }
    } catch let error as BenchFailure { throw error } catch { throw .system(server.path, error) }
    return [
      figure("saveState", "save 2^20 sources", saves),
      figure("restoreState", "restore 2^20 sources", restores),
    ]
  }

  /// Saves and restores once, which must give the same state again.
  /// - Returns: milliseconds of each.
  private static func turn(_ device: borrowing XIVEDescriptor, _ file: String) throws -> (
    Double, Double
  ) {
    let start = MonotonicClock.nanoseconds
    let state = try MachineState.read(from: device)
    try state.write(to: file)
    let middle = MonotonicClock.nanoseconds
    let saved = try MachineState(contentsOf: file)
    try saved.apply(to: device)
    let end = MonotonicClock.nanoseconds
    guard saved == state, try MachineState.read(from: device) == state else {
      throw BenchFailure.lostState(file)
    }
    return (Double(middle - start) / 1e6, Double(end - middle) / 1e6)
  }

  /// All sources routed, half of them pending or queued, some masked.
  private static var records: [SourceRecord] {
    (0..<UInt32(sourceCount)).map { number in
      var record = SourceRecord(pq: PQ(rawValue: UInt8(number & 3)))
      if number % 16 != 0, let priority = Priority(rawValue: UInt8(number % 7)) {
        record.route(to: Server(rawValue: number % 64), priority, eisn: EISN(rawValue: number))
      }
      return record
    }
  }

  private static func figure(_ id: String, _ name: String, _ values: [Double]) -> BenchFigure {
    let spread = Spread(values)
    return BenchFigure(
      id: id, name: name, unit: "ms", xive: spread, judged: spread.p50, target: .atMost(500))
  }
}
