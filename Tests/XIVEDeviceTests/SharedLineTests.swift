import CXIVE
import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// A way in which a guest ends the interrupt of a level source.
enum Ending: CaseIterable {
  case loadEOI, storeEOI, load00, store00, mappedStoreEOI, mappedStore00

  func perform(_ machine: Machine, _ source: UInt32) throws {
    let page = machine.rig.offset(source, .management)
    switch self {
    case .loadEOI: try machine.load(source, at: 0)
    case .storeEOI: try machine.rig.store(page + 0x400)
    case .load00: try machine.load(source, at: 0xc00)
    case .store00: try machine.rig.store(page + 0xc00)
    case .mappedStoreEOI, .mappedStore00:
      var mapped = try MappedPage(machine.rig, page)
      mapped.storeAndWriteBack(0, slot: (self == .mappedStore00 ? 0xc00 : 0x400) / 8)
    }
  }
}

@Suite("Eventfds that share a line")
struct SharedLineTests {
  /// Three irqfds on level source 2.
  private func share(_ machine: Machine, count: UInt64 = 3) throws -> [(FakeEvent, FakeEvent)] {
    let pairs = (0..<count).map { (FakeEvent(10 + $0), FakeEvent(20 + $0)) }
    for (event, resample) in pairs { try machine.rig.irqfd(2, event, resample: resample) }
    return pairs
  }

  @Test(
    "However a guest ends the interrupt, all let go together and all are told",
    arguments: Ending.allCases, [[0], [1], [0, 2], [0, 1, 2]])
  func together(_ ending: Ending, holders: [Int]) throws {
    let machine = try IRQFDTests.machine(storeEOI: true)
    let pairs = try share(machine)
    for round in 1...2 {
      for holder in holders { pairs[holder].0.fire() }
      #expect(machine.queued(0) == Array(repeating: 0x22, count: round))
      try ending.perform(machine, 2)
      #expect(machine.rig.pq(2) == .reset)
      #expect(!machine.rig.state(2).isRaised)
      #expect(pairs.map(\.1.count) == Array(repeating: UInt64(round), count: 3))
    }
    #expect(machine.rig.injected.resampled == 6)
  }

  @Test("256 irqfds share a line, as many as a bus has functions; who goes makes room")
  func limit() throws {
    let machine = try IRQFDTests.machine()
    let rig = machine.rig
    let others = (0..<255).map { FakeEvent(1_000 + $0) }
    for event in others.dropLast(5) { try rig.irqfd(2, nil, resample: event) }
    for event in others.suffix(5) { try rig.irqfd(2, nil, resample: event, by: IRQFDTests.other) }
    let (event, resample) = (FakeEvent(1), FakeEvent(2))
    try rig.irqfd(2, event, resample: resample)
    let (late, lateResample) = (FakeEvent(3), FakeEvent(4))
    rig.expectNothing(.outOfMemory) { () throws(DeviceError) in
      try rig.irqfd(2, late, resample: lateResample)
    }
    rig.expectNothing(.outOfMemory) { () throws(DeviceError) in
      try rig.irqfd(2, nil, resample: lateResample)
    }
    #expect(!late.isListenedTo && rig.injected.irqfds == 256)
    rig.create(3, isLSI: true)
    try rig.irqfd(3, late, resample: lateResample)
    try rig.untie(3, late, resample: lateResample)
    #expect(rig.device.closed(IRQFDTests.other) == nil)
    try rig.irqfd(2, late, resample: lateResample)
    event.fire()
    try machine.load(2, at: 0)
    #expect(resample.count == 1 && lateResample.count == 1)
    #expect(others.map(\.count) == Array(repeating: 1, count: 250) + Array(repeating: 0, count: 5))
    // Message sources' irqfds share nothing.
    for number in 0..<300 as Range<UInt64> { try rig.irqfd(1, FakeEvent(2_000 + number)) }
    #expect(rig.injected.irqfds == 552)
    #expect(rig.device.closed(Rig.writer) == nil)
    #expect(rig.injected.irqfds == 0 && !rig.state(2).isShared)
  }

