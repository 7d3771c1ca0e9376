import CXIVE
import PagedDevice
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Records of changes, events and requests", .hangGuard)
struct TraceChangeTests {
  private func hardware(
    _ kind: TraceKind, _ phb: UInt16, _ irq: UInt16, generation: UInt32, value: UInt64,
    number: UInt32? = nil, cause: TraceCause = .none
  ) -> TraceRecord {
    expected(kind) {
      $0.hardware = (phb, irq)
      $0.generation = generation
      $0.value = value
      $0.number = number
      $0.cause = cause
    }
  }

  @Test("A PHB comes, is fenced, is let go, and leaves with its sources")
  func phb() throws {
    let rig = Rig.traced()
    let plug = try rig.trace { try rig.addPHB(3, msis: 4, lsis: 2, storeEOI: true) }
    #expect(
      plug.timeless == [hardware(.plug, 3, 0, generation: 1, value: 4 | 2 << 32 | 1 << 63)])
    for isFenced in [true, false] {
      let fence = try rig.trace { try rig.hardware(isFenced ? .fence : .unfence, 0, phb: 3) }
      #expect(
        fence.filter { $0.kind == .fence }.timeless
          == [hardware(.fence, 3, 0, generation: 1, value: isFenced ? 1 : 0)])
    }
    try rig.map(1, to: 2, phb: 3)
    let unplug = try rig.trace { rig.carryOut(try rig.device.removePHB(Rig.phb(3))) }
      .filter { $0.kind != .eoi && $0.kind != .zap && $0.kind != .forward }
    let publish = expected(.publish) {
      $0.number = 1
      $0.backing = .ipi
      $0.generation = 3
      $0.value = 1
      $0.cause = .unplug
    }
    #expect(
      unplug.timeless == [publish, hardware(.unplug, 3, 0, generation: 1, value: 1)])
    // A later one in its place has the next generation.
    let second = try rig.trace { try rig.addPHB(3) }
    #expect(second.first?.generation == 2)
  }

  @Test("A run is published once, zapped in both windows, and then mapped; the same backwards")
  func passthrough() throws {
    let rig = Rig.traced()
    try rig.addPHB(2)
    let run = Rig.run(1, 0, phb: 2, count: 3)
    let map = try rig.trace { rig.carryOut(try rig.device.map(run)) }
    #expect(map.kinds == [.publish, .zap, .zap, .map])
    #expect(
      map[0].timeless
        == hardware(.publish, 2, 0, generation: 2, value: 3, number: 1, cause: .map))
    for zap in map[1...2].map(\.timeless) {
      #expect(zap.number == 1 && zap.value == 3 * 8_192 && zap.cause == .map)
    }
    #expect(
      Set(map[1...2].map(\.offset)) == Set(ESBWindow.allCases.map { rig.offset(1, .trigger, $0) }))
    #expect(map[3].timeless == hardware(.map, 2, 0, generation: 2, value: 3, number: 1))
    #expect(map[3].time <= map[0].time, "a map has begun before it was published")
    let unmap = try rig.trace { rig.carryOut(try rig.device.unmap(run)) }
      .filter { $0.kind != .eoi && $0.kind != .forward }
    #expect(unmap.kinds == [.publish, .zap, .zap, .unmap])
    #expect(unmap[0].backing == .ipi && unmap[0].cause == .unmap && unmap[0].generation == 3)
    #expect(unmap[1].cause == .unmap && unmap[2].cause == .unmap)
    #expect(unmap[3].timeless == hardware(.unmap, 2, 0, generation: 3, value: 3, number: 1))
  }

  @Test("A removal of scattered sources is published as runs of them")
  func runs() throws {
    let rig = Rig.traced(sources: 16, existing: 16)
    try rig.addPHB(0, msis: 8, lsis: 0)
    try rig.map(2, to: 1, count: 2)
    try rig.map(4, to: 5)
    try rig.map(9, to: 6, count: 2)
    let found = try rig.trace { rig.carryOut(try rig.device.removePHB(Rig.phb(0))) }
    let published = found.filter { $0.kind == .publish }
    #expect(published.map(\.number) == [2, 4, 9] && published.map(\.value) == [2, 1, 2])
    #expect(found.last?.kind == .unplug && found.last?.value == 5)
  }

  @Test("Pages that are filled before they are touched are one record for each range")
  func prefault() throws {
    let rig = Rig.traced()
    try rig.addPHB()
    let found = try rig.trace { rig.carryOut(try rig.device.map(Rig.run(1, 0), prefault: true)) }
    let fills = found.filter { $0.kind == .fill }
    #expect(fills.map(\.cause) == [.prefault, .prefault])
    #expect(fills.map(\.value) == [8_192, 8_192] && fills.map(\.number) == [1, 1])
    #expect(rig.trace { rig.touch(rig.offset(1, .trigger)) }.first?.cause == .reclaim)
  }

  @Test("An interrupt of a PHB: its event goes to its source, or to the host")
  func hardwareEvents() throws {
    let machine = try Machine(Rig.traced(), cpus: 1)
    let rig = machine.rig
    try rig.addPHB()
    try rig.setHardwarePQ(0, .reset)
    let host = try rig.trace { try rig.hardware(.trigger, 0) }
    #expect(host.kinds == [.trigger, .forward])
    #expect(host[0].hardware?.irq == 0 && host[0].number == nil)
    #expect(host[1].result == .absent(.toHost) && host[1].hardware?.irq == 0)
    try machine.route(1, to: 0, eisn: 5)
    try rig.map(1, to: 1)
    try rig.endOfInterrupt(rig.offset(1, .management))
    let guest = try rig.trace { try rig.hardware(.trigger, 1) }
    #expect(guest.kinds.prefix(2) == [.trigger, .forward])
    #expect(guest[0].number == 1 && guest[0].hardware?.irq == 1 && guest[0].hardware?.phb == 0)
    #expect(guest[1].number == 1 && guest[1].result == .ok)
  }

  @Test("While the machine is stopped events stay at the door, and leave it once it runs")
  func held() throws {
    let machine = try Machine(Rig.traced(), cpus: 1)
    let rig = machine.rig
    try machine.start(1, on: 0, eisn: 1)
    try rig.stop()
    let held = try rig.trace { try machine.trigger(1) }.filter { $0.kind == .forward }
    #expect(held.map(\.result) == [.absent(.held)] && held.first?.number == 1)
    let left = try rig.trace { try rig.resume() }.filter { $0.kind == .forward }
    #expect(left.map(\.result) == [.ok] && left.first?.value == held.first?.value)
  }

  @Test("Each guest error has its place in the list, and what it is about")
  func guestErrors() {
    let rig = Rig.traced()
    let end = ENDIndex(rawValue: 5)
    let server = Server(rawValue: 2)
    let nvt = NVTIndex(rawValue: 3)
    let errors: [(GuestError, UInt64?, UInt32?)] = [
      (.absentPage(0x1000), 0x1000, nil), (.esbOperation(0x2008), 0x2008, nil),
      (.endStore(end), nil, 5), (.timaAccess(server), nil, 2), (.timaStore(server), nil, 2),
      (.easInvalid(LISN(rawValue: 7)), nil, 7), (.endInvalid(end), nil, 5),
      (.nvtInvalid(nvt), nil, 3), (.camDuplicate(nvt), nil, 3), (.escalationLoop(end), nil, 5),
      (.contextInvalid(server), nil, 2), (.image(0x3000), 0x3000, nil),
    ]
    for (place, (error, offset, number)) in errors.enumerated() {
      let found = rig.trace { rig.device.watch.guestErred(error) }
      let record = expected(.guestError) {
        $0.value = UInt64(place)
        $0.offset = offset
        $0.number = number
      }
      #expect(found.timeless == [record], "\(error)")
    }
    // The list ends with two that are free.
    #expect((errors.count + 2) * 8 == MemoryLayout<xive_info_guest_errors>.size)
  }

  @Test("A request tells its group, attribute, verb, payload and error; inline and by pointer")
  func attributes() throws {
    let rig = Rig.traced()
    func attribute(
      _ group: UInt32, _ attribute: UInt64, _ verb: UInt32, value: UInt64 = 0,
      number: UInt32? = nil, error: Int32 = 0
    ) -> TraceRecord {
      expected(.attribute) {
        $0.offset = attribute
        $0.generation = group
        $0.half = UInt8(verb)
        $0.value = value
        $0.number = number
        if error != 0 { $0.result = .errno(error) }
      }
    }
    for route in [PayloadRoute.inline, .pointer] {
      let set = rig.trace { rig.request(.other) { try rig.set(2, 5, UInt64(3), route) } }
      #expect(set.timeless == [attribute(2, 5, XIVE_TRACE_SET, value: 3, number: 5)])
      let get = rig.trace {
        rig.request(.other) { _ = try rig.get(0x50, 0, as: UInt64.self, route) }
      }
      #expect(get.count == 1 && get[0].half == UInt8(XIVE_TRACE_GET))
      #expect(get[0].generation == 0x50 && get[0].value != 0, "the answer's first bytes")
    }
    let has = rig.trace { rig.request(.other) { try rig.kvm(.has, group: 2, 3) } }
    #expect(has.timeless == [attribute(2, 3, XIVE_TRACE_HAS, number: 3)])
    let refused = rig.trace { rig.request(.other) { try rig.set(2, 100, UInt64(0)) } }
    #expect(refused.timeless == [attribute(2, 100, XIVE_TRACE_SET, number: 100, error: 7)])
    let readOnly = rig.trace {
      rig.request(.other) { try rig.set(2, 5, UInt64(0), by: Rig.reader) }
    }
    #expect(readOnly.last?.result == .errno(9))
    try rig.addPHB(2)
    let hardware = rig.trace {
      rig.request(.other) {
        try rig.set(XIVE_GROUP_HWIRQ, xive_hwirq_attr(2, 1), xive_hwirq(op: 0, zero: 0))
      }
    }
    #expect(hardware.last?.kind == .attribute && hardware.last?.hardware?.phb == 2)
    #expect(hardware.last?.hardware?.irq == 1)
  }

  @Test("KVM's other requests have their number; unknown ones are there with their error")
  func requests() {
    let rig = Rig.traced()
    let line = rig.trace { rig.request(.other) { try rig.setLine(1, 1) } }
    guard let request = line.last else {
      Issue.record("no record")
      return
    }
    #expect(request.kind == .attribute && request.half == UInt8(XIVE_TRACE_REQUEST))
    #expect(request.generation == 0x4008_ae61 && request.value == 1 | 1 << 32)
    #expect(request.offset == nil && request.number == nil)
    let unknown = rig.trace { rig.request(.other) { _ = try rig.control(0x1234, []) } }
    #expect(unknown.last?.generation == 0x1234 && unknown.last?.result == .errno(25))
    #expect(unknown.last?.value == 0)
  }

  @Test("A request that was put aside tells for how long; so does the change that it begins")
  func queueTimes() throws {
    let rig = Rig.traced()
    try rig.addPHB()
    let since = TraceClock.nanoseconds - 3_000_000
    let found = rig.trace {
      rig.request(.other, waitingSince: since) { rig.carryOut(try rig.device.map(Rig.run(1, 0))) }
      rig.request(.other, waitingSince: since) { try rig.kvm(.has, group: 2, 3) }
    }
    let waited = found.filter { $0.kind == .map || $0.kind == .attribute }
    #expect(waited.count == 2 && waited.allSatisfy { $0.queueTime >= 3_000_000 })
  }

  @Test("Bytes that are replaced in mapped pages are a record")
  func updates() throws {
    let rig = Rig.traced()
    let page = rig.offset(1, .management)
    let found = rig.trace {
      rig.device.trace.updated(page + 0x800..<page + 0xc00, since: TraceClock.nanoseconds)
    }
    let update = expected(.update) {
      $0.offset = page + 0x800
      $0.value = 0x400
      $0.number = 1
      $0.half = 1
    }
    #expect(found.timeless == [update])
  }

  @Test("A thread is named before its first record, and not again within the second")
  func tasks() {
    let rig = Rig.traced()
    Threads.run(1) { _ in
      let start = rig.device.trace.rings?.horizon ?? 0
      for _ in 0..<3 { rig.touch(rig.offset(1, .trigger)) }
      let found = rig.device.trace.rings.map { Array($0.records(from: start)) } ?? []
      #expect(found.kinds == [.task, .fill, .fill, .fill])
      #expect(Set(found.map(\.threadID)) == [TraceTask.ownThreadID])
      #expect(Set(found.map(\.processID)).count == 1)
    }
  }

  @Test("A toucher that nobody can see is recorded by its number alone")
  func unseen() {
    let rig = Rig.traced()
    let found = rig.trace {
      let tracer = rig.device.trace
      tracer.began(RequestOrigin(threadID: 0x7fff_fff0))
      tracer.answering(.fill(rig.offset(1, .trigger), 4_096), 0)
      tracer.answered()
    }
    #expect(found.first?.threadID == 0x7fff_fff0 && found.first?.processID == 0)
  }
}
