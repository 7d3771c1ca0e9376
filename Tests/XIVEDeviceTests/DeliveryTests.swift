import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

/// From the source to the vCPU, by exact accesses as a guest makes them.
@Suite("Delivery")
struct DeliveryTests {
  @Test("R1: the runs that were observed, step by step")
  func observed() throws {
    let machine = try Machine(cpus: 1, priorities: [5, 6])
    try machine.start(0, on: 0, 6, eisn: 0x12345)
    try machine.start(1, on: 0, 5, eisn: 0x54321)
    // NSR, CPPR, IPB and PIPR after each step.
    try machine.trigger(0)
    #expect(try machine.state(0) == 0x80ff_0206)
    #expect(machine.entry(0, 6, at: 0) == 0x8001_2345)
    #expect(try machine.acknowledge(0) == 0x8006)
    #expect(try machine.state(0) == 0x0006_00ff)
    try machine.load(0, at: 0)
    try machine.trigger(0)
    #expect(try machine.state(0) == 0x0006_0206, "CPPR holds it back")
    try machine.setCPPR(0, 7)
    #expect(try machine.state(0) == 0x8007_0206)
    #expect(try machine.acknowledge(0) == 0x8006)
    try machine.setCPPR(0, 0xff)

    try machine.load(0, at: 0)
    try machine.trigger(0)
    try machine.trigger(1)
    #expect(machine.entry(0, 5, at: 0) == 0x8005_4321)
    #expect(try machine.state(0) == 0x80ff_0605)
    #expect(try machine.acknowledge(0) == 0x8005)
    #expect(try machine.state(0) == 0x0005_0206)
    try machine.setCPPR(0, 0xff)
    #expect(try machine.state(0) == 0x80ff_0206)
    #expect(try machine.acknowledge(0) == 0x8006)
    #expect(machine.rig.device.watch.guestErrors.sum == 0)
  }

