import CXIVE
import Testing
import TraceRecords
import XIVEClient
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

/// Records of one thread and of the server's own, made up one by one; each takes 100 ns and comes 1,000 ns after the last.
struct ReplaySamples {
  static let device = TracedDevice(
    geometry: DeviceGeometry(
      sourceCount: 64, serverCount: 4, pageShift: 12, pagesPerSource: 2, supportsStoreEOI: false))
  private(set) var records: [TraceRecord] = []
  var sequence: UInt64 = 0
  static let notifier: UInt32 = 9

  mutating func add(
    _ kind: TraceKind, at offset: UInt64? = nil, time: UInt64? = nil, thread: UInt32 = 71,
    _ complete: (inout TraceRecord) -> Void = { _ in }
  ) {
    var record = TraceRecord(kind, sequence: sequence, time: time ?? (sequence + 1) * 1_000)
    record.offset = offset
    record.threadID = thread
    record.serviceTime = 100
    complete(&record)
    sequence += 1
    records.append(record)
  }

  /// A request for an attribute.
  mutating func attribute(
    _ group: UInt32, _ number: UInt64, verb: UInt32 = XIVE_TRACE_SET, value: UInt64 = 0,
    result: TraceResult = .ok, time: UInt64? = nil
  ) {
    add(.attribute, at: number, time: time) {
      $0.generation = group
      $0.half = UInt8(verb)
      $0.value = value
      $0.result = result
    }
  }

  /// A whole map of sources 16 to 19, as the server records it, with what others do in between.
  mutating func map(_ kind: TraceKind = .map, meanwhile: (inout ReplaySamples) -> Void = { _ in }) {
    let start = (sequence + 1) * 1_000
    let run = { (record: inout TraceRecord) in
      record.number = 16
      record.value = 4
      record.hardware = (phb: 2, irq: 8)
    }
    add(.publish, time: start + 10, run)
    attribute(XIVE_GROUP_PASSTHROUGH, 16, time: start)
    meanwhile(&self)
    add(.zap, at: 1 << 40 | 32 << 12, thread: Self.notifier) {
      $0.number = 16
      $0.cause = .map
    }
    add(kind, time: start, run)
  }

  var plan: ReplayPlan { ReplayPlan(Trace(device: Self.device, records: records)) }
  var actions: [ReplayStep.Action] { plan.steps.map(\.action) }
}

@Suite("Traces as steps", .hangGuard)
struct ReplayPlanTests {
  private static let page: UInt64 = 1 << 40 | 35 << 12

