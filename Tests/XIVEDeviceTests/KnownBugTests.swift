import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// Bugs that others had with passthrough, numbered as in the project's list of them: that they are not here.
@Suite("Bugs that others had")
struct KnownBugTests {
  @Test(
    "6.1: what is dropped are the right source's pages in both windows, whatever a page's size",
    arguments: ESBGeometry.allCases)
  func zapOffset(geometry: ESBGeometry) throws {
    let rig = try Rig.withPHB(sources: 12, existing: 12, geometry: geometry)
    for change in [BackingChange.map, .unmap, .map, .removal] {
      let kernel = FakeKernel(rig)
      let sources = UInt32(0)..<12
      for source in sources {
        for page in rig.pages(of: source) {
          for part in [0, rig.map.pageByteCount - 4_096] { _ = kernel.touch(page + part) }
        }
      }
      let before = Set(kernel.folios.keys)
      let invalidation = try change.begin(rig)
      for range in invalidation.ranges { kernel.drop(range) }
      // Exactly those of source 1: not of source -1, as where the window's base was forgotten, nor a neighbour's.
      let gone = before.subtracting(kernel.folios.keys)
      let own = rig.pages(of: 1)
      let isRight = before.allSatisfy { page in
        gone.contains(page) == own.contains { ($0..<$0 + rig.map.pageByteCount).contains(page) }
      }
      #expect(isRight && !gone.isEmpty, "\(change)")
      invalidation.completion()
    }
  }

