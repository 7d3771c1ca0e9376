import Testing
import XIVEModel
import XIVETestSupport

/// A layout with as many sources and servers as there may be.
struct Layout: CustomTestStringConvertible, Sendable {
  let map: DeviceMap

  static let all = [12, 16].map {
    Layout(
      map: DeviceMap(
        pageShift: $0, sourceCount: UInt32(LISN.maximumCount),
        serverCount: UInt32(Server.maximumCount)))
  }

  var testDescription: String { "\(map.pageByteCount >> 10) KiB pages" }

  /// The target at a page of a region, counted from the region's start.
  func target(region: UInt64, page: UInt64) -> PageTarget? {
    map.target(at: region << 40 + page << map.pageShift)
  }
}

extension PageTarget {
  static func esb(_ number: UInt32, _ half: ESBHalf) -> PageTarget {
    .esb(LISN(rawValue: number), half)
  }

  /// Any page that a device with all sources and servers has.
  static func random(_ random: inout SplitMix64) -> PageTarget {
    let isOdd = Bool.random(using: &random)
    let view = TIMAView.allCases[.random(in: 0..<4, using: &random)]
    switch Int.random(in: 0..<5, using: &random) {
    case 0: return .connectedTIMA(view)
    case 1:
      let number = UInt32.random(in: 0..<UInt32(LISN.maximumCount), using: &random)
      return .esb(number, isOdd ? .management : .trigger)
    case 2:
      let index = UInt32.random(in: 0..<UInt32(Server.maximumCount) * 8, using: &random)
      return .end(index: index, isOdd ? .escalation : .notification)
    case 3:
      let server = UInt32.random(in: 0..<UInt32(Server.maximumCount), using: &random)
      return .tima(Server(rawValue: server), view)
    default:
      guard let phb = PHBIndex(rawValue: .random(in: 0..<1024, using: &random)) else {
        return .connectedTIMA(view)
      }
      return .phb(phb, HardwareIRQ(rawValue: .random(in: 0...UInt16.max, using: &random)))
    }
  }
}

@Suite("The device file's layout")
struct DeviceMapTests {
  @Test("Random targets lie where they are found again", arguments: Layout.all)
  func randomRoundTrip(_ layout: Layout) {
    var random = Seed.generator(stream: layout.map.pageShift)
    for _ in 0..<20_000 {
      let target = PageTarget.random(&random)
      let offset = layout.map.offset(of: target)
      let within = UInt64.random(in: 0..<layout.map.pageByteCount, using: &random)
      let found = layout.map.target(at: offset + within)
      if found != target || offset % layout.map.pageByteCount != 0 {
        Issue.record("\(target) at \(offset) + \(within) is \(found as Any). \(Seed.comment)")
      }
    }
  }

  @Test("A page begins and ends at its borders, wherever it is", arguments: Layout.all)
  func pageBorders(_ layout: Layout) throws {
    let last = try #require(PHBIndex(rawValue: 1023))
    let edges: [PageTarget] = [
      .connectedTIMA(.hw), .connectedTIMA(.user), .esb(0, .trigger), .esb(0xfffff, .management),
      .end(index: 0, .notification), .end(index: 16_384 * 8 - 1, .escalation),
      .tima(Server(rawValue: 0), .hw), .tima(Server(rawValue: 16_383), .user),
      .phb(last, HardwareIRQ(rawValue: 0)), .phb(last, HardwareIRQ(rawValue: .max)),
    ]
    for target in edges {
      let offset = layout.map.offset(of: target)
      #expect(layout.map.target(at: offset) == target)
      #expect(layout.map.target(at: offset + layout.map.pageByteCount - 1) == target)
      #expect(layout.map.target(at: offset + layout.map.pageByteCount) != target)
      if offset > 0 { #expect(layout.map.target(at: offset - 1) != target) }
    }
  }

  @Test("The kernel's window names the same pages as region 1", arguments: Layout.all)
  func kernelAlias(_ layout: Layout) {
    for number: UInt32 in [0, 1, 17, 1023, 1024, 0x1303, 0xfffff] {
      for half in ESBHalf.allCases {
        let offset = layout.map.kernelOffset(of: LISN(rawValue: number), half)
        let page = 4 + UInt64(number) * 2 + UInt64(half.rawValue)
        #expect(offset == page << layout.map.pageShift)
        #expect(layout.map.target(at: offset) == .esb(number, half))
        #expect(layout.map.offset(of: .esb(number, half)) != offset)
      }
    }
  }

  @Test("Code for the kernel's device finds TIMA at 0 and ESB pages at 0x40000")
  func kernelConstants() {
    let map = Layout.all[1].map
    #expect(map.target(at: 0x20000) == .connectedTIMA(.os))
    #expect(map.target(at: 0x40000) == .esb(0, .trigger))
    #expect(map.target(at: 0x3ffff) == .connectedTIMA(.user))
    #expect(DeviceMap.fileByteCount == 1 << 62)
  }

  @Test("Sources on both sides of a kernel block, and the last one", arguments: Layout.all)
  func sourceEdges(_ layout: Layout) {
    for region: (number: UInt64, firstPage: UInt64) in [(0, 4), (1, 0)] {
      for number: UInt32 in [1023, 1024, 0xfffff] {
        let page = region.firstPage + UInt64(number) * 2
        #expect(layout.target(region: region.number, page: page) == .esb(number, .trigger))
        #expect(layout.target(region: region.number, page: page + 1) == .esb(number, .management))
      }
      let beyond = region.firstPage + 0x10_0000 * 2
      #expect(layout.target(region: region.number, page: beyond) == nil)
      #expect(layout.target(region: region.number, page: beyond + 1) == nil)
    }
  }

  @Test("A device with fewer sources and servers ends there", arguments: [UInt64(12), 16])
  func smallDevice(pageShift: UInt64) {
    let layout = Layout(map: DeviceMap(pageShift: pageShift, sourceCount: 5, serverCount: 3))
    #expect(layout.target(region: 0, page: 4 + 9) == .esb(4, .management))
    #expect(layout.target(region: 0, page: 4 + 10) == nil)
    #expect(layout.target(region: 1, page: 9) == .esb(4, .management))
    #expect(layout.target(region: 1, page: 10) == nil)
    #expect(layout.target(region: 2, page: 47) == .end(index: 23, .escalation))
    #expect(layout.target(region: 2, page: 48) == nil)
    #expect(layout.target(region: 3, page: 11) == .tima(Server(rawValue: 2), .user))
    #expect(layout.target(region: 3, page: 12) == nil)
  }
}
