internal import SystemCalls
internal import XIVEClient

/// What a guest's runs must come to, line by line, and how far they are.
struct GuestReport {
  private(set) var failures = 0

  mutating func check(_ isMet: Bool, _ text: String) {
    clearProgress()
    print("\(isMet ? "ok " : "NOT") \(text)")
    flushOutput()
    if !isMet { failures += 1 }
  }

  /// Each event by itself: sent, handled, and only then the next.
  mutating func oneByOne(
    _ run: GuestRun, of events: Int, _ seconds: Double, _ figures: GuestFigures
  ) {
    let tally = run.tally
    let (toHost, kept) = (tally.toHost.count, tally.kept.count)
    let all = run.takenCount + toHost + kept
    check(
      run.failure == nil && all == events,
      run.failure
        ?? "\(all) events in \(Self.decimal(seconds)) s, \(Int(Double(events) / seconds)) a second, "
        + "none lost, none twice: \(tally.ipis.count) IPIs, \(tally.messages.count) messages, "
        + "\(tally.levels.count) of a line")
    check(
      tally.unplugs.count > 0,
      "meanwhile a device was unplugged \(tally.unplugs.count) times while it fired: \(toHost) of "
        + "these events went to the host, \(kept) waited in their sources")
    delivery(run, figures)
  }

  /// Events sent without a look, which sources merge.
  mutating func free(_ run: GuestRun, of triggers: Int, _ figures: GuestFigures) {
    let retriggered = run.tally.retriggered.count
    let taken = run.takenCount
    check(
      run.failure == nil && run.sources.allSatisfy(\.isSeen) && taken <= run.sentCount
        && run.sentCount == triggers,
      run.failure
        ?? "\(run.sentCount) triggers without a look: \(taken) events, \(retriggered) of them sent again at "
        + "EOI because Q was set, \(triggers - taken) merged; each was seen by a handler")
    delivery(run, figures)
  }

  /// What the device says of the same events.
  private mutating func delivery(_ run: GuestRun, _ figures: GuestFigures) {
    let taken = UInt64(run.takenCount)
    check(
      figures.events == taken && figures.entries == taken
        && figures.notified + figures.backlogged == taken,
      "the device counts \(figures.events) events, \(figures.entries) queue entries; in "
        + "\(run.tally.preemptions.count) times that a vCPU did not run "
        + "\(figures.backlogged) waited in its NVT")
    check(figures.mistakes == 0, "and \(figures.mistakes) guest errors")
  }

  // MARK: - Progress

  /// Shows on a terminal how far a run is.
  func show(_ run: GuestRun, of events: Int) {
    guard errorsAreWatched else { return }
    writeError("\r\u{1b}[K\(run.takenCount) events taken, \(run.sentCount) of \(events) sent")
  }

  private func clearProgress() {
    if errorsAreWatched { writeError("\r\u{1b}[K") }
  }

  private static func decimal(_ seconds: Double) -> String {
    let tenths = Int((seconds * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}

/// What the device has counted, or how much more since.
struct GuestFigures {
  var events: UInt64
  var entries: UInt64
  var notified: UInt64
  var backlogged: UInt64
  var mistakes: UInt64

  init(_ device: borrowing XIVEDescriptor) throws(XIVEClientError) {
    let counters = try device.counters()
    let delivery = try device.deliveryCounters()
    events = counters.events
    mistakes = counters.guestErrors
    entries = delivery.entries
    notified = delivery.notified
    backlogged = delivery.backlogged
  }

  /// What has come since.
  func since(_ earlier: GuestFigures) -> GuestFigures {
    var result = self
    result.events -= earlier.events
    result.entries -= earlier.entries
    result.notified -= earlier.notified
    result.backlogged -= earlier.backlogged
    result.mistakes -= earlier.mistakes
    return result
  }
}