  @Test("6.2: a page of a source that was never created is no page, mapped neighbours or not")
  func invalidSource() throws {
    let rig = try Rig.withPHB(existing: 4)
    try rig.map(3, to: 2)
    for page in rig.pages(of: 4) + rig.pages(of: 7) { #expect(!rig.resolves(page)) }
    #expect(try rig.get(rig.offset(4, .management)) == .max)
  }

  // The kernel refused to reset a queue because it checked flags first; of queues KnownAttributeBugTests tells. The same
  // mistake in the group that removes by zeros: a PHB's removal must not be refused as a PHB without interrupts.
  @Test("6.3: zeros remove a PHB, whatever else would be checked of one that is added")
  func zerosRemove() throws {
    let rig = try Rig.withPHB()
    for route in PayloadRoute.allCases {
      try rig.set(0x40, 0, [0, 0, 0, 0], route)
      #expect(rig.device.phb(Rig.phb(0)) == nil)
      try rig.addPHB()
    }
  }

  // The kernel cleared the host's interrupt when the virtual machine went. Here host and guest each have their
  // own state: that of the PHB's interrupt survives everything that happens to sources.
  @Test("6.4: what becomes of sources leaves a PHB's interrupts to the host")
  func hostKeepsInterrupt() throws {
    let rig = try Rig.withPHB()
    try rig.setHardwarePQ(3, .reset)
    let untouched = rig.hardwareState(3)
    try rig.map(1, to: 2)
    rig.create(1)
    rig.create(1, isLSI: true, isAsserted: true)
    #expect(rig.hardwareState(2)?.isLSI == false && rig.hardwarePQ(2) == .pending)
    try rig.unmap(1, from: 2)
    #expect(rig.hardwarePQ(2) == .reset && rig.hardwareState(3) == untouched)
    try rig.hardware(.trigger, 2)
    #expect(rig.hostEvents == 1)
  }

  // The kernel freed the device while it was in use. Here a PHB's memory lives until nobody can be in it.
  @Test("6.5: a PHB's memory outlives every access that found it, and goes then")
  func useAfterFree() throws {
    let rig = try Rig.withPHB()
    weak var memory: PHB?
    do {
      let phb = try #require(rig.device.phbs[Rig.phb(0)])
      memory = phb
    }
    #expect(memory != nil)
    let removal = Mutex<Invalidation?>(try rig.device.removePHB(Rig.phb(0)))
    let isDone = Atomic<Bool>(false)
    let endedEarly = Atomic<Bool>(false)
    let cell = rig.device.gate.enter(stripe: 4)
    Threads.run(2) { thread in
      if thread == 0 {
        let seen = Threads.sees { isDone.load(ordering: .sequentiallyConsistent) }
        endedEarly.store(seen, ordering: .sequentiallyConsistent)
        rig.device.gate.leave(cell)
      } else {
        removal.withLock { removal in
          removal?.completion()
          removal = nil
        }
        isDone.store(true, ordering: .sequentiallyConsistent)
      }
    }
    let isEarly = endedEarly.load(ordering: .sequentiallyConsistent)
    #expect(!isEarly, "while somebody is inside")
    #expect(memory == nil)
    #expect(throws: Never.self) { try rig.addPHB() }
  }

  // Software took the all ones of a fenced PHB for P=1. They are what a fenced page gives, and nothing else does.
  @Test(
    "6.14: a fenced page gives all ones, which is no state of PQ; no other page gives them for PQ")
  func fencedIsNoState() throws {
    let rig = try Rig.withPHB()
    try rig.map(1, to: 2)
    for pq in PQ.allCases {
      try rig.setHardwarePQ(2, pq)
      #expect(try rig.get(rig.offset(1, .management)) == UInt64(pq.rawValue))
      try rig.hardware(.fence, 0)
      #expect(try rig.get(rig.offset(1, .management)) == .max)
      #expect(try rig.image(rig.offset(1, .management)).slot(0x100) == .max)
      try rig.hardware(.unfence, 0)
    }
  }

  // A scan for leaks read every mapping byte by byte and crashed the host. Here a mapping is memory: reading it is
  // a fill, without effect; and an exact access of another size is refused without effect.
  @Test("6.16: reading every byte of every page, mapped or exactly, changes nothing")
  func scan() throws {
    let rig = try Rig.withPHB()
    try rig.map(1, to: 2)
    try rig.map(2, to: 4)
    try rig.setHardwarePQ(2, .queued)
    let before = (rig.states, (0..<6).map { rig.hardwareState($0) })
    for page in (1...2).flatMap({ rig.pages(of: $0) }) + (0..<6).map({ rig.ownPage($0) }) {
      _ = try? rig.image(page)
      for (offset, size) in [(0, 1), (0x7ff, 1), (0xc01, 1), (0xd00, 2), (0xe00, 4), (0xf00, 16)] {
        rig.expectNothing(.invalid) { () throws(DeviceError) in
          try rig.load(page + UInt64(offset), byteCount: size)
        }
      }
    }
    #expect(rig.states == before.0 && (0..<6).map { rig.hardwareState($0) } == before.1)
  }

  // The hardware stopped at a speculative access to the page of an interrupt that was freed. Here such an access
  // finds no page; nothing else follows.
  @Test("6.28: an access to what was freed gives all ones, is dropped and counted")
  func freed() throws {
    let rig = try Rig.withPHB()
    let page = rig.ownPage(2)
    try rig.removePHB()
    let states = rig.states
    #expect(!rig.resolves(page))
    #expect(try rig.load(page) == .max)
    try rig.store(page)
    rig.writeBack(.init(repeating: 0, count: 4_096), at: page)
    #expect(rig.counters.guestErrors == 3)
    #expect(rig.states == states && rig.updates().isEmpty)
  }

  // QEMU left the source of an unplugged device as it was, until somebody claimed its number again.
  @Test("6.32: after unplugging nothing of the old device is left in its sources' numbers")
  func leftovers() throws {
    let rig = try Rig.withPHB()
    try rig.addPHB(1, msis: 2, lsis: 0)
    try rig.map(1, to: 2)
    try rig.hardware(.trigger, 2)
    try rig.removePHB()
    #expect(rig.backing(1) == .ipi && rig.pq(1) == .pending)
    try rig.map(1, to: 0, phb: 1)
    #expect(rig.hardwarePQ(0, phb: 1) == .pending && rig.pq(1) == .off)
    #expect(try rig.takeAll(1) == 0)
    #expect(rig.counters.events == 0)
  }

  // Six mistakes of the kernel's device, each with a test that bears the number: the race in PassthroughRaceTests, the
  // lost event number as P10, the mapping that was split as M13 in ContractMappingTests, the private mapping as M10 in
  // MappingTests of the client; there are no queues to count yet. What is left:
  @Test("6.34: a refused unmapping keeps no lock, and the next request works")
  func noLockKept() throws {
    let rig = try Rig.withPHB()
    try rig.map(1, to: 2)
    for _ in 0..<3 {
      #expect(throws: DeviceError.notFound) { try rig.unmap(1, from: 3) }
      #expect(throws: DeviceError.notFound) { try rig.unmap(2, from: 2, count: 2) }
      #expect(throws: DeviceError.invalid) { try rig.map(1, to: 0) }
      #expect(throws: DeviceError.exists) { try rig.addPHB() }
      #expect(throws: DeviceError.notFound) { try rig.removePHB(5) }
    }
    try rig.unmap(1, from: 2)
    try rig.map(1, to: 3)
    try rig.removePHB()
  }
}
