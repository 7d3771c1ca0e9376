import CXIVE
import Glibc
import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// Writes down what leaves the sources.
final class RecordingRouter: EventRouter {
  private let seen = Mutex<[LISN]>([])

  func forward(_ lisn: LISN) { seen.withLock { $0.append(lisn) } }

  /// The sources of the events since the last look.
  func take() -> [UInt32] {
    seen.withLock { seen in
      defer { seen = [] }
      return seen.map(\.rawValue)
    }
  }
}

/// What passthrough must do, numbered P1 to P15; P7, P8 and P13 are the suite of stress tests.
@Suite("Passthrough: what a guest and a host may rely on")
struct PassthroughTests {
  private static let pages: [ESBGeometry] = [.two4K, .two64K]

  /// What a change drops: the pages of a run in both windows.
  private func ranges(_ rig: Rig, _ run: Range<UInt32>) -> [Range<UInt64>] {
    ESBWindow.allCases.map { window in
      let end = rig.offset(run.upperBound - 1, .management, window) + rig.map.pageByteCount
      return rig.offset(run.lowerBound, .trigger, window)..<end
    }
  }

  @Test(
    "P1: mapping drops exactly pages 4+2L and 5+2L; both then are the device's", arguments: pages)
  func p1(geometry: ESBGeometry) throws {
    for (pq, expected) in [
      (PQ.reset, PQ.pending), (.off, .pending), (.pending, .queued), (.queued, .queued),
    ] {
      let rig = try Rig.withPHB(geometry: geometry)
      let size = rig.map.pageByteCount
      try rig.setHardwarePQ(2, pq)
      let invalidation = try rig.device.map(Rig.run(3, 2))
      #expect(invalidation.ranges == ranges(rig, 3..<4))
      #expect(invalidation.ranges[0] == (4 + 2 * 3) * size..<(6 + 2 * 3) * size)
      #expect(invalidation.prefault.isEmpty)
      invalidation.completion()
      for page in rig.pages(of: 3) {
        let image = try rig.image(page)
        #expect(rig.shows(image, of: 3, at: page, .phb(Rig.phb(0), Rig.irq(2))))
        #expect(image.slot(0x800 / 8) == UInt64(expected.rawValue))
        #expect(try rig.get(page) == UInt64(expected.rawValue))
      }
      #expect(rig.pq(3) == .off)
      #expect(rig.hardwarePQ(2) == expected)
      #expect(rig.generation(3) == 2)
    }
  }

  @Test("P1: a level interrupt's even page is a hole", arguments: pages)
  func p1Level(geometry: ESBGeometry) throws {
    let rig = try Rig.withPHB(geometry: geometry)
    try rig.map(3, to: 4)
    for (page, exists) in zip(rig.pages(of: 3), [false, true, false, true]) {
      #expect(rig.resolves(page) == exists)
      #expect(try rig.get(page) == (exists ? 2 : .max))
    }
  }

  @Test("P1: a run is one range a window, and every source gets its own interrupt")
  func p1Run() throws {
    let rig = try Rig.withPHB(sources: 80, existing: 80, msis: 70)
    let invalidation = try rig.device.map(Rig.run(5, 3, count: 64), prefault: true)
    #expect(invalidation.ranges == ranges(rig, 5..<69))
    #expect(invalidation.prefault == invalidation.ranges)
    invalidation.completion()
    for source in UInt32(0)..<80 {
      let isMapped = (5..<69).contains(source)
      let backing = Backing.phb(Rig.phb(0), Rig.irq(UInt16(truncatingIfNeeded: source) &- 2))
      #expect(rig.backing(source) == (isMapped ? backing : .ipi))
    }
    #expect(rig.device.phb(Rig.phb(0))?.mappedCount == 64)
    #expect(rig.device.counters.zaps.value == 2)
  }

  @Test("P2: unmapping drops the same pages; the source's own are back, pending", arguments: pages)
  func p2(geometry: ESBGeometry) throws {
    let rig = try Rig.withPHB(geometry: geometry)
    try rig.map(3, to: 2)
    let invalidation = try rig.device.unmap(Rig.run(3, 2))
    #expect(invalidation.ranges == ranges(rig, 3..<4))
    invalidation.completion()
    for page in rig.pages(of: 3) {
      #expect(rig.shows(try rig.image(page), of: 3, at: page, .ipi))
    }
    #expect(rig.pq(3) == .pending && rig.generation(3) == 3)
    #expect(try rig.get(rig.offset(3, .management)) == 2)
    try rig.store(rig.offset(3, .trigger))
    #expect(try rig.get(rig.offset(3, .management)) == 3)
    #expect(rig.counters.events == 0)
    #expect(try rig.endOfInterrupt(rig.offset(3, .management)) == 1)
    #expect(rig.counters.events == 1)
  }

