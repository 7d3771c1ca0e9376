import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Lines, messages, and hardware behind a source")
struct LineTests {
  @Test("A level is told once while it is high, and again at each end of the interrupt")
  func level() throws {
    let machine = try IRQFDTests.machine()
    let rig = machine.rig
    #expect(try rig.setLineStatus(2, 1) == 1)
    #expect(try rig.setLineStatus(2, 1) == 0, "nobody is told again")
    #expect(rig.pq(2) == .pending)
    #expect(try machine.load(2, at: 0) == 1)
    #expect(try rig.setLineStatus(2, 0) == 0)
    #expect(try machine.load(2, at: 0) == 0)
    #expect(try rig.setLineStatus(2, 0x8000_0000) == 1, "any level but 0 is high")
    #expect(machine.queued(0) == [0x22, 0x22, 0x22])
    #expect(rig.injected.lines == 4)
  }

  @Test("Level 1 of a message source is one message, level 0 nothing")
  func message() throws {
    let machine = try IRQFDTests.machine()
    #expect(try machine.rig.setLineStatus(1, 1) == 1)
    #expect(try machine.rig.setLineStatus(1, 0) == 0)
    #expect(try machine.rig.setLineStatus(1, 1) == 0)
    #expect(machine.rig.pq(1) == .queued && machine.queued(0) == [0x11])
    #expect(try machine.rig.record(1).flags & 8 == 0)
    #expect(try machine.load(1, at: 0) == 1)
  }

