import FoundationEssentials
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("What a live view counts", .hangGuard)
struct TopModelTests {
  @Test("Faults, refaults and SIGBUS of a page are rates of the interval")
  func rates() throws {
    var samples = TopSamples()
    for _ in 0..<4 { samples.fill(17) }
    for cause in [TraceCause.map, .reclaim, .store] { samples.fill(17, cause: cause) }
    samples.fill(17, result: .absent(.notCreated), nanoseconds: 5_000)
    let page = try #require(samples.turn().pages.first)
    #expect(page.name == "esb:0x11:management")
    #expect(page.offset == 1 << 40 | 35 << 12)
    #expect(page.faults == 4)
    #expect(page.refaults == 1.5)
    #expect(page.sigbus == 0.5)
    #expect(page.microseconds == 6)
    #expect(page.faultsInAll == 8)
    #expect(page.cause == "first-touch" && page.backing == "none")
  }

  @Test("The kernel's second question for one SIGBUS is not counted")
  func again() throws {
    var samples = TopSamples()
    samples.fill(3, result: .absent(.notCreated))
    samples.fill(3, cause: .again, result: .absent(.notCreated))
    let view = samples.turn()
    let page = try #require(view.pages.first)
    #expect(page.faults == 0.5 && page.sigbus == 0.5 && page.faultsInAll == 1)
    #expect(view.rates == ["fill": 0.5])
    #expect(view.consumers.first?.sigbus == 0.5)
  }

  @Test("What the server fills in advance is a fill, and nobody's fault")
  func prefault() throws {
    var samples = TopSamples()
    samples.fill(3, thread: 0, cause: .prefault)
    let view = samples.turn()
    #expect(view.rates["fill"] == 0.5)
    #expect(view.pages.first?.faults == 0)
    #expect(view.consumers.isEmpty)
  }

  @Test("An interval begins with nothing; what a page had before stays in sight")
  func turning() throws {
    var samples = TopSamples()
    samples.fill(5)
    samples.fill(6)
    samples.fill(6)
    _ = samples.turn(after: 1)
    samples.fill(5)
    let view = samples.turn(after: 2)
    #expect(view.seconds == 1)
    #expect(view.pages.map(\.name) == ["esb:0x5:management", "esb:0x6:management"])
    #expect(view.pages.map(\.faults) == [1, 0])
    #expect(view.pages.map(\.faultsInAll) == [2, 2])
  }

  @Test(
    "Each order puts its own page first",
    arguments: zip(
      TopOrder.allCases, ["esb:0x1:", "esb:0x2:", "esb:0x3:", "esb:0x4:"]))
  func orders(_ order: TopOrder, _ first: String) {
    var samples = TopSamples()
    for _ in 0..<9 { samples.fill(1, nanoseconds: 10) }
    for _ in 0..<3 { samples.fill(2, cause: .unmap, nanoseconds: 10) }
    for _ in 0..<2 { samples.fill(3, result: .absent(.notCreated), nanoseconds: 10) }
    samples.fill(4, nanoseconds: 9_000)
    _ = samples.turn()
    let view = samples.model.view(by: order)
    #expect(view.pages.first?.name == first + "management")
    #expect(view.order == order)
    #expect(samples.model.view(by: order, pages: 2).pages.count == 2)
  }

  @Test("The kernel's window and region 1 are two pages of one source; PQ is the source's")
  func windows() throws {
    var samples = TopSamples()
    let lisn = LISN(rawValue: 9)
    samples.fill(9)
    samples.take(.fill, TopSamples.map.kernelOffset(of: lisn, .management)) { $0.number = 9 }
    samples.take(.eoi, TopSamples.map.offset(of: .esb(lisn, .management))) {
      $0.number = 9
      $0.pq = (before: .queued, after: .pending)
    }
    let view = samples.turn()
    #expect(Set(view.pages.map(\.name)) == ["esb:0x9:management", "kernel:0x9:management"])
    #expect(view.pages.map(\.pq) == ["10", "10"])
    #expect(view.pq == ["10": 1])
  }

  @Test("An END's or a TIMA's number is no source")
  func numbers() {
    var samples = TopSamples()
    samples.fill(8)
    samples.take(.load, TopSamples.map.offset(of: .end(index: 8, .notification)) + 0x800) {
      $0.number = 8
      $0.pq = (before: .off, after: .off)
    }
    let view = samples.turn()
    #expect(view.pq.isEmpty)
    #expect(view.pages.compactMap(\.pq) == [])
    #expect(view.pages.contains { $0.name == "end:8:esn" && $0.exact == 0.5 })
  }

