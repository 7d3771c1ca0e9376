import Foundation
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("vCPUs on the command line", .enabled(if: Requirement.canMount), .hangGuard)
struct VCPUCommandTests {
  private struct Map: Decodable {
    struct VCPU: Decodable {
      let server: UInt32
      let isPushed: Bool
      let nsr, cppr, ipb, pipr: UInt8
      let queues: [Queue]
    }
    struct Queue: Decodable {
      let priority: UInt8
      let address: UInt64
      let addressHex: String
      let byteCount, toggle, index: Int
    }
    struct Segment: Decodable {
      let region, what: String
      let server: UInt32?
      let pages: UInt64
    }
    let vcpus: [VCPU]
    let segments: [Segment]
    let delivery, guestErrors: [String: UInt64]
  }

  private func map(_ path: String) throws -> Map {
    let result = try CommandResult.xive("map", path, "--json")
    #expect(result.errors == [])
    return try JSONDecoder().decode(Map.self, from: Data(result.output.joined().utf8))
  }

  @Test("map shows each connected vCPU: its page, its ring, its queues")
  func shows() throws {
    let rig = try DeliveryRig()
    let path = rig.served.path
    #expect(try map(path).vcpus.isEmpty)
    let second = try rig.connect(5)
    let first = try rig.connect(0)
    let queue = try rig.addQueue(5)
    try rig.route(3, to: 5, eisn: 3)
    try second.setCPPR(0xff)
    try rig.device.trigger(3)
    try rig.device.pullContext(of: 0)
    for _ in 0..<2 {
      let shown = try map(path)
      #expect(shown.segments.filter { $0.region == "tima" }.map(\.server) == [0, 5])
      #expect(shown.segments.filter { $0.region == "tima" }.map(\.pages) == [1, 1])
      #expect(shown.segments.last?.what == "tima:5:os")
      #expect(
        shown.segments.filter { $0.region == "end" }.map(\.what) == [
          "END ESB pages of server 0", "END ESB pages of server 5",
        ])
      #expect(shown.vcpus.map(\.server) == [0, 5])
      #expect(shown.vcpus.map(\.isPushed) == [false, true])
      let vcpu = try #require(shown.vcpus.last)
      #expect(vcpu.nsr == 0x80 && vcpu.cppr == 0xff && vcpu.ipb == 2 && vcpu.pipr == 6)
      let entry = try #require(vcpu.queues.first)
      #expect(vcpu.queues.count == 1 && shown.vcpus.first?.queues.isEmpty == true)
      #expect(entry.priority == 6 && entry.address == DeliveryRig.memoryAddress + 46 << 16)
      #expect(entry.addressHex == "0x402e0000" && entry.byteCount == 65_536)
      #expect(entry.toggle == 1 && entry.index == 1)
      #expect(shown.delivery.count == 10 && shown.guestErrors.count == 12)
      #expect(shown.delivery["entries"] == 1 && shown.delivery["vcpus"] == 2)
      #expect(shown.delivery["ends"] == 1 && shown.delivery["vps"] == 2)
      #expect(shown.guestErrors.values.allSatisfy { $0 == 0 })
    }
    let text = try CommandResult.xive("map", path).output
    #expect(
      text.suffix(3) == [
        "vCPU 0: NSR 00 CPPR 00 IPB 00 PIPR ff, context pulled",
        "vCPU 5: NSR 80 CPPR ff IPB 02 PIPR 06, context pushed",
        "  priority 6: queue of 64 KiB at 0x402e0000, toggle 1, index 1",
      ])
    #expect(second.wait(milliseconds: 0) == true)
    let third = try rig.connect(1)
    #expect(
      try map(path).segments.filter { $0.region == "end" }.map(\.what) == [
        "END ESB pages of servers 0-1", "END ESB pages of server 5",
      ])
    withExtendedLifetime((first.server, third.server, queue.position)) {}
  }

  @Test("peek and poke take a register's size, and tell what a page does not take")
  func sizes() throws {
    let rig = try DeliveryRig()
    let path = rig.served.path
    let vcpu = try rig.connect(0)
    let cppr = try CommandResult.xive("poke", path, "tima:0:os+0x11", "0xff", "--size", "1")
    #expect(cppr.exitCode == 0 && cppr.errors == [])
    #expect(try vcpu.cppr() == 0xff)
    try vcpu.setPending(4)
    let peek = try CommandResult.xive("peek", path, "tima:0:os+0x810", "--size", "2")
    #expect(peek.output == ["0x8004"])
    #expect(try vcpu.cppr() == 4)
    let json = try CommandResult.xive("peek", path, "tima:0:os+0x11", "--size", "1", "--json")
    let object = try JSONSerialization.jsonObject(with: Data(json.output.joined().utf8))
    let report = try #require(object as? [String: Any])
    #expect(report["byteCount"] as? Int == 1 && report["valueHex"] as? String == "0x04")
    let narrow = try CommandResult.xive("peek", path, "esb:3:management+0x800", "--size", "4")
    #expect(narrow.exitCode == 1)
    #expect(narrow.errors.count == 1 && narrow.errors.first?.contains("4 bytes") == true)
    #expect(try CommandResult.xive("peek", path, "tima:0:os", "--size", "3").exitCode == 64)
    let large = try CommandResult.xive("poke", path, "tima:0:os+0x11", "0x100", "--size", "1")
    #expect(large.exitCode == 64)
    #expect(large.errors.first?.contains("8 bits") == true)
    #expect(try CommandResult.xive("poke", path, "0", "0x10000000000000000").exitCode == 64)
  }
}
