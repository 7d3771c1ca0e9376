internal import SystemCalls
internal import XIVEClient

/// The VMM's scheduler: takes vCPUs off their processors and puts them back.
enum GuestScheduler {
  /// How long a vCPU does not run, and how long all run in between; nanoseconds.
  private static let pause: UInt64 = 500_000
  private static let slice: UInt64 = 1_000_000

  /// Goes on until a run is over, with one vCPU after the other.
  static func work(_ run: GuestRun, on cpus: [GuestCPU], by device: borrowing XIVEDescriptor)
    throws(XIVEClientError)
  {
    var turn = 0
    while !run.isOver {
      try cpus[turn % cpus.count].preempt(nanoseconds: pause, by: device)
      run.tally.preemptions.add()
      turn += 1
      MonotonicClock.sleep(nanoseconds: slice)
    }
  }
}
