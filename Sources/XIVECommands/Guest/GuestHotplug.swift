internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// Unplugs a device while its interrupts are under way, finds out where each one went, and plugs it again.
enum GuestHotplug {
  /// How long the device is there, and how long each event may take to be accounted for; nanoseconds.
  private static let period: UInt64 = 2_000_000
  private static let patience: UInt64 = 10_000_000_000

  /// Goes on until everything has been sent.
  static func work(_ run: GuestRun, on target: GuestDevice, by device: borrowing XIVEDescriptor)
    throws(XIVEClientError)
  {
    while !run.isSpent, !run.isOver {
      MonotonicClock.sleep(nanoseconds: period)
      let before = try device.counters().hostEvents
      try target.pullOut()
      guard try account(run, target, device, hostEvents: before) else {
        return run.fail("an event of the device that was unplugged is not accounted for")
      }
      try target.plugAgain()
      run.tally.unplugs.add()
    }
  }

  /// Waits until each event is handled, with the host, or waiting in its source.
  private static func account(
    _ run: GuestRun, _ target: GuestDevice, _ device: borrowing XIVEDescriptor,
    hostEvents before: UInt64
  ) throws(XIVEClientError) -> Bool {
    let start = MonotonicClock.nanoseconds
    while !run.isOver, MonotonicClock.nanoseconds - start < patience {
      let outstanding = target.outstanding
      let toHost = Int(try device.counters().hostEvents - before)
      let kept = try queuedCount(target, device)
      // Whoever handles one meanwhile has it counted again.
      if outstanding == toHost + kept, target.isQuiet, outstanding == target.outstanding {
        run.tally.toHost.add(toHost)
        run.tally.kept.add(kept)
        for source in target.sources { source.writeOff() }
        return true
      }
      MonotonicClock.sleep(nanoseconds: 100_000)
    }
    return run.isOver
  }

  private static func queuedCount(_ target: GuestDevice, _ device: borrowing XIVEDescriptor)
    throws(XIVEClientError) -> Int
  {
    var count = 0
    for source in target.sources where try device.pq(of: source.lisn) == .queued { count += 1 }
    return count
  }
}
