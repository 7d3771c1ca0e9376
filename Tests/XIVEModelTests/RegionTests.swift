import Testing
import XIVEModel

@Suite("The device file's regions")
struct RegionTests {
  /// Every number for which the map has a region.
  private static let known = Set(UInt64(0)...3).union(16..<16 + 1024).union([0x1000, 0x1001])

  @Test("The map has regions 0-3, 16 for each PHB, 0x1000 and 0x1001, and no others")
  func numbers() {
    for number in UInt64(0)..<0x2000 {
      let region = Region(rawValue: number)
      #expect((region != nil) == Self.known.contains(number), "region \(number)")
      if let region {
        #expect(region.rawValue == number)
        #expect(region.start == number << 40)
      }
    }
    for number: UInt64 in [0x2000, 1 << 22, 1 << 24 - 1, .max] {
      #expect(Region(rawValue: number) == nil)
    }
  }

  @Test("The regions have the names of the design")
  func names() throws {
    #expect(Region(rawValue: 0) == .kernel)
    #expect(Region(rawValue: 1) == .esb)
    #expect(Region(rawValue: 2) == .end)
    #expect(Region(rawValue: 3) == .tima)
    #expect(Region(rawValue: 0x1000) == .sourceState)
    #expect(Region(rawValue: 0x1001) == .trace)
    #expect(Region(rawValue: 16) == .phb(try #require(PHBIndex(rawValue: 0))))
    #expect(Region(rawValue: 16 + 1023) == .phb(try #require(PHBIndex(rawValue: 1023))))
  }

  @Test("Only regions of pages have a first page", arguments: Layout.all)
  func firstPages(_ layout: Layout) {
    let withPages = Self.known.subtracting([0x1000, 0x1001])
    for region in UInt64(0)..<0x1100 {
      let target = layout.target(region: region, page: 0)
      #expect((target != nil) == withPages.contains(region), "region \(region)")
    }
  }

  @Test("Every region's last page is a hole, and none leaks into the next", arguments: Layout.all)
  func lastPages(_ layout: Layout) {
    for region in Self.known {
      let end = (region + 1) << 40
      #expect(layout.map.target(at: end - 1) == nil, "region \(region)")
      #expect(layout.map.target(at: end - layout.map.pageByteCount) == nil, "region \(region)")
    }
  }

  @Test("Each region ends behind its last page", arguments: Layout.all)
  func ends(_ layout: Layout) throws {
    let servers = UInt64(Server.maximumCount)
    let phb = try #require(PHBIndex(rawValue: 1023))
    let ends: [(region: UInt64, last: UInt64, target: PageTarget)] = [
      (0, 4 + 2 * 0x10_0000 - 1, .esb(0xfffff, .management)),
      (1, 2 * 0x10_0000 - 1, .esb(0xfffff, .management)),
      (2, servers * 16 - 1, .end(index: UInt32(servers) * 8 - 1, .escalation)),
      (3, servers * 4 - 1, .tima(Server(rawValue: UInt32(servers) - 1), .user)),
      (16 + 1023, 65_535, .phb(phb, HardwareIRQ(rawValue: 65_535))),
    ]
    for end in ends {
      #expect(layout.target(region: end.region, page: end.last) == end.target)
      #expect(layout.target(region: end.region, page: end.last + 1) == nil)
    }
  }

  @Test("An offset beyond the file is nothing", arguments: Layout.all)
  func beyondFile(_ layout: Layout) {
    for offset in [DeviceMap.fileByteCount - 1, DeviceMap.fileByteCount, 1 << 63, UInt64.max] {
      #expect(layout.map.target(at: offset) == nil)
    }
    // The regions' numbers must not wrap around the file's size.
    #expect(layout.map.target(at: DeviceMap.fileByteCount + Region.esb.start) == nil)
  }
}