  @Test("What ends nothing tells nobody: PQ is read or set otherwise, the source is off, or quiet")
  func noEnds() throws {
    let machine = try IRQFDTests.machine(storeEOI: true)
    let pairs = try share(machine, count: 1)
    pairs[0].0.fire()
    for offset: UInt64 in [0x800, 0xbf8, 0xe00, 0xf00, 0xe00] { try machine.load(2, at: offset) }
    let page = machine.rig.offset(2, .management)
    for offset: UInt64 in [0xd00, 0xe00, 0xd00] { try machine.rig.store(page + offset) }
    try machine.load(2, at: 0xd00)
    // Off: an EOI does not end it, nor does switching it on, which lets the line fire.
    #expect(try machine.load(2, at: 0) == 0)
    try machine.rig.store(page + 0x400)
    #expect(pairs[0].1.count == 0 && machine.rig.state(2).isRaised)
    #expect(try machine.load(2, at: 0xc00) == 1)
    #expect(pairs[0].1.count == 0 && machine.rig.state(2).isRaised)
    #expect(machine.rig.pq(2) == .pending, "or whoever raised it would wait for an end for ever")
    // The end of that interrupt is told.
    try machine.load(2, at: 0xc00)
    #expect(pairs[0].1.count == 1 && !machine.rig.state(2).isRaised)
    #expect(machine.rig.pq(2) == .reset)
  }

  @Test(
    "A line that is raised while its source is off fires when that is switched on, by load, store and record"
  )
  func raisedWhileOff() throws {
    for way in 0..<3 {
      let machine = try IRQFDTests.machine()
      let pairs = try share(machine, count: 1)
      try machine.load(2, at: 0xd00)
      pairs[0].0.fire()
      #expect(machine.rig.pq(2) == .off && machine.rig.state(2).isRaised)
      let events = machine.counts.entries
      switch way {
      case 0: #expect(try machine.load(2, at: 0xc00) == 1)
      case 1: try machine.rig.store(machine.rig.offset(2, .management) + 0xc00)
      default:
        var record = try machine.rig.record(2)
        record.flags &= ~UInt64(XIVE_STATE_PQ)
        try machine.rig.store([record], from: 2)
      }
      #expect(machine.rig.pq(2) == .pending)
      #expect(machine.counts.entries == events + 1)
      try machine.load(2, at: 0)
      #expect(pairs[0].1.count == 1 && machine.rig.pq(2) == .reset)
    }
  }

  @Test("A device that still needs service raises the line again, and it comes again")
  func raisedAgain() throws {
    let machine = try IRQFDTests.machine()
    let pairs = try share(machine)
    pairs.forEach { $0.0.fire() }
    for round in 1...4 {
      try machine.load(2, at: 0)
      pairs[1].0.fire()
      #expect(machine.queued(0).count == 1 + round)
    }
    #expect(pairs.map(\.1.count) == [4, 4, 4])
  }

  @Test("One of two that hold the line and goes takes its own hold alone", arguments: [0, 1])
  func oneGoes(first: Int) throws {
    let machine = try IRQFDTests.machine()
    let pairs = try share(machine, count: 2)
    pairs.forEach { $0.0.fire() }
    let (gone, left) = (pairs[first], pairs[1 - first])
    try machine.rig.untie(2, gone.0, resample: gone.1)
    #expect(machine.rig.state(2).isRaised && machine.rig.state(2).isShared)
    machine.rig.setPQ(2, .off)
    machine.rig.setPQ(2, .pending)
    #expect(try machine.load(2, at: 0) == 0)
    #expect(gone.1.count == 0 && left.1.count == 1)
    left.0.fire()
    try machine.rig.untie(2, left.0, resample: left.1)
    #expect(!machine.rig.state(2).isRaised && !machine.rig.state(2).isShared)
  }