  @Test("What served a page is told by its backing")
  func backings() {
    var samples = TopSamples()
    samples.fill(1)
    samples.take(.fill, TopSamples.map.offset(of: .esb(LISN(rawValue: 2), .trigger))) {
      $0.hardware = (phb: 3, irq: 14)
      $0.generation = 2
    }
    samples.take(.fill, TopSamples.map.offset(of: .tima(Server(rawValue: 1), .os))) {
      $0.backing = .tima
    }
    let backings = samples.turn().pages.map { [$0.name, $0.backing] }.sorted { $0[0] < $1[0] }
    #expect(
      backings == [
        ["esb:0x1:management", "IPI gen 1"], ["esb:0x2:trigger", "PHB 3:14 gen 2"],
        ["tima:1:os", "TIMA"],
      ])
  }

  @Test("Consumers come by touches, with the names that records give them")
  func consumers() {
    var samples = TopSamples()
    samples.name("vcpu-0", thread: 5)
    samples.fill(1, thread: 5)
    for _ in 0..<3 { samples.take(.load, 1 << 40 | 0x1800, thread: 6) }
    samples.take(.attribute, 7, thread: 5) { $0.generation = 2 }
    samples.take(.writeBack, 1 << 40, thread: 0)
    let consumers = samples.turn(after: 1).consumers
    #expect(consumers.map(\.threadID) == [6, 5])
    #expect(consumers.map(\.name) == [nil, "vcpu-0"])
    #expect(consumers.map(\.touches) == [3, 2])
    #expect(consumers.map(\.faults) == [0, 1])
    #expect(consumers.map(\.processID) == [70, 70])
  }

  @Test("Hot-plug is told, the last first, with what and how long ago")
  func hotplug() {
    var samples = TopSamples()
    samples.take(.plug) {
      $0.hardware = (phb: 2, irq: 0)
      $0.value = 16 | 1 << 32 | 1 << 63
    }
    samples.take(.map) {
      $0.hardware = (phb: 2, irq: 4)
      $0.number = 0x1310
      $0.value = 12
      $0.serviceTime = 250_000
    }
    samples.take(.fence) {
      $0.hardware = (phb: 2, irq: 0)
      $0.value = 0
    }
    samples.take(.unplug) {
      $0.hardware = (phb: 2, irq: 0)
      $0.result = .errno(2)
    }
    let rows = samples.turn(after: 3).hotplug
    #expect(rows.map(\.kind) == ["unplug", "unfence", "map", "plug"])
    #expect(
      rows.map(\.what) == [
        "PHB 2, 0 of its interrupts were mapped: refused, errno 2", "PHB 2",
        "12 LISNs from 0x1310, PHB 2 irq 4", "PHB 2, 16 MSIs, 1 LSIs, StoreEOI",
      ])
    #expect(rows[2].microseconds == 250)
    #expect(abs(rows[2].secondsAgo - 2.99975) < 1e-6)
  }

  @Test("Lost records are counted in the interval and in all; other kinds by name")
  func losses() {
    var samples = TopSamples()
    samples.take(.gap) { $0.value = 40 }
    _ = samples.turn(after: 1)
    samples.take(.gap) { $0.value = 2 }
    samples.take(.forward) { $0.number = 1 }
    samples.take(.guestError)
    let view = samples.turn(after: 2)
    #expect(view.lost == 2 && view.lostInAll == 42)
    #expect(view.rates == ["forward": 1, "guest-error": 1])
  }

  @Test("Percentiles are of the interval, of the whole wait")
  func latency() throws {
    var samples = TopSamples()
    for number in 1...100 { samples.fill(1, nanoseconds: UInt32(number) * 1_000) }
    samples.take(.zap, 1 << 40) {
      $0.queueTime = 1_000
      $0.serviceTime = 2_000
    }
    let latency = samples.turn().latency
    let fill = try #require(latency["fill"])
    #expect((50.0...54).contains(fill.p50) && (99.0...106).contains(fill.p99))
    #expect(fill.count == 100)
    let zap = try #require(latency["zap"])
    #expect((3.0...3.2).contains(zap.p50))
    #expect(latency["exact"] == nil)
  }

  @Test("Pages that nobody touches any more are forgotten when there are too many")
  func bounded() {
    let map = DeviceMap(pageShift: 12, sourceCount: 65_536, serverCount: 1)
    var model = TopModel(map, start: 0)
    for page in 0...UInt64(TopModel.idlePageLimit) {
      var record = TraceRecord(.fill)
      record.offset = Region.esb.start + page << 12
      model.take(record)
    }
    model.turn(at: 1)
    #expect(model.view().pages.count == TopModel.idlePageLimit + 1)
    model.turn(at: 2)
    #expect(model.view().pages.isEmpty)
  }

  @Test("JSON has stable names")
  func json() throws {
    var samples = TopSamples()
    samples.fill(17)
    let text = String(decoding: try JSONEncoder().encode(samples.turn()), as: UTF8.self)
    for part in [
      #""schemaVersion":1"#, #""name":"esb:0x11:management""#, #""faults":0.5"#, #""lostInAll":0"#,
      #""rates":{"fill":0.5}"#, #""latency":{"fill":{"#, #""order":"faults""#, #""consumers":[{"#,
    ] {
      #expect(text.contains(part), "\(part) in \(text)")
    }
  }
}
