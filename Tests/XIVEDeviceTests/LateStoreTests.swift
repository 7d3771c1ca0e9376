import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Stores to old pages that arrive late, and events on their way out")
struct LateStoreTests {
  /// A kernel whose consumer has stored to a page, which has not been written back.
  private func stored(_ rig: Rig, _ value: UInt64, at offset: Int, _ page: UInt64) -> FakeKernel {
    let kernel = FakeKernel(rig)
    _ = kernel.touch(page)
    kernel.store(value, slot: offset / 8, page)
    return kernel
  }

  /// Source 1 mapped to interrupt 2, and a store to its management page.
  private func mapped(storing value: UInt64, at offset: Int) throws -> (Rig, FakeKernel, UInt64) {
    let rig = try Rig.withPHB()
    try rig.map(1, to: 2)
    let page = rig.offset(1, .management)
    return (rig, stored(rig, value, at: offset, page), page)
  }

  /// When the kernel writes an old page back by itself.
  enum Moment: CaseIterable { case afterMap, afterUnmap, inZap }

  @Test(
    "A trigger of an old page comes once, though the map is undone before it is complete",
    arguments: Moment.allCases, [PQ.reset, .pending])
  func undoneMap(moment: Moment, pq: PQ) throws {
    let rig = try Rig.withPHB()
    rig.setPQ(1, pq)
    let page = rig.offset(1, .trigger)
    let kernel = stored(rig, 0, at: 0, page)
    let events = rig.counters.events
    let map = try rig.device.map(Rig.run(1, 2))
    if moment == .afterMap { kernel.writeBack(page) }
    let unmap = try rig.device.unmap(Rig.run(1, 2))
    if moment == .afterUnmap { kernel.writeBack(page) }
    kernel.carryOut(map)
    kernel.carryOut(unmap)
    try rig.takeAll(1)
    #expect(rig.counters.events == events + 1)
  }

  @Test("Unmapping a part of a run that is not complete loses no trigger of the rest")
  func partlyUndoneMap() throws {
    let rig = try Rig.withPHB()
    rig.setPQ(2, .reset)
    let page = rig.offset(2, .trigger)
    let kernel = stored(rig, 0, at: 0, page)
    let events = rig.counters.events
    let map = try rig.device.map(Rig.run(1, 1, count: 2))
    let unmap = try rig.device.unmap(Rig.run(1, 1))
    kernel.carryOut(map)
    kernel.carryOut(unmap)
    try rig.takeAll(2)
    #expect(rig.counters.events == events + 1)
  }

  @Test("An event on its way out of an interrupt is waited for before that serves a source")
  func eventUnderWay() throws {
    let rig = try Rig.withPHB()
    try rig.setHardwarePQ(2, .reset)
    let phb = try #require(rig.device.phbs[Rig.phb(0)])
    let cell = rig.device.gate.enter(stripe: 2)
    #expect(phb.cells.perform(.trigger, on: Rig.irq(2)).forwards)
    let servesEarly = Atomic<Bool>(false)
    Threads.run(2) { thread in
      if thread == 0 {
        while rig.hardwarePQ(2) != .queued { Threads.yield() }
        let seen = Threads.sees { phb.lisn(servedBy: Rig.irq(2)) != nil }
        servesEarly.store(seen, ordering: .sequentiallyConsistent)
        rig.device.gate.leave(cell)
      } else {
        _ = try? rig.map(1, to: 2)
      }
    }
    let isEarly = servesEarly.load(ordering: .sequentiallyConsistent)
    #expect(!isEarly)
    #expect(phb.lisn(servedBy: Rig.irq(2))?.rawValue == 1)
  }

  @Test("An image of an earlier backing that arrives after the answer does nothing")
  func imageOfBefore() throws {
    let rig = try Rig.withPHB()
    let page = rig.offset(1, .management)
    var image = try rig.image(page)
    image.setSlot(0xc00 / 8, 0)
    try rig.map(1, to: 2)
    let errors = rig.counters.guestErrors
    rig.writeBack(image, at: page)
    #expect(rig.hardwarePQ(2) == .pending)
    #expect(rig.counters.guestErrors == errors + 1)
    #expect(rig.counters.mappedStores == 0)
  }

  @Test("A store over the generation of a page of now is a store, whatever it looks like")
  func storeOverGeneration() throws {
    let rig = try Rig.withPHB()
    try rig.map(1, to: 2)
    let page = rig.offset(1, .management)
    var image = try rig.image(page)
    image.setSlot(0xfe0 / 8, 1)
    rig.writeBack(image, at: page)
    #expect(rig.hardwarePQ(2) == .queued, "SET_PQ 11")
  }

  @Test("A store to an old page of an interrupt that serves another source by now is dropped")
  func reassigned() throws {
    let (rig, kernel, _) = try mapped(storing: 0, at: 0xc00)
    let unmap = try rig.device.unmap(Rig.run(1, 2))
    let map = try rig.device.map(Rig.run(3, 2))
    kernel.carryOut(unmap)
    kernel.carryOut(map)
    #expect(rig.hardwarePQ(2) == .pending)
  }

  @Test("What a store left in a removed PHB's page is not put back into the page of now")
  func putBackAfterRemoval() throws {
    let (rig, kernel, page) = try mapped(storing: 9, at: 0xfd0)
    let unmap = try rig.device.unmap(Rig.run(1, 2))
    let removal = try rig.device.removePHB(Rig.phb(0))
    for range in removal.ranges { kernel.drop(range) }
    removal.completion()
    // Touched before anything is put back.
    _ = kernel.touch(page)
    kernel.takeUpdates()
    let seen = PageSignature(image: kernel.load(page))
    #expect(seen == (try rig.signature(page)))
    kernel.carryOut(unmap)
  }
}