  @Test("One that does not hold the line and goes leaves it to the one that does")
  func otherGoes() throws {
    let machine = try IRQFDTests.machine()
    let pairs = try share(machine, count: 2)
    pairs[0].0.fire()
    try machine.rig.untie(2, pairs[1].0, resample: pairs[1].1)
    #expect(machine.rig.state(2).isRaised)
    #expect(try machine.load(2, at: 0) == 0)
    #expect(pairs[0].1.count == 1 && pairs[1].1.count == 0)
  }

  @Test("One may be told of ends without raising anything")
  func notifyOnly() throws {
    let machine = try IRQFDTests.machine()
    let resample = FakeEvent(5)
    try machine.rig.irqfd(2, nil, resample: resample)
    try machine.rig.setLine(2, 1)
    try machine.rig.setLine(2, 0)
    #expect(try machine.load(2, at: 0) == 0)
    #expect(resample.count == 1)
    let pairs = try share(machine, count: 1)
    pairs[0].0.fire()
    try machine.load(2, at: 0)
    #expect(resample.count == 2 && pairs[0].1.count == 1)
    try machine.rig.untie(2, nil, resample: resample)
    pairs[0].0.fire()
    try machine.load(2, at: 0)
    #expect(resample.count == 2 && pairs[0].1.count == 2)
    #expect(machine.rig.injected.irqfds == 1)
  }

  @Test("The same resamplefd may be told for several, once each")
  func oneResample() throws {
    let machine = try IRQFDTests.machine()
    let resample = FakeEvent(5)
    for number: UInt64 in 1...2 {
      try machine.rig.irqfd(2, FakeEvent(number), resample: resample)
    }
    #expect(machine.rig.injected.irqfds == 2)
    try machine.rig.setLine(2, 1)
    try machine.rig.setLine(2, 0)
    try machine.load(2, at: 0)
    #expect(resample.count == 2)
  }

  @Test("With KVM_IRQ_LINE, the line is high until both have let go")
  func withLine() throws {
    let machine = try IRQFDTests.machine()
    let pairs = try share(machine, count: 1)
    pairs[0].0.fire()
    try machine.rig.setLine(2, 1)
    #expect(machine.queued(0).count == 1)
    // The irqfd lets go; the other still holds it, so that it fires again.
    #expect(try machine.load(2, at: 0) == 1)
    #expect(pairs[0].1.count == 1 && machine.queued(0).count == 2)
    #expect(try machine.rig.record(2).flags & 0x48 == 8)
    pairs[0].0.fire()
    try machine.rig.setLine(2, 0)
    #expect(try machine.rig.record(2).flags & 0x48 == 0x40)
    #expect(machine.rig.state(2).isLineHigh)
    #expect(try machine.load(2, at: 0) == 0)
    #expect(pairs[0].1.count == 2 && !machine.rig.state(2).isLineHigh)
    #expect(machine.queued(0).count == 2)
  }

  @Test("RESET switches the source off; it stays an LSI while its line is shared")
  func reset() throws {
    let rig = Rig()
    rig.create(2, isLSI: true)
    let (event, resample) = (FakeEvent(1), FakeEvent(2))
    try rig.irqfd(2, event, resample: resample)
    try rig.set(UInt32(KVM_DEV_XIVE_GRP_CTRL), UInt64(KVM_DEV_XIVE_RESET), UInt64(0))
    #expect(rig.state(2).isLSI && rig.pq(2) == .off)
    rig.setPQ(2, .reset)
    event.fire()
    #expect(rig.pq(2) == .pending)
    rig.device.perform(.endOfInterrupt, on: LISN(rawValue: 2))
    #expect(resample.count == 1)
    try rig.untie(2, event, resample: resample)
    try rig.set(UInt32(KVM_DEV_XIVE_GRP_CTRL), UInt64(KVM_DEV_XIVE_RESET), UInt64(0))
    #expect(!rig.state(2).isLSI)
  }
}
