internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

extension GuestMachine {
  /// Lets vCPUs, devices and the scheduler work until everything has been sent and handled.
  /// - Parameters:
  ///   - mode: how events follow each other.
  ///   - events: how many are sent.
  ///   - isHotplugged: whether the second device comes and goes meanwhile.
  ///   - show: is told now and then how far it is.
  /// - Returns: the run, which has ended.
  /// - Throws: the error of starting it.
  func run(
    _ mode: GuestRun.Mode, events: Int, isHotplugged: Bool, _ show: (GuestRun) -> Void
  ) throws -> GuestRun {
    for source in sources { source.reset() }
    let run = try GuestRun(mode, sources, events: events)
    let threads = ThreadGroup()
    try start(threads, run)
    if isHotplugged, let target = devices.last {
      try threads.start("hotplug") { [self] in
        run.attempt { () throws(XIVEClientError) in
          try GuestHotplug.work(run, on: target, by: device)
        }
      }
    }
    wait(for: run, show)
    threads.join()
    return run
  }

  private func start(_ threads: ThreadGroup, _ run: GuestRun) throws {
    for cpu in cpus {
      try threads.start("vcpu \(cpu.number)") {
        run.attempt { () throws(XIVEClientError) in try cpu.work(run) }
      }
    }
    for device in devices {
      try threads.start("phb \(device.phb.rawValue)") {
        run.attempt { () throws(XIVEClientError) in try device.work(run) }
      }
    }
    try threads.start("scheduler") { [self] in
      run.attempt { () throws(XIVEClientError) in
        try GuestScheduler.work(run, on: cpus, by: device)
      }
    }
  }

  private func wait(for run: GuestRun, _ show: (GuestRun) -> Void) {
    var last = (count: -1, time: MonotonicClock.nanoseconds)
    while !run.isOver {
      if run.isAtRest, isQuiet { return run.end() }
      let count = run.takenCount
      if count != last.count { last = (count, MonotonicClock.nanoseconds) }
      if MonotonicClock.nanoseconds - last.time > patience { run.fail(lost(run)) }
      show(run)
      MonotonicClock.sleep(nanoseconds: 2_000_000)
    }
  }

  /// Whether every event has been ended: what an EOI has sent again comes later than what it was sent for.
  private var isQuiet: Bool {
    sources.allSatisfy { source in ((try? device.pq(of: source.lisn)) ?? nil) == .reset }
  }

  /// Which events have not come.
  private func lost(_ run: GuestRun) -> String {
    let lisns = sources.filter { $0.outstanding != 0 }.map { source in
      let pq = ((try? device.pq(of: source.lisn)) ?? nil).map { "\($0)" } ?? "-"
      return "\(source.lisn) at PQ \(pq)"
    }
    return "lost, or still to be sent: events of LISN " + lisns.joined(separator: ", ")
  }

  /// Whether nothing is under way any more: sources ready, queues read to their end, nothing pending.
  func isIdle() throws(XIVEClientError) -> Bool {
    guard isQuiet else { return false }
    for cpu in cpus {
      guard try cpu.settle(), try cpu.isIdle(by: device) else { return false }
    }
    return true
  }
}