  @Test("R7: 16,384 entries and one: the queue wraps, and its reader misses none")
  func wrap() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 0x111)
    var queue = GuestQueue(machine.memory, at: Machine.queueAddress(0, 6))
    for number in 0..<16_385 {
      try machine.trigger(1)
      try machine.load(1, at: 0)
      guard queue.next() == 0x111, queue.next() == nil else {
        Issue.record("entry \(number)")
        return
      }
      if number == 16_383 {
        let end = try machine.end(0, 6)
        #expect(end.generation == 0 && end.queueIndex == 0)
      }
    }
    #expect(machine.entries(0, 2) == [0x111, 0x8000_0111])
  }

  @Test("R10: nothing to take: CPPR and no more", arguments: [0, 3, 7, 0xff] as [UInt8])
  func nothing(cppr: UInt8) throws {
    let machine = try Machine(cpus: 1)
    try machine.setCPPR(0, cppr)
    let ring = try machine.ring(0)
    #expect(try machine.acknowledge(0) == UInt64(cppr))
    #expect(try machine.ring(0) == ring)
  }

  @Test("R11: CPPR above 7 lets everything through; it can be read alone")
  func cppr() throws {
    let machine = try Machine(cpus: 1)
    for value in UInt8.min...UInt8.max {
      try machine.setCPPR(0, value)
      let expected = value > 7 ? 0xff : UInt64(value)
      #expect(try machine.loadTIMA(0, at: 0x11, byteCount: 1) == expected)
      #expect(try machine.ring(0) >> 48 == expected)
    }
  }

  @Test("R12: a guest makes a priority pending for itself")
  func setPending() throws {
    let machine = try Machine(cpus: 1)
    try machine.setCPPR(0, 0xff)
    try machine.storeTIMA(0, 4, at: 0x812, byteCount: 1)
    #expect(try machine.state(0) == 0x80ff_0804)
    for value: UInt64 in [8, 0xff] {
      try machine.storeTIMA(0, value, at: 0x812, byteCount: 1)
      #expect(try machine.state(0) == 0x80ff_0804)
    }
  }

  @Test("R14, 6.25: CPPR at or below what is pending drops NSR, until it is raised again")
  func lowered() throws {
    for cppr in UInt8(0)...7 {
      let machine = try Machine(cpus: 1)
      try machine.start(1, on: 0, eisn: 0x111)
      try machine.trigger(1)
      try machine.setCPPR(0, cppr)
      #expect(try machine.ring(0) >> 56 == (cppr > 6 ? 0x80 : 0))
      #expect(try machine.acknowledge(0) == (cppr > 6 ? 0x8006 : UInt64(cppr)))
      try machine.setCPPR(0, 0xff)
      #expect(try machine.acknowledge(0) == (cppr > 6 ? 0x00ff : 0x8006))
    }
  }

  @Test("L2: a trigger while the guest is stopped is latched and delivered once on resume")
  func stopped() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 0x111)
    // What QEMU does: PQ 10 while stopped; on resume PQ as it was, and one trigger where something came.
    let saved = try machine.load(1, at: 0xe00)
    #expect(saved == 0)
    try machine.trigger(1)
    try machine.trigger(1)
    #expect(machine.entry(0, at: 0) == 0 && machine.rig.pq(1) == .queued)
    let now = try machine.load(1, at: 0xc00 + saved << 8)
    if saved == 0, now == 3 { try machine.trigger(1) }
    #expect(machine.entries(0, 2) == [0x8000_0111, 0])
    #expect(try machine.acknowledge(0) == 0x8006)
    try machine.endMessage(1)
    #expect(machine.entries(0, 2) == [0x8000_0111, 0])
  }

  @Test("A message that comes while one is handled is delivered by Linux's EOI, once")
  func message() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 0x111)
    for _ in 0..<5 { try machine.trigger(1) }
    #expect(machine.entries(0, 2) == [0x8000_0111, 0])
    #expect(try machine.acknowledge(0) == 0x8006)
    try machine.endMessage(1)
    #expect(machine.entries(0, 3) == [0x8000_0111, 0x8000_0111, 0])
    #expect(machine.rig.pq(1) == .pending)
    try machine.endMessage(1)
    #expect(machine.entries(0, 3) == [0x8000_0111, 0x8000_0111, 0])
    #expect(machine.rig.pq(1) == .reset)
  }

  /// How a guest ends a level interrupt.
  enum LevelEOI: CaseIterable {
    /// By a load, on hardware.
    case load
    /// As QEMU does it for the guest (H_INT_ESB): PQ 00, and a trigger while the line is still held.
    case hypercall
  }

  @Test("A level interrupt comes again until its line falls", arguments: LevelEOI.allCases)
  func level(eoi: LevelEOI) throws {
    let machine = try Machine(cpus: 1)
    machine.rig.create(2, isLSI: true)
    try machine.start(2, on: 0, eisn: 0x222)
    func end(isHeld: Bool) throws {
      switch eoi {
      case .load: #expect(try machine.load(2, at: 0) == (isHeld ? 1 : 0))
      case .hypercall:
        try machine.load(2, at: 0xc00)
        if isHeld { try machine.trigger(2) }
      }
      try machine.setCPPR(0, 0xff)
    }
    machine.rig.device.perform(.assert, on: LISN(rawValue: 2))
    for number in 1...3 {
      #expect(machine.entries(0, 4).count { $0 == 0x8000_0222 } == number)
      #expect(try machine.acknowledge(0) == 0x8006)
      machine.rig.device.perform(.assert, on: LISN(rawValue: 2))
      if number < 3 { try end(isHeld: true) }
    }
    machine.rig.device.perform(.deassert, on: LISN(rawValue: 2))
    try end(isHeld: false)
    #expect(machine.rig.pq(2) == .reset)
    #expect(machine.counts.entries == 3)
    #expect(try machine.state(0) == 0x00ff_00ff)
    machine.rig.device.perform(.assert, on: LISN(rawValue: 2))
    #expect(machine.counts.entries == 4)
  }

  @Test("Events of one source go to its vCPU alone; those of two share a queue in order")
  func order() throws {
    let machine = try Machine()
    for source in UInt32(0)..<3 {
      try machine.start(source, on: source == 2 ? 1 : 0, eisn: 0x10 + source)
    }
    for source: UInt32 in [1, 2, 0] { try machine.trigger(source) }
    #expect(machine.entries(0, 3) == [0x8000_0011, 0x8000_0010, 0])
    #expect(machine.entries(1, 2) == [0x8000_0012, 0])
    #expect(machine.counts.entries == 3 && machine.counts.notified == 3)
  }

  @Test("A source that is routed anew delivers there from the next event on")
  func rerouted() throws {
    let machine = try Machine()
    try machine.start(1, on: 0, eisn: 0x111)
    try machine.setCPPR(1, 0xff)
    try machine.trigger(1)
    try machine.route(1, to: 1, eisn: 0x222)
    try machine.endMessage(1)
    try machine.trigger(1)
    #expect(machine.entries(0, 2) == [0x8000_0111, 0])
    #expect(machine.entries(1, 2) == [0x8000_0222, 0])
    #expect(try machine.acknowledge(1) == 0x8006)
  }

  @Test("What became of the events is told by INFO")
  func information() throws {
    let machine = try Machine()
    try machine.start(0, on: 0, eisn: 1)
    try machine.start(1, on: 1, eisn: 2)
    try machine.trigger(0)
    try machine.pull(1)
    try machine.trigger(1)
    machine.rig.setPQ(2, .reset)
    try machine.trigger(2)
    var end = Machine.end(0, 6)
    end.notifiesAlways = false
    end.keepsBacklog = false
    end.w0 |= XIVE_END_W0_ESCALATE
    end.w1 = XIVE_END_W1_ESN
    try machine.setEND(0, 6, end)
    try machine.load(0, at: 0)
    try machine.trigger(0)
    end[.notification] = .reset
    try machine.setEND(0, 6, end)
    try machine.pull(0)
    try machine.load(0, at: 0)
    try machine.trigger(0)
    end.w0 &= ~XIVE_END_W0_ESCALATE
    end[.notification] = .reset
    try machine.setEND(0, 6, end)
    try machine.load(0, at: 0)
    try machine.trigger(0)
    for route in PayloadRoute.allCases {
      let info = try machine.rig.get(
        XIVE_GROUP_INFO, UInt64(XIVE_INFO_DELIVERY), as: xive_info_delivery.self, route)
      #expect(info.entries == 5 && info.notified == 1 && info.backlogged == 1)
      #expect(info.coalesced == 1 && info.escalated == 1 && info.masked == 1)
      #expect(info.undelivered == 1 && info.vcpus == 2)
    }
    // What was escalated went to server 0's END of priority 0, which is not valid.
    let errors = try machine.rig.get(
      XIVE_GROUP_INFO, UInt64(XIVE_INFO_GUEST_ERRORS), as: xive_info_guest_errors.self)
    #expect(errors.end_invalid == 1)
    let counters = try machine.rig.get(
      XIVE_GROUP_INFO, UInt64(XIVE_INFO_COUNTERS), as: xive_info_counters.self)
    #expect(counters.guest_errors == 1)
  }

  @Test("Each kind of mistake is counted as its own")
  func mistakes() throws {
    let machine = try Machine(cpus: 2)
    let rig = machine.rig
    try rig.load(rig.offset(7, .management))
    for _ in 0..<2 { try rig.load(rig.offset(1, .trigger)) }
    for _ in 0..<3 { try rig.store(rig.endPage(0, 6)) }
    for _ in 0..<4 { try machine.loadTIMA(0, at: 0x20, byteCount: 2) }
    let image = try rig.image(rig.tima(0, .os))
    for _ in 0..<5 { rig.writeBack(image, at: rig.tima(0, .os)) }
    rig.device.router.setEAS(of: LISN(rawValue: 3), to: .invalid)
    for _ in 0..<6 {
      rig.setPQ(3, .reset)
      try machine.trigger(3)
    }
    try machine.route(2, to: 1, eisn: 2)
    try machine.setEND(1, 6, END())
    for _ in 0..<7 {
      rig.setPQ(2, .reset)
      try machine.trigger(2)
    }
    try machine.start(1, on: 0, eisn: 1)
    var end = Machine.end(0, 6)
    end.w6 = 0x403
    try machine.setEND(0, 6, end)
    for _ in 0..<8 {
      rig.setPQ(1, .reset)
      try machine.trigger(1)
    }
    var loop = END()
    loop.w0 =
      XIVE_END_W0_VALID | XIVE_END_W0_ESCALATE | XIVE_END_W0_SILENT_ESCALATE
      | XIVE_END_W0_UNCOND_ESCALATE
    loop.w4 = 6
    try machine.setEND(0, 6, loop)
    for _ in 0..<9 {
      rig.setPQ(1, .reset)
      try machine.trigger(1)
    }
    for _ in 0...10 { try machine.pull(0) }
    for _ in 0..<11 { rig.writeBack(image, at: rig.tima(3, .os)) }
    let errors = machine.guestErrors
    let counts = [
      errors.absent_page, errors.esb_operation, errors.end_store, errors.tima_access,
      errors.tima_store, errors.eas_invalid, errors.end_invalid, errors.nvt_invalid,
      errors.escalation_loop, errors.context, errors.image,
    ]
    #expect(counts == Array(1...11))
    #expect(errors.cam_duplicate == 0)
    #expect(rig.device.watch.guestErrors.sum == 66)
  }

  @Test("Whoever wants to know hears of what guests do wrong")
  func told() throws {
    let heard = ErrorList()
    let device = XIVEDevice(Configuration(sourceCount: 8, serverCount: 1)) { heard.add($0) }
    try device.createSource(LISN(rawValue: 1))
    try device.store(
      unsafe [UInt8](repeating: 0, count: 8).span.bytes,
      at: device.map.offset(of: .end(index: 5, .escalation)),
      by: Rig.writer)
    #expect(heard.list == [.endStore(ENDIndex(rawValue: 5))])
  }
}

/// What somebody was told of.
private final class ErrorList: @unchecked Sendable {
  // @unchecked Sendable: used by one thread.
  private(set) var list: [GuestError] = []

  func add(_ error: GuestError) { list.append(error) }
}
