import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

/// A way in which an event leaves source 1.
enum Leaving: CaseIterable, CustomTestStringConvertible {
  case exactTrigger, managementStore, mappedStore, message, line, levelLine, levelRefire
  case loadEOI, storeEOI, mappedEOI, irqfd, levelIRQFD
  case phbMessage, phbLine, phbPage, phbEOI, unfence

  var testDescription: String { "\(self)" }

  var isLevel: Bool { [.levelLine, .levelRefire, .levelIRQFD].contains(self) }

  /// The PHB's interrupt that serves source 1, or nil.
  var irq: UInt16? {
    switch self {
    case .phbMessage, .phbPage, .phbEOI: 2
    case .phbLine, .unfence: 4
    default: nil
    }
  }

  /// A machine with one vCPU, to which source 1 goes as 0x11.
  func machine() throws -> Machine {
    let rig = Rig(sources: 8, existing: 4, storeEOI: true)
    try rig.addPHB(storeEOI: true)
    let machine = try Machine(rig, cpus: 1)
    if isLevel { rig.create(1, isLSI: true) }
    try machine.start(1, on: 0, eisn: 0x11)
    try rig.addRoute(9, 0x1000, 5, to: isLevel ? 2 : 1)
    if let irq {
      try rig.map(1, to: irq)
      try rig.setHardwarePQ(irq, .reset)
    }
    return machine
  }

  /// Brings the source to where the last step makes an event leave; that has no event by itself.
  func prepare(_ machine: Machine) throws {
    let rig = machine.rig
    switch self {
    case .loadEOI, .storeEOI, .mappedEOI: rig.setPQ(1, .queued)
    case .phbEOI: try rig.setHardwarePQ(2, .queued)
    case .levelRefire:
      rig.setPQ(1, .off)
      try rig.setLine(1, 1)
      rig.setPQ(1, .pending)
    case .unfence:
      try rig.hardware(.fence, 4)
      try rig.hardware(.assert, 4)
    default: break
    }
  }

  /// The step.
  /// - Returns: what must be kept alive.
  func leave(_ machine: Machine) throws -> [FakeEvent] {
    let rig = machine.rig
    switch self {
    case .exactTrigger: try machine.trigger(1)
    case .managementStore: try rig.store(rig.offset(1, .management))
    case .mappedStore:
      var page = try MappedPage(rig, rig.offset(1, .trigger, .kernel))
      page.storeAndWriteBack(0, slot: 3)
    case .message: #expect(try rig.signal(0x1000, 5, from: 9) == 1)
    case .line, .levelLine: try rig.setLine(1, 1)
    case .loadEOI, .levelRefire: #expect(try machine.load(1, at: 0) == 1)
    case .storeEOI: try rig.store(rig.offset(1, .management) + 0x400)
    case .mappedEOI:
      var page = try MappedPage(rig, rig.offset(1, .management))
      page.storeAndWriteBack(0, slot: 0x400 / 8)
    case .irqfd, .levelIRQFD:
      let events = [FakeEvent(1, count: 3), FakeEvent(2)]
      try rig.irqfd(1, events[0], resample: isLevel ? events[1] : nil)
      return events
    case .phbMessage: try rig.hardware(.trigger, 2)
    case .phbLine: try rig.hardware(.assert, 4)
    case .phbPage: try rig.store(rig.ownPage(2))
    case .phbEOI: try rig.endOfInterrupt(rig.ownPage(2))
    case .unfence: try rig.hardware(.unfence, 4)
    }
    return []
  }
}

@Suite("A machine that is stopped")
struct RunningTests {
  /// Nothing has come of an event but that it waits.
  private func expectWaiting(_ machine: Machine, _ name: Comment) throws {
    let before = machine.counts
    try machine.rig.set(UInt32(KVM_DEV_XIVE_GRP_CTRL), UInt64(KVM_DEV_XIVE_EQ_SYNC), UInt64(0))
    #expect(machine.counts == before, name)
    #expect(machine.queued(0).isEmpty, name)
    #expect(try machine.state(0) >> 24 == 0, name)
    #expect(try machine.rig.isLatched(1), name)
    #expect(try machine.rig.record(1).flags & 3 == 2, "pending, as where it runs: \(name)")
  }

