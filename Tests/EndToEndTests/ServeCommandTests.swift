import Foundation
import Testing
import XIVETestSupport

@Suite("map, peek and poke", .enabled(if: Requirement.canMount), .hangGuard)
struct ServeCommandTests {
  private struct Access: Decodable {
    let schemaVersion: Int
    let offset, value: UInt64
    let offsetHex, valueHex: String
  }

  private struct Map: Decodable {
    struct Segment: Decodable {
      let region, offsetHex, what: String
      let offset, byteCount, pages: UInt64
      let firstLISN, lastLISN: UInt32?
      let phb: PHB?
    }
    struct PHB: Decodable, Equatable {
      let index, msis, lsis, mapped: UInt32
      let storeEOI: Bool
    }
    let schemaVersion: Int
    let sources, servers, esbPages: UInt32
    let devicePageBytes: UInt64
    let storeEOI: Bool
    let segments: [Segment]
    let counters: [String: UInt64]
  }

  private func decode<Value: Decodable>(_ type: Value.Type, _ result: CommandResult) throws -> Value
  {
    try JSONDecoder().decode(type, from: Data(result.output.joined(separator: "\n").utf8))
  }

  @Test("peek and poke perform exactly one access each; names and numbers mean the same place")
  func accesses() throws {
    let device = try ServedDevice(["--create", "0-31"])
    let peek = try CommandResult.xive("peek", device.path, "esb:17:management+0x800")
    #expect(peek.exitCode == 0)
    #expect(peek.output == ["0x0000000000000001"])
    #expect(peek.errors == [])
    let poke = try CommandResult.xive("poke", device.path, "esb:0x11:management+0xe00", "0")
    #expect(poke.exitCode == 0)
    #expect(poke.output == [])
    let offset = managementPage(17) + 0x800
    #expect(try CommandResult.xive("peek", device.path, "\(offset)").output.last?.last == "2")
    let alias = try CommandResult.xive("peek", device.path, "kernel:17:management+0xc00")
    #expect(alias.output.last?.last == "2", "the value before SET_PQ_00")
    #expect(
      try CommandResult.xive("peek", device.path, "esb:17:trigger").output == ["0xffffffffffffffff"]
    )
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.pq(17) == 0)
    #expect(try consumer.counters().exactLoads == 5)
    #expect(try consumer.counters().exactStores == 1)
  }

  @Test("PHBs that are plugged from the start have their pages, and are listed with what they have")
  func phbs() throws {
    let device = try ServedDevice(["--phb", "3:0x10", "--phb", "0:6:2"])
    let map = try decode(Map.self, CommandResult.xive("map", device.path, "--json"))
    let phbs = map.segments.filter { $0.phb != nil }
    #expect(phbs.map(\.region) == ["phb 0", "phb 3"])
    #expect(phbs.map(\.offset) == [16 << 40, 19 << 40])
    #expect(phbs.map(\.pages) == [8, 16])
    #expect(phbs.first?.phb == .init(index: 0, msis: 6, lsis: 2, mapped: 0, storeEOI: false))
    #expect(phbs.first?.what == "PHB 0: 6 MSIs, 2 LSIs, 0 mapped")
    let peek = try CommandResult.xive("peek", device.path, "phb:3:15+0x800")
    #expect(peek.output == ["0x0000000000000001"], "as firmware leaves it: off")
    #expect(
      try CommandResult.xive("peek", device.path, "phb:3:16+0x800").output
        == ["0xffffffffffffffff"])
  }

  @Test("With --json an access is one object")
  func accessJSON() throws {
    let device = try ServedDevice(["--create", "0-31"])
    let peek = try decode(
      Access.self, CommandResult.xive("peek", device.path, "esb:3:management+0x800", "--json"))
    #expect(peek.schemaVersion == 1)
    #expect(peek.offset == managementPage(3) + 0x800)
    #expect(peek.offsetHex == "0x10000007800")
    #expect(peek.value == 1)
    #expect(peek.valueHex == "0x0000000000000001")
    let poke = try decode(
      Access.self,
      CommandResult.xive("poke", device.path, "esb:3:trigger", "0xffffffffffffffff", "--json"))
    #expect(poke.offset == triggerPage(3))
    #expect(poke.value == .max)
  }

  @Test("map lists exactly the segments, for people and for programs")
  func map() throws {
    let device = try ServedDevice(["--create", "0-15", "--create", "0x1300-0x130f", "--store-eoi"])
    let text = try CommandResult.xive("map", device.path)
    #expect(text.exitCode == 0)
    #expect(text.output.first?.contains("room for 8192 sources") == true)
    #expect(text.output.count == 2 + 5)
    let map = try decode(Map.self, CommandResult.xive("map", device.path, "--json"))
    #expect(map.schemaVersion == 1)
    #expect(map.sources == 8_192)
    #expect(map.servers == 1_024)
    #expect(map.esbPages == 2)
    #expect(map.devicePageBytes == 4_096)
    #expect(map.storeEOI)
    #expect(map.segments.map(\.region) == ["kernel", "kernel", "kernel", "esb", "esb"])
    #expect(map.segments.map(\.pages) == [1, 32, 32, 32, 32])
    let msis = try #require(map.segments.last)
    #expect(msis.offset == triggerPage(0x1300))
    #expect(msis.byteCount == 16 << 13)
    #expect(msis.firstLISN == 0x1300)
    #expect(msis.lastLISN == 0x130f)
    #expect(map.counters["fills"] == 0)
    #expect(map.counters.count == 10)
  }

  @Test("A device that refuses is exit 1, wrong usage exit 64, no server exit 69; each says why")
  func exitCodes() throws {
    var device = try ServedDevice(["--create", "0"])
    let unaligned = try CommandResult.xive("peek", device.path, "0x10000000001")
    #expect(unaligned.exitCode == 1)
    #expect(unaligned.output == [])
    #expect(unaligned.errors.count == 1)
    #expect(try CommandResult.xive("poke", device.path, "0x2000000000000000", "0").exitCode == 1)
    for offset in ["esb:17", "esb:9999:trigger", "nothing", "0x4000000000000000", "esb:0:middle"] {
      let result = try CommandResult.xive("peek", device.path, offset)
      #expect(result.exitCode == 64, "\(offset)")
      #expect(result.errors.first?.contains(offset) == true)
    }
    #expect(try CommandResult.xive("poke", device.path, "esb:0:trigger", "much").exitCode == 64)
    #expect(try CommandResult.xive("peek", device.path).exitCode == 64)
    #expect(try CommandResult.xive("map").exitCode == 64)
    #expect(device.stop() == 0)
    for path in [device.path, device.path + ".missing", "/dev/null", "/tmp"] {
      for words in [["map", path], ["peek", path, "0"], ["poke", path, "0", "0"]] {
        let result = try CommandResult([Built.path("xive")] + words)
        #expect(result.exitCode == 69, "\(words)")
        #expect(result.output == [])
        #expect(result.errors.count == 1)
        #expect(result.errors.first?.contains(path) == true)
      }
    }
  }

  @Test("A dead server's file is exit 69 too")
  func dead() throws {
    var device = try ServedDevice()
    device.signal(9)
    #expect(device.exitCode() == 137)
    for words in [["map", device.path], ["peek", device.path, "0"]] {
      let result = try CommandResult([Built.path("xive")] + words)
      #expect(result.exitCode == 69)
      #expect(result.errors.count == 1)
    }
  }

  @Test("The largest device is served, with every source created")
  func largest() throws {
    let device = try ServedDevice([
      "--sources", "1048576", "--create", "0-1048575", "--max-vcpus", "16384",
    ])
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.pq(1_048_575) == 1)
    try consumer.map(0, at: triggerPage(0), 1_048_576 << 13)
    #expect(try consumer.mapped(0, 1_048_575 << 13 | 0x1fc8) == 1_048_575 << 32 | 1)
    try consumer.map(1, at: kernelAlias(triggerPage(1_048_575)), 0x2000)
    try consumer.storeMapped(1, 0x1e00)
    #expect(try consumer.await(0, 1_048_575 << 13 | 0x1800, 2))
    #expect(try consumer.ask("seek 0 \(1 << 40) hole") == "ok 0x10200000000")
  }
}
