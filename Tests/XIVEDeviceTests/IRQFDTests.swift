import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Eventfds that raise sources")
struct IRQFDTests {
  static let other = Opener(id: 40, isWritable: true)

  /// A machine with a message source 1 (as 0x11) and a level source 2 (as 0x22).
  static func machine(storeEOI: Bool = false) throws -> Machine {
    let machine = try Machine(Rig(storeEOI: storeEOI), cpus: 1)
    try machine.start(1, on: 0, eisn: 0x11)
    try machine.startLevel(2, eisn: 0x22)
    return machine
  }

  @Test("Edge: each event is a trigger, PQ does the rest")
  func edge() throws {
    let machine = try Self.machine()
    let event = FakeEvent(1)
    try machine.rig.irqfd(1, event)
    #expect(machine.queued(0).isEmpty && machine.rig.injected.irqfds == 1)
    for _ in 0..<3 { event.fire() }
    #expect(machine.rig.pq(1) == .queued)
    #expect(machine.queued(0) == [0x11])
    #expect(try machine.load(1, at: 0) == 1)
    #expect(try machine.load(1, at: 0) == 0)
    #expect(machine.queued(0) == [0x11, 0x11])
    #expect(machine.rig.injected.injected == 3)
    #expect(event.count == 0, "taken")
  }

  @Test("Level: the line is high until the guest ends the interrupt, which is then told")
  func level() throws {
    let machine = try Self.machine()
    let (event, resample) = (FakeEvent(1), FakeEvent(2))
    try machine.rig.irqfd(2, event, resample: resample)
    for round in 1...3 {
      event.fire()
      #expect(machine.rig.pq(2) == .pending)
      #expect(try machine.rig.record(2).flags & 0x48 == 0x40)
      event.fire()
      #expect(machine.queued(0).count == round, "a line has no queue")
      #expect(resample.count == UInt64(round - 1))
      #expect(try machine.load(2, at: 0) == 0)
      #expect(machine.rig.pq(2) == .reset && resample.count == UInt64(round))
      #expect(try machine.rig.record(2).flags & 0x48 == 0)
    }
    #expect(machine.rig.injected.resampled == 3)
    #expect(!resample.isListenedTo)
  }

  @Test("A counter that is above zero at the start fires once", arguments: [UInt64(1), 2, 900])
  func earlier(count: UInt64) throws {
    let machine = try Self.machine()
    let (edge, level) = (FakeEvent(1, count: count), FakeEvent(2, count: count))
    try machine.rig.irqfd(1, edge)
    try machine.rig.irqfd(2, level, resample: FakeEvent(3))
    #expect(machine.queued(0) == [0x11, 0x22])
    #expect(machine.rig.pq(1) == .pending && machine.rig.pq(2) == .pending)
    #expect(edge.count == 0 && level.count == 0)
  }

  @Test("Untying takes what is in the counter first, and nothing comes after it")
  func drains() throws {
    let machine = try Self.machine()
    let (edge, level, resample) = (FakeEvent(1), FakeEvent(2), FakeEvent(3))
    try machine.rig.irqfd(1, edge)
    try machine.rig.irqfd(2, level, resample: resample)
    edge.raise()
    level.raise()
    #expect(machine.queued(0).isEmpty)
    try machine.rig.untie(1, edge)
    try machine.rig.untie(2, level, resample: resample)
    #expect(machine.queued(0) == [0x11, 0x22])
    #expect(!edge.isListenedTo && !level.isListenedTo && machine.rig.injected.irqfds == 0)
    #expect(!machine.rig.state(2).isRaised && !machine.rig.state(2).isShared)
    edge.fire()
    level.fire()
    #expect(edge.count == 1 && level.count == 1 && machine.queued(0).count == 2)
    // Nobody is told of the end any more, and the line is low.
    #expect(try machine.load(2, at: 0) == 0)
    #expect(resample.count == 0)
  }

  @Test("An eventfd is tied once: to its source, to another, by another descriptor")
  func busy() throws {
    let machine = try Self.machine()
    let rig = machine.rig
    let (event, resample) = (FakeEvent(1), FakeEvent(2))
    try rig.irqfd(1, event)
    for source: UInt32 in [1, 3] {
      #expect(throws: DeviceError.busy) { try rig.irqfd(source, event) }
      #expect(throws: DeviceError.busy) { try rig.irqfd(source, event, by: Self.other) }
    }
    #expect(throws: DeviceError.busy) { try rig.irqfd(2, event, resample: resample) }
    #expect(!rig.state(2).isShared)
    try rig.irqfd(2, nil, resample: resample)
    #expect(throws: DeviceError.busy) { try rig.irqfd(2, nil, resample: resample) }
    #expect(rig.injected.irqfds == 2)
    try rig.untie(1, event)
    try rig.irqfd(2, event, resample: resample)
    #expect(rig.injected.irqfds == 2)
  }