  @Test("A source that was never created has no line, and a reader may not touch one")
  func refusals() throws {
    let rig = try IRQFDTests.machine().rig
    for source: UInt32 in [4, 7, 8, .max] {
      for level: UInt32 in [0, 1] {
        rig.expectNothing(.invalid, "\(source)") { () throws(DeviceError) in
          try rig.setLine(source, level)
        }
      }
    }
    rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
      try rig.setLine(1, 1, by: Rig.reader)
    }
    #expect(rig.injected.lines == 0)
  }

  @Test("A requester has as many routes as a function has messages; what is removed makes room")
  func routesOfOne() throws {
    let rig = try IRQFDTests.machine().rig
    for data: UInt32 in 0..<2_048 { try rig.addRoute(7, 0x1000, data, to: 1) }
    rig.expectNothing(.outOfMemory) { () throws(DeviceError) in
      try rig.addRoute(7, 0x1000, 2_048, to: 1)
    }
    #expect(throws: DeviceError.exists, "what is wrong comes first") {
      try rig.addRoute(7, 0x1000, 0, to: 1)
    }
    try rig.addRoute(8, 0x1000, 2_048, to: 1)
    let removal = xive_msi(address: 0x1000, first_data: 5, count: 0, first_lisn: 0, zero: 0)
    try rig.set(XIVE_GROUP_MSI, 7, removal)
    try rig.addRoute(7, 0x1000, 2_048, to: 1)
    #expect(throws: DeviceError.outOfMemory) { try rig.addRoute(7, 0x1000, 5, to: 1) }
  }

  @Test("All requesters together have 65,536 routes; whoever starts over has room again")
  func routesOfAll() throws {
    let rig = Rig()
    for requester: UInt32 in 0..<65_536 { try rig.addRoute(requester, 0x1000, 1, to: 1) }
    for requester: UInt32 in [0, 65_536] {
      #expect(throws: DeviceError.outOfMemory) { try rig.addRoute(requester, 0x1000, 2, to: 1) }
    }
    let removal = xive_msi(address: 0x1000, first_data: 1, count: 0, first_lisn: 0, zero: 0)
    try rig.set(XIVE_GROUP_MSI, 9, removal)
    try rig.addRoute(65_536, 0x1000, 2, to: 1)
    #expect(throws: DeviceError.outOfMemory) { try rig.addRoute(9, 0x1000, 1, to: 1) }
    try rig.kvm(.set, group: 1, UInt64(KVM_DEV_XIVE_RESET))
    try rig.addRoute(9, 0x1000, 1, to: 1)
  }

  @Test("Messages go by requester, address and data; what came of one is told")
  func messages() throws {
    let machine = try IRQFDTests.machine()
    let rig = machine.rig
    try rig.addRoute(0x100, 0xffff_0000_0000, 0x40, count: 2, to: 0)
    try rig.addRoute(0x100, 0x2000, 0x40, to: 3)
    let address: UInt64 = 0xffff_0000_0000
    func send(_ data: UInt32, from requester: UInt32 = 0x100, flags: UInt32 = 1) throws(DeviceError)
      -> Int32
    {
      try rig.signal(address, data, from: requester, flags: flags)
    }
    #expect(throws: DeviceError.exists) { try rig.addRoute(0x100, address, 0x41, to: 0) }
    #expect(throws: DeviceError.invalid) { try rig.addRoute(0x101, address, 0, to: 2) }
    #expect(throws: DeviceError.invalid) { try rig.addRoute(0x101, address, 0, to: 5) }
    #expect(throws: DeviceError.outOfRange) { try rig.addRoute(0x101, address, 0, to: 8) }
    #expect(try send(0x41) == 1)
    #expect(machine.queued(0) == [0x11])
    #expect(try send(0x41) == 1, "queued in the source")
    #expect(rig.pq(1) == .queued)
    rig.setPQ(1, .off)
    #expect(try send(0x41) == 0)
    // On, but masked.
    rig.setPQ(0, .reset)
    #expect(try send(0x40) == 0)
    #expect(rig.pq(0) == .pending)
    for data: UInt32 in [0x3f, 0x42, 0, .max] {
      #expect(throws: DeviceError.notFound) { try send(data) }
    }
    #expect(throws: DeviceError.notFound) { try send(0x41, from: 0x101) }
    #expect(throws: DeviceError.notFound) { try rig.signal(0x2001, 0x40, from: 0x100) }
    for flags: UInt32 in [0, 2, 3] {
      #expect(throws: DeviceError.invalid) { try send(0x41, flags: flags) }
    }
    #expect(throws: DeviceError.badDescriptor) {
      try rig.signal(address, 0x41, from: 0x100, by: Rig.reader)
    }
    #expect(rig.injected.messages == 4)
  }

  /// All that injects into source 1, a message source, or source 2, a level source.
  private func injections(_ rig: Rig) -> [(String, () throws(DeviceError) -> Void)] {
    [
      ("level 1 of a message", { () throws(DeviceError) in try rig.setLine(1, 1) }),
      ("level 0 of a message", { () throws(DeviceError) in try rig.setLine(1, 0) }),
      ("level 1 of a line", { () throws(DeviceError) in try rig.setLine(2, 1) }),
      ("level 0 of a line", { () throws(DeviceError) in try rig.setLine(2, 0) }),
      ("a message", { () throws(DeviceError) in _ = try rig.signal(0x1000, 1, from: 1) }),
    ]
  }

  @Test("P11: while hardware serves a source nothing else is injected; afterwards it is again")
  func mapped() throws {
    let machine = try IRQFDTests.machine()
    let rig = machine.rig
    try rig.addPHB()
    try rig.addRoute(1, 0x1000, 1, to: 1)
    let (edge, level, resample) = (FakeEvent(1), FakeEvent(2), FakeEvent(3))
    try rig.irqfd(1, edge)
    try rig.irqfd(2, level, resample: resample)
    try rig.map(1, to: 1)
    try rig.map(2, to: 4)
    let states = rig.states
    for (name, inject) in injections(rig) {
      #expect(throws: DeviceError.invalid, "\(name)") { try inject() }
    }
    edge.fire()
    level.fire()
    #expect(rig.states == states && machine.queued(0).isEmpty)
    #expect(edge.count == 0 && level.count == 0, "taken, and dropped")
    #expect(rig.injected.refused >= 2 && rig.injected.injected == 2)
    #expect(rig.hardwarePQ(1) == .pending && rig.hardwarePQ(4) == .pending, "as it was mapped")
    try rig.unmap(1, from: 1)
    try rig.unmap(2, from: 4)
    let refused = rig.injected.refused
    for source: UInt32 in [1, 2] { try machine.load(source, at: 0xc00) }
    #expect(resample.count == 1, "ended where it was pending")
    for (_, inject) in injections(rig) { try inject() }
    #expect(machine.queued(0) == [0x11, 0x22])
    for source: UInt32 in [1, 2] { try machine.load(source, at: 0xc00) }
    edge.fire()
    level.fire()
    #expect(machine.queued(0) == [0x11, 0x22, 0x11, 0x22])
    #expect(rig.injected.refused == refused)
  }

  @Test("A line that irqfds held when hardware came is let go by the first end after it has gone")
  func heldAcross() throws {
    let machine = try IRQFDTests.machine()
    let rig = machine.rig
    try rig.addPHB()
    let (event, resample) = (FakeEvent(1), FakeEvent(2))
    try rig.irqfd(2, event, resample: resample)
    event.fire()
    try rig.map(2, to: 4)
    try machine.load(2, at: 0)
    #expect(resample.count == 0, "that was the hardware's")
    try rig.unmap(2, from: 4)
    #expect(rig.state(2).isRaised)
    #expect(try machine.load(2, at: 0) == 0)
    #expect(resample.count == 1 && !rig.state(2).isRaised)
  }
}