  @Test("Faults, accesses and write-backs are steps at their places, with what they did")
  func pages() {
    var samples = ReplaySamples()
    samples.add(.fill, at: Self.page) { $0.value = 4_096 }
    samples.add(.fill, at: Self.page) {
      $0.value = 4_096
      $0.cause = .reclaim
    }
    samples.add(.load, at: Self.page + 0x800) { $0.accessByteCount = 8 }
    samples.add(.store, at: Self.page + 0x400) {
      $0.accessByteCount = 4
      $0.value = 7
    }
    samples.add(.writeBack, at: Self.page + 0xc08) { $0.value = 5 }
    samples.add(.writeBack, at: Self.page) { $0.result = .absent(.unchanged) }
    #expect(
      samples.actions == [
        .touch(Self.page, ReplayTouch()), .touch(Self.page, ReplayTouch(isReclaimed: true)),
        .load(Self.page + 0x800, byteCount: 8), .store(Self.page + 0x400, 7, byteCount: 4),
        .storeMapped(Self.page + 0xc08, 5), .dirty(Self.page),
      ])
    #expect(samples.plan.obstacles.isEmpty && !samples.plan.beginsLate)
  }

  @Test(
    "The kernel's own second questions, names, updates and what was filled in advance are no steps")
  func bookkeeping() {
    var samples = ReplaySamples()
    samples.add(.task)
    samples.add(.update, at: Self.page)
    samples.add(.fill, at: Self.page) { $0.cause = .again }
    samples.add(.fill, at: Self.page, thread: 9) { $0.cause = .prefault }
    samples.add(.kernelFault)
    #expect(samples.actions == [])
    #expect(samples.plan.obstacles.isEmpty)
  }

  @Test("What happens within a request's time, for its thread, follows from it")
  func effects() throws {
    var samples = ReplaySamples()
    samples.add(.trigger, time: 1_040) { $0.number = 17 }
    samples.add(.forward, time: 1_050) { $0.number = 17 }
    samples.add(.store, at: Self.page, time: 1_000)
    let step = try #require(samples.plan.steps.first)
    #expect(step.recorded.map(\.kind) == [.trigger, .forward, .store])
    #expect(samples.plan.obstacles.isEmpty)
  }

  @Test(
    "What nobody asked for is told, and not compared",
    arguments: [(UInt32(72), UInt64(1_040)), (71, 999), (71, 1_101)])
  func orphans(_ thread: UInt32, _ time: UInt64) throws {
    var samples = ReplaySamples()
    samples.add(.trigger, time: time, thread: thread)
    samples.add(.store, at: Self.page, time: 1_000)
    #expect(samples.plan.steps.map(\.recorded.count) == [1])
    #expect(samples.plan.obstacles == [.cause: 1])
  }

  @Test("A request is done where its first effect was: who came in between saw it")
  func order() {
    var samples = ReplaySamples()
    samples.map { $0.add(.load, at: Self.page, thread: 80) }
    let run = PassthroughRun(
      LISN(rawValue: 16), to: PHBIndex(rawValue: 2)!, HardwareIRQ(rawValue: 8), count: 4)
    #expect(
      samples.actions == [.map(run, prefault: false), .load(Self.page, byteCount: 1)])
    #expect(
      samples.plan.steps.first?.recorded.map(\.kind) == [.publish, .attribute, .zap, .map])
  }

  @Test(
    "An operation takes what the server's own threads did for it: fills in advance, and what was pending"
  )
  func operations() throws {
    var samples = ReplaySamples()
    samples.map(.unmap) { samples in
      samples.add(.zap, at: 32 << 12, thread: ReplaySamples.notifier) { $0.number = 16 }
      samples.add(.eoi, thread: ReplaySamples.notifier) { $0.number = 16 }
      samples.add(.fill, at: 1 << 40 | 32 << 12, thread: ReplaySamples.notifier) {
        $0.number = 16
        $0.cause = .prefault
      }
    }
    let step = try #require(samples.plan.steps.first)
    #expect(step.recorded.map(\.kind) == [.publish, .attribute, .zap, .eoi, .zap, .unmap])
    guard case .unmap(_, prefault: true) = step.action else {
      return #expect(Bool(false), "\(step.action)")
    }
    #expect(samples.plan.obstacles.isEmpty)
  }

  @Test(
    "PHBs come with their shape and go; what was refused cannot be done again, for half of it is unknown"
  )
  func phbs() {
    var samples = ReplaySamples()
    samples.add(.plug, time: 1_000) {
      $0.hardware = (phb: 5, irq: 0)
      $0.value = 16 | 2 << 32 | 1 << 63
    }
    samples.attribute(XIVE_GROUP_PHB, 5, time: 1_000)
    samples.attribute(XIVE_GROUP_PHB, 5, time: 5_000)
    samples.add(.unplug, time: 5_000) { $0.hardware = (phb: 5, irq: 0) }
    samples.attribute(XIVE_GROUP_PHB, 5, result: .errno(17))
    samples.attribute(XIVE_GROUP_PASSTHROUGH, 5, result: .errno(22))
    let phb = PHBIndex(rawValue: 5)!
    #expect(
      samples.actions == [
        .addPHB(phb, PHBShape(msiCount: 16, lsiCount: 2, supportsStoreEOI: true)), .removePHB(phb),
      ])
    #expect(samples.plan.obstacles == [.payload: 2])
  }

  @Test("Attributes of eight bytes are set again, refused or not; all are asked for again")
  func attributes() {
    var samples = ReplaySamples()
    samples.attribute(2, 17, value: 1)
    samples.attribute(XIVE_GROUP_HWIRQ, 1 << 32, value: 4, result: .errno(2))
    samples.attribute(XIVE_GROUP_INFO, 1, verb: XIVE_TRACE_GET)
    samples.attribute(3, 18, verb: XIVE_TRACE_HAS)
    samples.attribute(0, 0, verb: XIVE_TRACE_REQUEST)
    #expect(
      samples.actions == [
        .set(group: 2, attribute: 17, 1), .set(group: XIVE_GROUP_HWIRQ, attribute: 1 << 32, 4),
        .get(group: XIVE_GROUP_INFO, attribute: 1), .has(group: 3, attribute: 18),
      ])
    #expect(samples.plan.obstacles == [.unknown: 1])
  }

  @Test(
    "What a record does not hold is told, each with its reason",
    arguments: [
      (UInt32(4), XIVE_TRACE_SET, ReplayObstacle.payload),
      (XIVE_GROUP_MEMORY, XIVE_TRACE_SET, .payload), (XIVE_GROUP_MSI, XIVE_TRACE_GET, .payload),
      (0x4068_aea3, XIVE_TRACE_REQUEST, .payload), (0x4020_ae76, XIVE_TRACE_REQUEST, .outside),
      (0xc010_aeab, XIVE_TRACE_REQUEST, .outside),
    ])
  func obstacles(_ group: UInt32, _ verb: UInt32, _ obstacle: ReplayObstacle) {
    var samples = ReplaySamples()
    samples.attribute(group, 1, verb: verb)
    #expect(samples.actions == [])
    #expect(samples.plan.obstacles == [obstacle: 1])
  }

  @Test("Lines are set again; pages of a connected vCPU are not touched, lost records are counted")
  func others() {
    var samples = ReplaySamples()
    samples.add(.attribute) {
      $0.generation = 0xc008_ae67
      $0.half = UInt8(XIVE_TRACE_REQUEST)
      $0.value = 0x1_0000_0011
    }
    samples.add(.load, at: 2 << 12)
    samples.add(.gap) { $0.value = 40 }
    #expect(samples.actions == [.request(0xc008_ae67, 0x1_0000_0011)])
    #expect(samples.plan.obstacles == [.vcpu: 1, .gap: 40])
  }

  @Test("Fills of a huge page's range by one thread are one touch, of the page that it wanted")
  func huge() {
    var samples = ReplaySamples()
    let range: UInt64 = 1 << 40
    samples.add(.fill, at: range) { $0.value = 1 << 20 }
    samples.add(.fill, at: range + 1 << 20) { $0.value = 1 << 20 }
    samples.add(.fill, at: range + 0x5000) { $0.value = 4_096 }
    samples.add(.fill, at: range + 0x6000, thread: 72) { $0.value = 4_096 }
    #expect(
      samples.actions == [
        .touch(range + 0x5000, ReplayTouch(isHuge: true)), .touch(range + 0x6000, ReplayTouch()),
      ])
    #expect(samples.plan.steps.map(\.recorded.count) == [3, 1])
    #expect(samples.plan.steps.map(\.isCompared) == [false, true])
    #expect(samples.plan.obstacles == [.range: 3])
  }

  @Test(
    "A fill that came between the new backing and its zap is there when the operation begins; it is not compared"
  )
  func taken() throws {
    var samples = ReplaySamples()
    samples.map { samples in
      samples.add(.fill, at: 1 << 40 | 33 << 12, thread: 80) {
        $0.number = 16
        $0.value = 4_096
      }
    }
    // The next fill of that page depends on whether it stayed; the one behind it does not.
    for _ in 0..<2 {
      samples.add(.fill, at: 1 << 40 | 33 << 12, thread: 80) {
        $0.number = 16
        $0.value = 4_096
      }
    }
    let steps = samples.plan.steps
    #expect(steps.map { $0.recorded.last?.kind } == [.fill, .map, .fill, .fill])
    #expect(steps.map(\.isCompared) == [false, true, false, true])
    #expect(samples.plan.obstacles == [.race: 2])
  }

  @Test(
    "What overlaps with a change of its source or its PHB depended on the moment; what does not is compared",
    arguments: [
      (UInt32(16), UInt16?.none, UInt64(2_050), false), (20, nil, 2_050, true),
      (20, 2, 2_050, false), (20, 3, 2_050, true), (16, nil, 900, true), (16, nil, 1_950, false),
    ])
  func races(_ lisn: UInt32, _ phb: UInt16?, _ time: UInt64, _ isCompared: Bool) throws {
    var samples = ReplaySamples()
    samples.attribute(2, 1)
    samples.map()
    samples.add(.fill, at: 1 << 40 | UInt64(lisn) << 13, time: time, thread: 80) {
      $0.number = lisn
      $0.value = 4_096
      if let phb { $0.hardware = (phb: phb, irq: 0) }
    }
    let fill = try #require(samples.plan.steps.first { $0.recorded.last?.kind == .fill })
    #expect(fill.isCompared == isCompared)
  }

  @Test("Why there is no page does not tell whose it would be: any hot-plug may be the reason")
  func racedHoles() throws {
    var samples = ReplaySamples()
    samples.map()
    samples.add(.fill, at: Self.page, time: 1_050, thread: 80) {
      $0.number = 40
      $0.result = .absent(.fenced)
    }
    #expect(samples.plan.steps.map(\.isCompared) == [true, false])
  }

  @Test("A fill in advance that comes behind the operation's end still tells of it")
  func latePrefault() {
    var samples = ReplaySamples()
    samples.map()
    samples.add(.fill, at: 1 << 40 | 32 << 12, thread: ReplaySamples.notifier) {
      $0.number = 16
      $0.cause = .prefault
    }
    guard case .map(_, prefault: true) = samples.actions.first else {
      return #expect(Bool(false), "\(samples.actions)")
    }
  }

  @Test("A trace that begins later than its device says so")
  func late() {
    var samples = ReplaySamples()
    samples.sequence = 5
    samples.add(.load, at: Self.page)
    #expect(samples.plan.beginsLate)
    var other = ReplaySamples()
    other.add(.fill, at: Self.page) { $0.cause = .unknown }
    #expect(other.plan.beginsLate)
  }
}