  @Test("P3: mapping a source that was never created is EINVAL")
  func p3() throws {
    let rig = try Rig.withPHB()
    rig.expectNothing(.invalid) { () throws(DeviceError) in
      _ = try rig.device.map(Rig.run(4, 0))
    }
    rig.expectNothing(.invalid) { () throws(DeviceError) in
      _ = try rig.device.map(Rig.run(3, 0, count: 2))
    }
  }

  @Test("P4: mapping a source or an interrupt twice is EINVAL, also before the first is answered")
  func p4() throws {
    let rig = try Rig.withPHB()
    let first = try rig.device.map(Rig.run(1, 2))
    for isAnswered in [false, true] {
      if isAnswered { first.completion() }
      for (source, irq) in [(1, 2), (1, 3), (2, 2)] as [(UInt32, UInt16)] {
        rig.expectNothing(.invalid) { () throws(DeviceError) in
          _ = try rig.device.map(Rig.run(source, irq))
        }
      }
    }
  }

  // The kernel has room for 1,024 mapped interrupts of a machine and answers EAGAIN.
  @Test("P5, differs: more than 1,024 mapped interrupts work")
  func p5() throws {
    let count: UInt32 = 1_100
    let rig = try Rig.withPHB(sources: count, existing: count, msis: count)
    try rig.map(0, to: 0, count: 1_024)
    try rig.map(1_024, to: 1_024)
    try rig.map(1_025, to: 1_025, count: 75)
    #expect(rig.device.phb(Rig.phb(0))?.mappedCount == 1_100)
    try rig.store(rig.offset(1_024, .management))
    #expect(rig.hardwarePQ(1_024) == .queued)
  }

  // The kernel answers ENODEV; here an interrupt that is not mapped is ENOENT as everything that is not there.
  @Test("As many PHBs as there are places, each of its own size, with one interrupt mapped")
  func allPHBs() throws {
    let count = UInt16(PHBIndex.maximumCount)
    let rig = Rig(sources: UInt32(count), existing: UInt32(count))
    for index in 0..<count {
      let lsis = UInt32(index) % 3
      try rig.addPHB(index, msis: UInt32(index) % 64 + 1, lsis: lsis)
      try rig.map(UInt32(index), to: UInt16(index % 64) + UInt16(lsis), phb: index)
    }
    for index in 0..<count {
      let lisn = UInt32(index)
      let signature = try rig.signature(rig.offset(lisn, .management))
      #expect(signature?.phb == lisn)
      let page = rig.ownPage(0, phb: index)
      let pages = UInt64(lisn % 64 + 1 + lisn % 3)
      #expect(rig.device.segment(endingAfter: page) == page..<page + pages * 4_096)
    }
    for index in 0..<count { try rig.removePHB(index) }
    #expect((0..<UInt32(count)).allSatisfy { rig.backing($0) == .ipi })
    #expect(rig.device.segment(endingAfter: rig.ownPage(0, phb: 0)) == nil)
  }

  @Test("P6, differs: unmapping what is not mapped is ENOENT")
  func p6() throws {
    let rig = try Rig.withPHB()
    rig.expectNothing(.notFound) { () throws(DeviceError) in
      _ = try rig.device.unmap(Rig.run(1, 2))
    }
    try rig.map(1, to: 2)
    try rig.unmap(1, from: 2)
    rig.expectNothing(.notFound) { () throws(DeviceError) in
      _ = try rig.device.unmap(Rig.run(1, 2))
    }
  }

  @Test("P9: an interrupt that is pending at mapping comes after the guest's EOI, exactly once")
  func p9Map() throws {
    let router = RecordingRouter()
    let rig = try Rig.withPHB(watcher: router)
    try rig.setHardwarePQ(2, .reset)
    try rig.hardware(.trigger, 2)
    #expect(rig.hostEvents == 1)
    try rig.map(1, to: 2)
    #expect(router.take().isEmpty)
    let page = rig.offset(1, .management)
    #expect(try rig.endOfInterrupt(page) == 1)
    #expect(router.take() == [1])
    #expect(try rig.endOfInterrupt(page) == 0)
    #expect(router.take().isEmpty && rig.hostEvents == 1)
  }

