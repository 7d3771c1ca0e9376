import FoundationEssentials
import Testing
import XIVETestSupport

@Suite("What guests do wrong", .enabled(if: Requirement.canMount), .hangGuard)
struct GuestErrorTests {
  /// What `xive map --json` says of it.
  private struct Report: Decodable {
    let guestErrors: [String: UInt64]
    let vcpus: [VCPU]
    struct VCPU: Decodable { let server: UInt32 }
  }

  /// Accesses of vCPU 3 that its OS view refuses, and an event of a source whose queue has gone.
  private func err(_ path: String) throws -> Consumer {
    var consumer = try Consumer(opening: path)
    #expect(try consumer.connect(to: 3).hasPrefix("ok"))
    #expect(try consumer.load(at: OSView.page + 0x18, size: 4) == 0xffff_ffff, "word 2 is the HV's")
    #expect(try consumer.load(at: OSView.acknowledge, size: 1) == 0xff, "the size is 2")
    try consumer.storeByte(7, at: OSView.ring)
    // An END that is not valid.
    #expect(try consumer.load(at: 2 << 40 | (8 * 3 + 6) << 13) == .max)
    return consumer
  }

  @Test("They are counted by kind, as map --json shows, and stop nobody")
  func counted() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var consumer = try err(device.path)
    let map = try CommandResult.xive("map", "--json", device.path)
    #expect(map.exitCode == 0)
    let json = Array(map.output.joined(separator: "\n").utf8)
    let report = try JSONDecoder().decode(Report.self, from: Data(json))
    #expect(report.guestErrors["timaAccess"] == 3)
    #expect(report.guestErrors["absentPage"] == 1)
    #expect(report.guestErrors.values.reduce(0, +) == 4)
    #expect(report.vcpus.map(\.server) == [3])
    try consumer.setPQ(0, 0)
    try consumer.store(at: triggerPage(0))
    #expect(try consumer.pq(0) == 2)
    #expect(device.errors == "", "at the usual level nothing is logged")
  }

  @Test("At debug level each is a line of the server's log, with its kind and what it happened to")
  func logged() throws {
    var device = try ServedDevice(["--log-level", "debug"])
    let consumer = try err(device.path)
    #expect(device.stop() == 0)
    let lines = device.errors.split(separator: "\n").filter { $0.contains("guest error") }
    #expect(lines.count == 4, "\(device.errors)")
    #expect(lines.allSatisfy { $0.contains("debug") })
    #expect(lines.count { $0.contains("kind=timaAccess") && $0.contains("object=vCPU 3") } == 3)
    #expect(lines.count { $0.contains("kind=absentPage") && $0.contains("object=offset 0x") } == 1)
    _ = consumer.processID
  }

  @Test("A level that is none is refused")
  func level() throws {
    let result = try CommandResult.xive("serve", "--log-level", "loud", "/nowhere")
    #expect(result.exitCode == 64)
    #expect(result.errors.contains { $0.contains("--log-level 'loud'") }, "\(result.errors)")
  }
}
