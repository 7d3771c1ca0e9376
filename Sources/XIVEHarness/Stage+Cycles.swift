internal import SystemCalls

extension Stage {
  /// Repeats a body: as often as the options say, as long as they say, and the usual number of times otherwise.
  ///
  /// Between two cycles the watchers' verdicts are looked at, and the servers' memory and descriptors.
  /// - Parameters:
  ///   - title: the step that all cycles are together.
  ///   - expected: what must come of them.
  ///   - body: one cycle, with its index from 0.
  /// - Throws: the first thing that is not as expected.
  func cycles(_ title: String, expected: String, _ body: (Int) throws -> Void) throws {
    let limit = options.cycles ?? (options.seconds == nil ? usualCycles : nil)
    var progress = Progress()
    progress.allCycles = limit
    progress.allNanoseconds = options.seconds.map { UInt64($0) * 1_000_000_000 }
    let start = MonotonicClock.nanoseconds
    let before = reads
    let checked = checks
    var footprints = FootprintHistory(cycles: limit)
    try step(title, expected: expected) {
      while !progress.isDone {
        try body(progress.cycles)
        try look()
        progress.cycles += 1
        progress.reads = reads - before
        progress.nanoseconds = MonotonicClock.nanoseconds - start
        control.report(progress)
        try footprints.sample(self, progress)
      }
      let seen = progress.reads == 0 ? "" : ", \(progress.reads) pages read"
      return "\(progress.cycles) cycles, \(checks - checked) checks\(seen), nothing stale"
        + footprints.text
    }
  }

  /// Signatures read by all watchers.
  var reads: UInt64 { devices.reduce(0) { $0 + $1.reads } }

  /// Throws what any watcher has seen that must not be.
  func look() throws {
    try control.beat()
    for device in devices { try device.board?.look() }
  }
}

extension Progress {
  fileprivate var isDone: Bool {
    if let allNanoseconds, nanoseconds >= allNanoseconds { return true }
    return allCycles.map { cycles >= $0 } ?? false
  }
}