  @Test("P9: an event that is queued in the source moves with it, exactly once")
  func p9Source() throws {
    let router = RecordingRouter()
    let rig = try Rig.withPHB(watcher: router)
    rig.setPQ(1, .queued)
    try rig.map(1, to: 2)
    #expect(rig.hardwarePQ(2) == .queued && rig.pq(1) == .off)
    #expect(try rig.takeAll(1) == 1)
    #expect(router.take() == [1])
  }

  @Test("P9: an interrupt that is queued at unmapping goes to the host, exactly once")
  func p9Unmap() throws {
    let router = RecordingRouter()
    let rig = try Rig.withPHB(watcher: router)
    try rig.map(1, to: 2)
    try rig.hardware(.trigger, 2)
    #expect(rig.hardwarePQ(2) == .queued)
    try rig.unmap(1, from: 2)
    #expect(rig.hostEvents == 1 && router.take().isEmpty)
    #expect(try rig.takeAll(1) == 0)
    // The host takes it, as it takes every interrupt of its own.
    #expect(rig.hardwarePQ(2) == .pending)
    #expect(try rig.endOfInterrupt(rig.ownPage(2)) == 0)
    #expect(rig.hostEvents == 1 && router.take().isEmpty)
    try rig.hardware(.trigger, 2)
    #expect(rig.hostEvents == 2 && router.take().isEmpty)
  }

  @Test("P9: an interrupt that the guest has handled leaves nothing behind for the host")
  func p9Quiet() throws {
    let rig = try Rig.withPHB()
    try rig.map(1, to: 2)
    try rig.takeAll(1)
    try rig.unmap(1, from: 2)
    #expect(rig.hostEvents == 0 && rig.hardwarePQ(2) == .reset)
  }

  @Test("P9: a level interrupt that is held passes from the host to the guest and back")
  func p9Level() throws {
    let router = RecordingRouter()
    let rig = try Rig.withPHB(watcher: router)
    try rig.setHardwarePQ(4, .reset)
    try rig.hardware(.assert, 4)
    #expect(rig.hostEvents == 1)
    try rig.map(1, to: 4)
    #expect(try rig.endOfInterrupt(rig.offset(1, .management)) == 1)
    #expect(router.take() == [1])
    // Still held: it fires again at each EOI.
    #expect(try rig.endOfInterrupt(rig.offset(1, .management)) == 1)
    #expect(router.take() == [1])
    try rig.unmap(1, from: 4)
    #expect(rig.hostEvents == 2 && router.take().isEmpty)
    try rig.hardware(.deassert, 4)
    try rig.endOfInterrupt(rig.ownPage(4))
    #expect(rig.hardwarePQ(4) == .reset && rig.hostEvents == 2)
  }

  // The kernel programs the LISN as the event's data on each map and unmap, and so loses what the guest had
  // configured. Here neither touches the routing: the router is given the guest's source, which is its only key.
  @Test("P10, 6.34, differs: mapping and unmapping never change whose event the router is given")
  func p10() throws {
    let router = RecordingRouter()
    let rig = try Rig.withPHB(watcher: router)
    for round in 0..<3 {
      rig.setPQ(1, .reset)
      try rig.store(rig.offset(1, .trigger))
      #expect(router.take() == [1], "round \(round)")
      // Another interrupt each time: its number must not shine through.
      let irq = UInt16(round)
      try rig.map(1, to: irq)
      try rig.takeAll(1)
      try rig.hardware(.trigger, irq)
      #expect(router.take() == [1], "round \(round)")
      try rig.takeAll(1)
      try rig.store(rig.offset(1, .trigger))
      #expect(router.take() == [1], "round \(round)")
      try rig.takeAll(1)
      try rig.unmap(1, from: irq)
    }
    #expect(rig.hostEvents == 0)
  }

