internal import ArgumentParser
internal import SystemCalls
internal import XIVEClient

/// `xive guest`: a guest's interrupts, handled as Linux does; the demo runs it in its own process.
struct GuestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "guest",
    abstract: "Send and handle interrupts on four vCPUs (a part of the demo).",
    shouldDisplay: false)

  @Argument(help: "The device file; servers 0 to 3 and PHBs 0 and 1 must be free.") var path: String
  @Option(help: "Events that are sent one by one; a quarter as many follow without a look.")
  var events: Int = Self.defaultEvents
  @Option(help: "Seconds without a single event after which something has been lost.")
  var patience: UInt32 = 20

  /// What takes a few seconds.
  static let defaultEvents = 20_000

  func validate() throws { try Self.validate(events: events) }

  /// Refuses what would say too little, or never end.
  static func validate(events: Int) throws {
    guard (1_000...100_000_000).contains(events) else {
      throw ValidationError("--events: \(events) is out of range: 1000 to 100000000")
    }
  }

  func run() throws {
    try reporting {
      let machine = try GuestMachine(path, patience: UInt64(patience) * 1_000_000_000)
      var report = GuestReport()
      report.check(
        machine.cpus.count == GuestMachine.cpuCount,
        "\(machine.cpus.count) vCPUs connected, each with two queues in the guest's memory; "
          + "\(machine.sources.count) sources routed to them")
      try oneByOne(machine, &report)
      if report.failures == 0 { try free(machine, &report) }
      report.check(
        try machine.isIdle(),
        "at rest: every source at PQ 00, every queue read to its end, nothing pending")
      try machine.end()
      if report.failures > 0 { throw Exit.failed }
    }
  }

  private func oneByOne(_ machine: GuestMachine, _ report: inout GuestReport) throws {
    let before = try GuestFigures(machine.device)
    let start = MonotonicClock.nanoseconds
    let run = try machine.run(.oneByOne, events: events, isHotplugged: true) { [report] in
      report.show($0, of: events)
    }
    let seconds = Double(MonotonicClock.nanoseconds - start) / 1e9
    report.oneByOne(run, of: events, seconds, try GuestFigures(machine.device).since(before))
  }

  private func free(_ machine: GuestMachine, _ report: inout GuestReport) throws {
    let before = try GuestFigures(machine.device)
    let count = events / 4
    let run = try machine.run(.free, events: count, isHotplugged: false) { [report] in
      report.show($0, of: count)
    }
    report.free(run, of: count, try GuestFigures(machine.device).since(before))
  }
}