  @Test("One that cannot be listened to leaves nothing behind")
  func deaf() throws {
    let machine = try Self.machine()
    let rig = machine.rig
    let event = FakeEvent(1)
    try event.listen {}
    #expect(throws: DeviceError.busy) { try rig.irqfd(1, event) }
    #expect(throws: DeviceError.busy) { try rig.irqfd(2, event, resample: FakeEvent(2)) }
    #expect(rig.injected.irqfds == 0 && !rig.state(2).isShared)
    event.stopListening(draining: false)
    try rig.irqfd(2, event, resample: FakeEvent(2))
    event.fire()
    #expect(machine.queued(0) == [0x22])
  }

  @Test("What could never work is refused, and so is what is no source")
  func refusals() throws {
    let rig = try Self.machine().rig
    let (event, resample) = (FakeEvent(1), FakeEvent(2))
    rig.expectNothing(.invalid, "nothing would lower the line") { () throws(DeviceError) in
      try rig.irqfd(2, event)
    }
    rig.expectNothing(.invalid, "an end that is never told") { () throws(DeviceError) in
      try rig.irqfd(1, event, resample: resample)
    }
    rig.expectNothing(.invalid, "the same, alone") { () throws(DeviceError) in
      try rig.irqfd(1, nil, resample: resample)
    }
    for source: UInt32 in [4, 7, 8, 1 << 20, .max] {
      rig.expectNothing(.invalid, "\(source)") { () throws(DeviceError) in
        try rig.irqfd(source, event)
      }
    }
    for flags: UInt32 in [4, 8, 1 << 31, 5] {
      rig.expectNothing(.invalid, "flags \(flags)") { () throws(DeviceError) in
        try rig.irqfd(1, event, flags: flags)
      }
    }
    rig.expectNothing(.badDescriptor, "no eventfd, no flag") { () throws(DeviceError) in
      try rig.irqfd(1, nil)
    }
    rig.expectNothing(.badDescriptor) { () throws(DeviceError) in
      try rig.irqfd(1, event, by: Rig.reader)
    }
    #expect(rig.injected.irqfds == 0 && !event.isListenedTo && !resample.isListenedTo)
  }

  @Test("What is not tied can be untied, and so can another's: nothing happens")
  func untied() throws {
    let machine = try Self.machine()
    let rig = machine.rig
    let (event, resample) = (FakeEvent(1), FakeEvent(2))
    try rig.untie(1, event)
    try rig.irqfd(1, event)
    try rig.irqfd(2, nil, resample: resample)
    try rig.untie(1, event, by: Self.other)
    try rig.untie(3, event)
    try rig.untie(2, nil, resample: resample, by: Self.other)
    try rig.untie(2, nil, resample: FakeEvent(9))
    try rig.untie(1, nil, resample: resample)
    #expect(rig.injected.irqfds == 2 && event.isListenedTo && rig.state(2).isShared)
    rig.device.closed(Self.other)?.completion()
    event.fire()
    #expect(machine.queued(0) == [0x11])
  }

  @Test("The last reference to a descriptor takes its own with it, and lowers what they hold")
  func closing() throws {
    let machine = try Self.machine()
    let rig = machine.rig
    let events = (1...6).map { FakeEvent($0) }
    try rig.irqfd(1, events[0], by: Self.other)
    try rig.irqfd(2, events[1], resample: events[2], by: Self.other)
    try rig.irqfd(2, nil, resample: events[2], by: Self.other)
    try rig.irqfd(3, events[3])
    try rig.irqfd(2, events[4], resample: events[5])
    events[1].fire()
    rig.device.closed(Self.other)?.completion()
    #expect(events.map(\.isListenedTo) == [false, false, false, true, true, false])
    #expect(rig.injected.irqfds == 2)
    #expect(!rig.state(2).isRaised && rig.state(2).isShared)
    #expect(try machine.load(2, at: 0) == 0)
    #expect(events[2].count == 0 && events[5].count == 1)
    rig.device.closed(Rig.writer)?.completion()
    #expect(!rig.state(2).isShared && rig.injected.irqfds == 0)
  }
}