  @Test("P11: while it is mapped a source's own interrupt is off; what is injected is dropped")
  func p11() throws {
    let rig = try Rig.withPHB()
    rig.setPQ(1, .reset)
    try rig.map(1, to: 2)
    // What KVM_IRQ_LINE and irqfd do to the source itself.
    rig.device.perform(.trigger, on: LISN(rawValue: 1))
    #expect(rig.pq(1) == .off && rig.counters.events == 0)
    #expect(rig.hardwarePQ(2) == .pending)
    try rig.unmap(1, from: 2)
    rig.device.perform(.trigger, on: LISN(rawValue: 1))
    #expect(rig.pq(1) == .queued)
    #expect(try rig.takeAll(1) == 1)
  }

  @Test("P11: creating a mapped source again masks its own interrupt and leaves it mapped")
  func p11Create() throws {
    let rig = try Rig.withPHB()
    try rig.map(1, to: 2)
    rig.create(1)
    #expect(rig.backing(1) == .phb(Rig.phb(0), Rig.irq(2)) && rig.pq(1) == .off)
    #expect(rig.generation(1) == 2)
  }

  // The kernel answers ENODEV to the unmapping; here the PHB is not there: ENOENT.
  @Test("P12, differs: a device that goes while it is mapped; unmapping afterwards is ENOENT")
  func p12() throws {
    let rig = try Rig.withPHB()
    try rig.map(1, to: 2)
    try rig.map(3, to: 0)
    let invalidation = try rig.device.removePHB(Rig.phb(0))
    let own = rig.ownPage(0)..<rig.ownPage(0) + 6 * 4_096
    let expected = [1..<2, 3..<4].map { ranges(rig, $0) }
    #expect(Set(invalidation.ranges) == Set(expected.flatMap { $0 } + [own]))
    // Its own pages are holes at once; its place is taken until everybody has let go.
    #expect(!rig.resolves(rig.ownPage(2)))
    rig.expectNothing(.exists) { () throws(DeviceError) in try rig.addPHB() }
    rig.expectNothing(.notFound) { () throws(DeviceError) in
      _ = try rig.device.removePHB(Rig.phb(0))
    }
    invalidation.completion()
    for source: UInt32 in [1, 3] {
      #expect(rig.backing(source) == .ipi && rig.pq(source) == .pending)
    }
    rig.expectNothing(.notFound) { () throws(DeviceError) in
      _ = try rig.device.unmap(Rig.run(1, 2))
    }
    // The same numbers, another device.
    try rig.addPHB(msis: 1, lsis: 0)
    #expect(try rig.signature(rig.ownPage(0))?.generation == 2)
    #expect(!rig.resolves(rig.ownPage(1)))
    try rig.map(1, to: 0)
    #expect(try rig.signature(rig.offset(1, .trigger))?.generation == 4)
  }

  @Test(
    "P14: without any mapping a change is named all the same, and does no harm", arguments: pages)
  func p14(geometry: ESBGeometry) throws {
    let rig = try Rig.withPHB(geometry: geometry)
    let map = try rig.map(1, to: 2)
    #expect(map.ranges == ranges(rig, 1..<2))
    let kernel = FakeKernel(rig)
    kernel.carryOut(try rig.device.unmap(Rig.run(1, 2)))
    kernel.carryOut(try rig.device.map(Rig.run(1, 2)))
    kernel.carryOut(try rig.device.removePHB(Rig.phb(0)))
    #expect(rig.updates().isEmpty && rig.changesUnderWay == 0)
    #expect(kernel.folios.isEmpty)
  }

  @Test("P15: afterwards neither watch table nor ledger knows a page of before")
  func p15() throws {
    let rig = try Rig.withPHB()
    let kernel = FakeKernel(rig)
    for change in [BackingChange.map, .unmap, .map, .removal] {
      let pages = rig.pages(of: 1) + (0..<4).map { rig.ownPage($0) }
      for page in pages where kernel.touch(page) != nil {
        kernel.store(1, slot: 0xc00 / 8, page)
        kernel.store(1, slot: 0xfc0 / 8, page)
      }
      kernel.synchronize()
      #expect(rig.device.watched.isWatched(1))
      #expect(rig.device.ledger.pageCount > 0)
      let invalidation = try change.begin(rig)
      kernel.carryOut(invalidation)
      #expect(!rig.device.watched.isWatched(1), "\(change)")
      let own = change == .removal ? 0 : 4
      #expect(rig.device.ledger.pageCount == own, "\(change)")
      #expect(rig.pages(of: 1).allSatisfy { kernel.folios[$0] == nil }, "\(change)")
    }
    #expect(kernel.folios.isEmpty && rig.updates().isEmpty)
  }
}
