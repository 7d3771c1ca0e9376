import PagedDevice
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Records of fills", .hangGuard)
struct TraceFillTests {
  @Test("A source's page: who served it, what it shows, in both windows", arguments: PQ.allCases)
  func source(pq: PQ) {
    let rig = Rig.traced()
    rig.setPQ(2, pq)
    for window in ESBWindow.allCases {
      for half in [ESBHalf.trigger, .management] {
        let offset = rig.offset(2, half, window)
        let found = rig.trace { rig.touch(offset) }
        let fill = expected(.fill) {
          $0.offset = offset
          $0.value = 4_096
          $0.number = 2
          $0.half = UInt8(half.rawValue)
          $0.backing = .ipi
          $0.generation = 1
          $0.cause = .firstTouch
          if half == .management { $0.pq = (pq, pq) }
        }
        #expect(found.timeless == [fill])
      }
    }
  }

  @Test("A mapped source's page is its interrupt's; the interrupt's own page names no source")
  func passthrough() throws {
    let rig = Rig.traced()
    try rig.addPHB(3)
    try rig.map(1, to: 2, phb: 3)
    let page = rig.offset(1, .management)
    let overmapped = expected(.fill) {
      $0.offset = page
      $0.value = 4_096
      $0.number = 1
      $0.half = 1
      $0.hardware = (3, 2)
      $0.generation = 2
      $0.cause = .firstTouch
      $0.pq = (.pending, .pending)
    }
    #expect(rig.trace { rig.touch(page) }.timeless == [overmapped])
    let own = rig.ownPage(2, phb: 3)
    let fill = expected(.fill) {
      $0.offset = own
      $0.value = 4_096
      $0.half = 1
      $0.hardware = (3, 2)
      $0.generation = 1
      $0.cause = .firstTouch
      $0.pq = (.pending, .pending)
    }
    #expect(rig.trace { rig.touch(own) }.timeless == [fill])
  }

  @Test("TIMAs, connected or not, and ENDs")
  func others() throws {
    let machine = try Machine(Rig.traced(), cpus: 1)
    let rig = machine.rig
    let tima = rig.tima(0, .os)
    let page = expected(.fill) {
      $0.offset = tima
      $0.value = 4_096
      $0.number = 0
      $0.half = UInt8(TIMAView.os.rawValue)
      $0.backing = .tima
      $0.generation = 1
      $0.cause = .firstTouch
    }
    #expect(rig.trace { rig.touch(tima) }.timeless == [page])
    machine.disconnect(0)
    let kernel = rig.map.offset(of: .connectedTIMA(.os))
    let nobody = rig.trace { rig.touch(kernel) }
    #expect(nobody.count == 1 && nobody[0].backing == .tima && nobody[0].number == nil)
    #expect(nobody[0].generation == 0 && nobody[0].result == .ok)
    let end = rig.endPage(0, 6, .escalation)
    let found = rig.trace { rig.touch(end) }
    #expect(found.count == 1 && found[0].backing == .end && found[0].number == 6)
    #expect(found[0].half == 1 && found[0].generation == 0 && found[0].offset == end)
  }

  @Test("A fill of many pages is one record, whose place is the first page's")
  func manyPages() {
    let rig = Rig.traced()
    let start = rig.offset(1, .management)
    let found = rig.trace { rig.touch(start, pages: 4) }
    #expect(found.count == 1)
    #expect(found.first?.number == 1 && found.first?.half == 1 && found.first?.value == 16_384)
    #expect(found.first?.pq?.before == .off && found.first?.cause == .firstTouch)
    // Each of them is remembered.
    for page in 0..<4 {
      let again = rig.trace { rig.touch(start + UInt64(page) << 12) }
      #expect(again.first?.cause == .reclaim)
    }
  }

  @Test("A fill of many pages with a hole is none that counts, and says why")
  func manyPagesWithHole() {
    let rig = Rig.traced()
    let found = rig.trace { rig.touch(rig.offset(3, .trigger), pages: 4) }
    #expect(found.count == 1 && found[0].result == .absent(.notCreated))
    #expect(found[0].cause == .again && found[0].value == 16_384)
  }

  @Test("Why there is no page, each reason; the second of two refusals is not the one that counts")
  func absences() throws {
    let machine = try Machine(Rig.traced(sources: 8, existing: 4, servers: 4), cpus: 2)
    let rig = machine.rig
    try rig.addPHB(0, msis: 2, lsis: 1)
    try rig.map(0, to: 2)
    let map = rig.map
    let reasons: [(UInt64, TraceResult.Absence)] = [
      (rig.offset(5, .management), .notCreated),
      (rig.offset(5, .trigger, .kernel), .notCreated),
      (1 << 40 + 8 << 13, .outOfRange),
      (rig.offset(0, .trigger), .noTriggerPage),
      (rig.tima(0, .hv), .view), (rig.tima(0, .user), .view), (rig.tima(0, .hw), .view),
      (map.offset(of: .connectedTIMA(.hv)), .view),
      (map.offset(of: .connectedTIMA(.os)), .sharedTIMA),
      (rig.tima(3, .os), .notConnected), (3 << 40 + 4 << 14, .outOfRange),
      (rig.endPage(3, 0), .notConnected), (2 << 40 + 32 << 13, .outOfRange),
      (rig.ownPage(3), .noPHB), (rig.ownPage(0, phb: 1), .noPHB),
      (4 << 40, .noRegion), (0x1000 << 40, .noRegion), (0x1001 << 40, .noRegion),
      (0x1002 << 40, .noRegion), (1 << 61, .noRegion),
    ]
    for (offset, reason) in reasons {
      let found = rig.trace {
        // Two for the first fault, three for the second.
        for _ in 0..<5 { #expect(rig.touch(offset) == 6) }
      }
      let name = Comment(rawValue: "0x\(String(offset, radix: 16))")
      #expect(found.map(\.result) == .init(repeating: .absent(reason), count: 5), name)
      #expect(found.map(\.cause) == [.none, .again, .none, .again, .again], name)
      #expect(found.allSatisfy { $0.offset == offset && $0.kind == .fill }, name)
      #expect(found.allSatisfy { $0.backing == nil || $0.backing == .phb }, name)
    }
    let hole = rig.trace { rig.touch(rig.offset(5, .management)) }
    #expect(hole.first?.number == 5 && hole.first?.half == 1 && hole.first?.backing == nil)
    // The memory of refusals is of one thread: another's first is its first.
    Threads.run(1) { _ in
      let other = rig.trace { rig.touch(rig.offset(6, .management)) }
      #expect(other.first?.cause == TraceCause.none)
    }
    #expect(rig.trace { rig.touch(rig.offset(6, .management)) }.first?.cause == TraceCause.none)
  }

  @Test("Waiting and service are told apart")
  func times() {
    let rig = Rig.traced()
    let before = TraceClock.nanoseconds
    let found = rig.trace {
      rig.request(.fill(rig.offset(1, .trigger), 4_096), waitingSince: before - 5_000_000) {
        _ = try rig.device.image(at: rig.offset(1, .trigger))
        let start = TraceClock.nanoseconds
        while TraceClock.nanoseconds < start + 2_000_000 {}
      }
    }
    let after = TraceClock.nanoseconds
    guard let fill = found.first else {
      Issue.record("no record")
      return
    }
    #expect(fill.time >= before && fill.time <= after)
    #expect(fill.queueTime >= 5_000_000 && UInt64(fill.queueTime) <= 5_000_000 + after - before)
    #expect(fill.serviceTime >= 2_000_000 && UInt64(fill.serviceTime) <= after - before)
  }
}
