import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Live updates of mapped pages")
struct LiveUpdateTests {
  private static let windows = ESBWindow.allCases

  @Test("A change of a filled page is delivered, in the window that was filled", arguments: windows)
  func oneWindow(window: ESBWindow) throws {
    let rig = Rig()
    let page = rig.offset(2, .management, window)
    _ = try rig.image(page)
    #expect(rig.host.wakeUps == 0)
    rig.setPQ(2, .pending)
    #expect(rig.host.wakeUps == 1)
    #expect(rig.updates() == [.pq(.pending, at: page)])
    #expect(rig.updates().isEmpty)
    #expect(rig.counters.liveUpdates == 1)
  }

  @Test("A page filled through both windows is delivered to both")
  func bothWindows() throws {
    let rig = Rig()
    for window in Self.windows { _ = try rig.image(rig.offset(2, .management, window)) }
    rig.setPQ(2, .queued)
    let expected = Self.windows.map { Update.pq(.queued, at: rig.offset(2, .management, $0)) }
    #expect(rig.updates() == expected)
    #expect(rig.counters.liveUpdates == 1)
  }

  @Test("Of a 64 KiB page only the filled parts are delivered", arguments: windows, 0..<16)
  func parts(window: ESBWindow, part: Int) throws {
    let rig = Rig(geometry: .two64K)
    let first = rig.offset(1, .management, window) + UInt64(part) * 4_096
    let last = rig.offset(1, .management, window) + 15 * 4_096
    _ = try rig.image(first)
    rig.setPQ(1, .reset)
    #expect(rig.updates() == [.pq(.reset, at: first)])
    _ = try rig.image(last)
    rig.setPQ(1, .queued)
    #expect(Set(rig.updates()) == [.pq(.queued, at: first), .pq(.queued, at: last)])
  }

  @Test("All 32 parts that show a source are delivered", arguments: [ESBGeometry.one64K, .two64K])
  func allParts(geometry: ESBGeometry) throws {
    let rig = Rig(geometry: geometry)
    let pages = Self.windows.flatMap { window in
      (0..<16).map { rig.offset(1, .management, window) + UInt64($0) * 4_096 }
    }
    for page in pages { _ = try rig.image(page) }
    rig.setPQ(1, .pending)
    #expect(rig.updates() == pages.map { .pq(.pending, at: $0) })
  }

  @Test("A source that nobody has filled wakes nobody")
  func unwatched() throws {
    let rig = Rig()
    _ = try rig.image(rig.offset(0, .management))
    _ = try rig.image(rig.offset(2, .trigger))
    _ = try rig.image(rig.offset(2, .trigger, .kernel))
    for pq in PQ.allCases {
      rig.setPQ(1, pq)
      rig.setPQ(2, pq)
    }
    #expect(rig.host.wakeUps == 0)
    #expect(rig.updates().isEmpty)
  }

  @Test("A refused fill watches nothing")
  func refusedFill() {
    let rig = Rig()
    #expect(!rig.resolves(rig.offset(7, .management)))
    rig.create(7)
    #expect(rig.host.wakeUps == 0)
    #expect(rig.updates().isEmpty)
  }

  @Test("Many changes before a delivery are one delivery of the newest state")
  func coalescing() throws {
    let rig = Rig()
    let page = rig.offset(1, .management)
    _ = try rig.image(page)
    for pq in [PQ.reset, .pending, .queued, .pending] { rig.setPQ(1, pq) }
    #expect(rig.host.wakeUps == 1)
    #expect(rig.updates() == [.pq(.pending, at: page)])
    rig.setPQ(1, .reset)
    #expect(rig.host.wakeUps == 2)
    #expect(rig.updates() == [.pq(.reset, at: page)])
  }

  @Test("Everything that can change PQ is delivered, reading it is not")
  func causes() throws {
    let rig = Rig(storeEOI: true)
    let page = rig.offset(1, .management)
    let trigger = rig.offset(1, .trigger, .kernel)
    _ = try rig.image(page)
    let blank = try rig.image(trigger)
    let causes: [(PQ, PQ, () throws -> Void)] = [
      (.reset, .pending, { try rig.store(trigger) }),
      (.pending, .queued, { try rig.store(page) }),
      (.queued, .pending, { try rig.load(page) }),
      (.pending, .reset, { try rig.store(page + 0x400) }),
      (.reset, .queued, { try rig.load(page + 0xf00) }),
      (.queued, .off, { try rig.store(page + 0xd00) }),
      (.queued, .off, { rig.create(1) }),
      (.reset, .pending, { rig.writeBack(blank, at: trigger) }),
    ]
    for (index, (before, after, cause)) in causes.enumerated() {
      rig.setPQ(1, before)
      rig.updates()
      try cause()
      #expect(rig.pq(1) == after, "cause \(index)")
      #expect(rig.updates() == [.pq(after, at: page)], "cause \(index)")
    }
    let wakeUps = rig.host.wakeUps
    #expect(try rig.load(page + 0x800) == UInt64(rig.pq(1).rawValue))
    #expect(rig.host.wakeUps == wakeUps)
    #expect(rig.updates().isEmpty)
  }

  @Test("Sources in every leaf of the set of changes are delivered in ascending order")
  func manySources() throws {
    let rig = Rig(sources: 20_000, existing: 0)
    let sources: [UInt32] = [0, 63, 64, 127, 4_095, 4_096, 8_191, 19_999]
    for source in sources {
      rig.create(source)
      _ = try rig.image(rig.offset(source, .management))
    }
    for source in sources.reversed() { rig.setPQ(source, .queued) }
    #expect(rig.updates() == sources.map { .pq(.queued, at: rig.offset($0, .management)) })
  }
}
