import FoundationEssentials
import SystemCalls
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("map: what a VMM has set up", .enabled(if: Requirement.canMount), .hangGuard)
struct MapMachineTests {
  @Test(
    "A machine that only runs has no line of its own; one that was set up says how, and that it is stopped"
  )
  func machine() throws {
    let device = try ServedDevice(["--create", "0-7"])
    #expect(try lines(of: device).isEmpty)
    let descriptor = try XIVEDescriptor(device.path)
    try descriptor.setSourceCount(64)
    try descriptor.setServerCount(4)
    try descriptor.setAddress(of: .esb, to: 0x6_0100_0000_0000)
    let event = try Event()
    let irqfd = try descriptor.assign(event, to: LISN(rawValue: 3))
    try descriptor.stopMachine()
    event.raise()
    #expect(
      try lines(of: device) == [
        "stopped: events stay at their sources until the machine runs",
        "set up for 64 sources and 4 servers",
        "guest-physical: ESB at 0x6010000000000",
        "1 irqfd assigned",
      ])
    let report = try report(of: device)
    #expect(report.machine.isRunning == false)
    #expect(report.machine.sources == 64 && report.machine.servers == 4)
    #expect(report.machine.timaAddress == nil)
    #expect(report.machine.esbAddress == 0x6_0100_0000_0000)
    #expect(report.injection["irqfds"] == 1)
    try irqfd.deassign()
    // What was raised has been injected by now.
    #expect(
      try self.report(of: device).injection == [
        "irqfds": 0, "injected": 1, "lines": 0, "messages": 0, "refused": 0, "resampled": 0,
      ])
  }

  /// The lines between the first one and the table.
  private func lines(of device: borrowing ServedDevice) throws -> [String] {
    let output = try CommandResult.xive("map", device.path).output
    return Array(output.dropFirst().prefix { !$0.hasPrefix("region") })
  }

  private func report(of device: borrowing ServedDevice) throws -> Report {
    let text = try CommandResult.xive("map", device.path, "--json").output.joined(separator: "\n")
    return try JSONDecoder().decode(Report.self, from: Data(text.utf8))
  }
}

/// What a program reads of `map --json` about the machine.
private struct Report: Decodable {
  struct Machine: Decodable {
    let isRunning: Bool
    let sources, servers: UInt32
    let timaAddress, esbAddress: UInt64?
  }
  let machine: Machine
  let injection: [String: UInt64]
}
