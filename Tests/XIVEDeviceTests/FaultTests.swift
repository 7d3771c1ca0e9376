import Testing
import XIVEModel

@testable import XIVEDevice

/// A page of the device file and whether it can be mapped while source 1 of 4 is the only one.
struct PageCase: CustomTestStringConvertible, Sendable {
  let testDescription: String
  /// Offset in device pages from the region's start.
  let page: UInt64
  let region: UInt64
  /// The shapes in which it resolves.
  let shapes: [ESBGeometry]

  init(_ name: String, region: UInt64, page: UInt64, _ shapes: [ESBGeometry] = []) {
    testDescription = name
    self.page = page
    self.region = region
    self.shapes = shapes
  }

  static let two: [ESBGeometry] = [.two4K, .two64K]
  static let any = ESBGeometry.allCases

  static let all = [
    PageCase("kernel window, TIMA HW", region: 0, page: 0),
    PageCase("kernel window, TIMA HV", region: 0, page: 1),
    PageCase("kernel window, TIMA OS", region: 0, page: 2, any),
    PageCase("kernel window, TIMA user", region: 0, page: 3),
    PageCase("kernel window, trigger page before the source", region: 0, page: 4),
    PageCase("kernel window, management page before the source", region: 0, page: 5),
    PageCase("kernel window, trigger page", region: 0, page: 6, two),
    PageCase("kernel window, management page", region: 0, page: 7, any),
    PageCase("kernel window, trigger page behind the source", region: 0, page: 8),
    PageCase("kernel window, management page of the last source", region: 0, page: 11),
    PageCase("kernel window, beyond the sources", region: 0, page: 12),
    PageCase("kernel window, its last page", region: 0, page: (1 << 28) - 1),
    PageCase("region 1, management page before the source", region: 1, page: 1),
    PageCase("region 1, trigger page", region: 1, page: 2, two),
    PageCase("region 1, management page", region: 1, page: 3, any),
    PageCase("region 1, trigger page behind the source", region: 1, page: 4),
    PageCase("region 1, beyond the sources", region: 1, page: 8),
    PageCase("region 1, beyond the sources, odd", region: 1, page: 9),
    PageCase("END pages", region: 2, page: 0),
    PageCase("END pages, escalation", region: 2, page: 1),
    PageCase("END pages, beyond the servers", region: 2, page: 64),
    PageCase("TIMA of server 0, OS view", region: 3, page: 2),
    PageCase("TIMA beyond the servers", region: 3, page: 16),
    PageCase("a region without a meaning", region: 4, page: 0),
    PageCase("the last region before the PHBs", region: 15, page: 0),
    PageCase("PHB 0", region: 16, page: 0),
    PageCase("PHB 1023", region: 16 + 1_023, page: 0),
    PageCase("behind the PHBs", region: 16 + 1_024, page: 0),
    PageCase("source state", region: 0x1000, page: 0),
    PageCase("trace records", region: 0x1001, page: 0),
    PageCase("behind the trace records", region: 0x1002, page: 0),
    PageCase("the end of the file", region: 1 << 22, page: 0),
    PageCase("the end of all offsets", region: (1 << 24) - 1, page: (1 << 24) - 1),
  ]
}

@Suite("Fault resolution")
struct FaultTests {
  private func rig(_ geometry: ESBGeometry) -> Rig {
    let rig = Rig(sources: 4, existing: 0, geometry: geometry)
    rig.create(1)
    return rig
  }

  @Test("A page resolves where the design has one", arguments: PageCase.all, ESBGeometry.allCases)
  func resolution(page: PageCase, geometry: ESBGeometry) {
    let rig = rig(geometry)
    let start = page.region << 40 + page.page << UInt64(geometry.pageShift)
    // A 64 KiB page is filled in 16 parts, which share their fate.
    for offset in stride(from: 0, to: rig.map.pageByteCount, by: 4_096) {
      #expect(rig.resolves(start + offset) == page.shapes.contains(geometry), "part \(offset)")
    }
  }

  @Test("A fill has no effect but its own count", arguments: ESBGeometry.allCases)
  func noSideEffect(geometry: ESBGeometry) {
    let rig = rig(geometry)
    let pages = PageCase.all.map { $0.region << 40 + $0.page << UInt64(geometry.pageShift) }
    for pq in PQ.allCases {
      rig.setPQ(1, pq)
      rig.updates()
      let states = rig.states
      let before = rig.counters
      let wakeUps = rig.host.wakeUps
      let resolved = pages.count { rig.resolves($0) }
      var expected = before
      expected.fills += UInt64(resolved)
      expected.refusedFills += UInt64(pages.count - resolved)
      #expect(rig.states == states)
      #expect(rig.counters == expected)
      #expect(rig.host.wakeUps == wakeUps)
      #expect(rig.updates().isEmpty)
    }
  }

  @Test("A page that was refused resolves once the source exists", arguments: ESBGeometry.allCases)
  func creation(geometry: ESBGeometry) {
    let rig = rig(geometry)
    for window in ESBWindow.allCases {
      #expect(!rig.resolves(rig.offset(3, .management, window)))
    }
    rig.create(3)
    for window in ESBWindow.allCases {
      #expect(rig.resolves(rig.offset(3, .management, window)))
      #expect(rig.resolves(rig.offset(3, .trigger, window)) == (geometry.pageCount == 2))
    }
  }

  @Test("The last of all sources resolves, and nothing behind it", arguments: ESBGeometry.allCases)
  func lastSource(geometry: ESBGeometry) {
    let count = UInt32(LISN.maximumCount)
    let rig = Rig(sources: count, existing: 0, geometry: geometry)
    rig.create(count - 1)
    for window in ESBWindow.allCases {
      let page = rig.offset(count - 1, .management, window)
      #expect(rig.resolves(page))
      #expect(!rig.resolves(page + rig.map.pageByteCount))
      #expect(!rig.resolves(page + 2 * rig.map.pageByteCount))
    }
  }

  @Test("A backing word keeps the largest PHB, interrupt and generation")
  func foreignBacking() throws {
    let phb = try #require(PHBIndex(rawValue: 1_023))
    let word = BackingWord(.phb(phb, HardwareIRQ(rawValue: .max)), generation: .max)
    #expect(word.backing == .phb(phb, HardwareIRQ(rawValue: .max)))
    #expect(word.generation == .max)
    #expect(BackingWord(rawValue: 0).backing == nil)
    #expect(BackingWord(rawValue: 3 << 62).backing == nil)
    #expect(BackingWord(.ipi, generation: 1).rawValue == 1 << 62 | 1)
  }
}

extension Rig {
  /// All counters at this moment.
  struct Counts: Hashable {
    var fills, refusedFills, exactLoads, exactStores: UInt64
    var mappedStores, liveUpdates, guestErrors, events: UInt64
  }

  var counters: Counts {
    Counts(
      fills: device.counters.fills.value, refusedFills: device.counters.refusedFills.value,
      exactLoads: device.counters.exactLoads.value,
      exactStores: device.counters.exactStores.value,
      mappedStores: device.counters.mappedStores.value,
      liveUpdates: device.counters.liveUpdates.value,
      guestErrors: device.watch.guestErrors.sum, events: device.events.count)
  }
}
