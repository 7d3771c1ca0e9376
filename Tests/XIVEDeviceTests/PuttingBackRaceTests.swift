import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// Stores that race with putting back the ones before them: they may coalesce, but are never lost for good,
/// performed once too often, or turned into something else.
@Suite("Stores that race with putting back")
struct PuttingBackRaceTests {
  /// What happens in the middle of a delivery, before or after the slot's bytes are in the mapping.
  private func deliver(
    _ page: inout MappedPage, before: (inout MappedPage) -> Void = { _ in },
    after: (inout MappedPage) -> Void = { _ in }
  ) {
    var isFirst = true
    page.rig.device.takeUpdates { update in
      if isFirst { before(&page) }
      page.deliver(Update(update))
      if isFirst { after(&page) }
      isFirst = false
    }
  }

  private func pageWithOneTrigger(storeEOI: Bool = false) throws -> MappedPage {
    let rig = Rig()
    rig.setPQ(1, .reset)
    var page = try rig.managementPage()
    page.storeAndWriteBack(1, slot: 0)
    return page
  }

  @Test(
    "A store that is overwritten before it was written back is repeated", arguments: [UInt64(1), 2])
  func overwritten(value: UInt64) throws {
    //  consumer            putting back
    //  store, write-back
    //  store again
    //                      slot 0 as served
    //  write-back
    var page = try pageWithOneTrigger()
    deliver(&page, before: { $0.store(value, slot: 0) })
    page.writeBack()
    #expect(page.rig.pq(1) == .queued)
    #expect(page.rig.counters.mappedStores == 2)
    expectQuiet(&page)
  }

  @Test("A store behind the delivery is written back as any other", arguments: [UInt64(1), 2])
  func behind(value: UInt64) throws {
    //  consumer            putting back
    //  store, write-back
    //                      slot 0 as served
    //  store again
    //                      done
    //  write-back
    var page = try pageWithOneTrigger()
    deliver(&page, after: { $0.store(value, slot: 0) })
    page.writeBack()
    #expect(page.rig.pq(1) == .queued)
    #expect(page.rig.counters.mappedStores == 2)
    expectQuiet(&page)
  }

  @Test(
    "A store that is written back before the delivery ends is put back too",
    arguments: [UInt64(1), 2])
  func writtenBackInside(value: UInt64) throws {
    //  consumer            putting back
    //  store, write-back
    //                      slot 0 as served
    //  store, write-back
    //                      done
    var page = try pageWithOneTrigger()
    deliver(&page, after: { $0.storeAndWriteBack(value, slot: 0) })
    #expect(page.rig.pq(1) == .queued)
    #expect(page.rig.counters.mappedStores == 2)
    expectQuiet(&page)
  }

  @Test("A store and its write-back in front of the delivery", arguments: [UInt64(1), 2])
  func writtenBackBefore(value: UInt64) throws {
    //  consumer            putting back
    //  store, write-back
    //                      looks what to put back
    //  store, write-back
    //                      slot 0 as served
    var page = try pageWithOneTrigger()
    deliver(&page, before: { $0.storeAndWriteBack(value, slot: 0) })
    #expect(page.rig.pq(1) == .queued)
    #expect(page.rig.counters.mappedStores == 2)
    expectQuiet(&page)
  }

  @Test("A store elsewhere does not bring back one that was just put back")
  func elsewhere() throws {
    //  consumer            putting back
    //  store 0, write-back
    //                      slot 0 as served
    //  store c00, write-back
    //                      done
    var page = try pageWithOneTrigger()
    deliver(&page, after: { $0.storeAndWriteBack(1, slot: 0xc00 / 8) })
    #expect(page.rig.pq(1) == .reset)
    #expect(page.rig.counters.mappedStores == 2)
    expectQuiet(&page)
  }

  @Test("An overwritten store does not become the store that came after its slot's last")
  func notAnother() throws {
    //  consumer            putting back
    //  store 0, write-back
    //  store c00, write-back
    //  store 0
    //                      slots 0 and c00 as served
    //  write-back
    var page = try pageWithOneTrigger()
    page.storeAndWriteBack(1, slot: 0xc00 / 8)
    page.store(1, slot: 0)
    page.deliverAll()
    page.rig.setPQ(1, .queued)
    page.deliverAll()
    page.writeBack()
    #expect(page.rig.pq(1) == .queued)
    #expect(page.rig.counters.mappedStores == 2)
    expectQuiet(&page)
  }

  /// Expects that the page ends up as served, and that a store elsewhere is one store.
  private func expectQuiet(
    _ page: inout MappedPage, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    while !page.deliverAll().isEmpty {}
    #expect(page.bytes == (try? page.rig.image(page.offset)), sourceLocation: sourceLocation)
    let stores = page.rig.counters.mappedStores
    page.storeAndWriteBack(3, slot: 0xe00 / 8)
    #expect(page.rig.counters.mappedStores == stores + 1, sourceLocation: sourceLocation)
    #expect(page.rig.pq(1) == .pending, sourceLocation: sourceLocation)
  }
}