  @Test(
    "L2: what leaves a source stays, is told, and comes once when the machine runs",
    arguments: Leaving.allCases)
  func stays(_ way: Leaving) throws {
    let machine = try way.machine()
    try way.prepare(machine)
    try machine.rig.stop()
    let events = try way.leave(machine)
    try expectWaiting(machine, "\(way)")
    try machine.rig.resume()
    for _ in 0..<2 {
      #expect(machine.queued(0) == [0x11], "\(way)")
      #expect(try !machine.rig.isLatched(1), "\(way)")
      try machine.rig.stop()
      try machine.rig.resume()
    }
    #expect(machine.counts.entries == 1 && machine.counts.notified == 1, "\(way)")
    #expect(try machine.acknowledge(0) >> 8 == 0x80, "\(way)")
    withExtendedLifetime(events) {}
  }

  @Test(
    "L2: moved by region 0x1000 it comes once on the other machine, and not on this one",
    arguments: Leaving.allCases, [false, true])
  func moves(_ way: Leaving, isRunning: Bool) throws {
    let first = try way.machine()
    try way.prepare(first)
    try first.rig.stop()
    let events = try way.leave(first)
    let second = try way.machine()
    if !isRunning { try second.rig.stop() }
    // An LSI's line that irqfds hold belongs to them, and does not move.
    let bytes = try first.rig.allState()
    try second.rig.storeState(bytes)
    if !isRunning {
      try expectWaiting(second, "\(way)")
      try second.rig.resume()
    }
    #expect(second.queued(0) == [0x11], "\(way)")
    #expect(second.counts.entries == 1, "\(way)")
    #expect(first.queued(0).isEmpty, "\(way)")
    withExtendedLifetime(events) {}
  }

  @Test("Triggers of a pending source are counted by its PQ meanwhile; the guest gets one more")
  func queued() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 9)
    try machine.trigger(1)
    try machine.rig.stop()
    for _ in 0..<3 { try machine.trigger(1) }
    #expect(try machine.rig.record(1).flags == 0x13)
    try machine.rig.resume()
    #expect(machine.queued(0) == [9])
    #expect(try machine.load(1, at: 0) == 1)
    #expect(machine.queued(0) == [9, 9])
    #expect(try machine.load(1, at: 0) == 0)
  }

  @Test("Sources of all blocks get through, in the order of their numbers")
  func blocks() throws {
    let sources: [UInt32] = [0, 1, 1_023, 1_024, 2_047, 4_095, 4_999]
    let machine = try Machine(Rig(sources: 5_000, existing: 0, servers: 1), cpus: 1)
    for source in sources {
      machine.rig.create(source)
      try machine.start(source, on: 0, eisn: source)
    }
    try machine.rig.stop()
    for source in sources.reversed() { try machine.trigger(source) }
    try machine.rig.resume()
    #expect(machine.queued(0) == sources)
  }

  @Test("RESET, a source that is created again, and one that is none any more drop what waits")
  func dropped() throws {
    for way in 0..<4 {
      let machine = try Machine(cpus: 1)
      try machine.start(1, on: 0, eisn: 9)
      try machine.rig.stop()
      try machine.trigger(1)
      switch way {
      case 0: try machine.rig.set(1, UInt64(KVM_DEV_XIVE_RESET), UInt64(0))
      case 1: try machine.rig.set(2, 1, UInt64(0))
      case 2: try machine.rig.store([.absent], from: 1)
      default: try machine.rig.store([StateRecord(flags: 0x12)], from: 1)
      }
      #expect(try !machine.rig.isLatched(1), "\(way)")
      if way == 0 { try machine.setQueue(0, 6) }
      try machine.route(1, to: 0, eisn: 9)
      try machine.rig.resume()
      #expect(machine.counts.entries == 0 && machine.queued(0).isEmpty, "\(way)")
    }
  }

  @Test("Where an event goes is decided when the machine runs, not when it has left")
  func rerouted() throws {
    let machine = try Machine(cpus: 2)
    try machine.start(1, on: 0, eisn: 9)
    try machine.start(2, on: 0, eisn: 10)
    try machine.rig.stop()
    try machine.trigger(1)
    try machine.trigger(2)
    try machine.route(1, to: 1, eisn: 0x19)
    try machine.route(2, to: 1, eisn: 0x19, isMasked: true)
    try machine.rig.resume()
    #expect(machine.queued(0).isEmpty && machine.queued(1) == [0x19])
  }

  @Test("Whether it runs can be read; it does at first, and other values are refused")
  func attribute() throws {
    let rig = Rig()
    func isRunning() throws -> UInt32 {
      try rig.get(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_RUNNING), as: UInt32.self)
    }
    #expect(try isRunning() == 1)
    try rig.stop()
    #expect(try isRunning() == 0)
    for value: UInt32 in [2, 3, .max] {
      #expect(throws: DeviceError.invalid) {
        try rig.set(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_RUNNING), value)
      }
    }
    #expect(try isRunning() == 0)
    try rig.resume()
    #expect(try isRunning() == 1)
  }
}
