import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Putting stored slots back")
struct PuttingBackTests {
  @Test("Exactly the stored slots get exactly the served bytes", arguments: ESBHalf.allCases)
  func exactly(half: ESBHalf) throws {
    for slot in allSlots where half == .trigger || !pqSlots.contains(slot) {
      let rig = Rig()
      var page = try MappedPage(rig, rig.offset(1, half))
      let served = page.bytes
      page.storeAndWriteBack(0x55, slot: slot)
      let restored = rig.updates().filter { $0.bytes.count == 8 }
      let bytes = Array(served[slot * 8..<slot * 8 + 8])
      #expect(restored == [Update(offset: page.offset + UInt64(slot) * 8, bytes: bytes)])
      #expect(rig.updates().isEmpty)
    }
  }

  @Test("Nothing was stored: nothing is put back, be the page dirty or not")
  func nothing() throws {
    let rig = Rig()
    let page = try rig.managementPage()
    page.writeBack()
    #expect(rig.counters.mappedStores == 0)
    #expect(rig.updates() == [.pq(.off, at: page.offset)])
  }

  @Test("The host is woken for what has to be put back")
  func wakeUp() throws {
    let rig = Rig()
    var page = try MappedPage(rig, rig.offset(1, .trigger))
    page.storeAndWriteBack(0, slot: 0)
    #expect(rig.host.wakeUps > 0)
  }

  @Test("A slot that was not yet put back is not counted again")
  func leftover() throws {
    let rig = Rig()
    rig.setPQ(1, .reset)
    var page = try rig.managementPage()
    page.storeAndWriteBack(1, slot: 0)
    // The next store goes elsewhere, before the first has been put back: not one more trigger.
    page.storeAndWriteBack(1, slot: 0xc00 / 8)
    #expect(rig.pq(1) == .reset)
    #expect(rig.counters.events == 1)
    #expect(rig.counters.mappedStores == 2)
    page.deliverAll()
    #expect(page.bytes == (try rig.image(page.offset)))
  }

  @Test("Another value in a slot that was not yet put back is another store")
  func otherValue() throws {
    let rig = Rig()
    rig.setPQ(1, .reset)
    var page = try rig.managementPage()
    page.storeAndWriteBack(1, slot: 0)
    page.storeAndWriteBack(2, slot: 0)
    #expect(rig.pq(1) == .queued)
    #expect(rig.counters.mappedStores == 2)
  }

  @Test(
    "The same store again and again is as many stores", arguments: [false, true],
    [0, 0xf00 / 8, 511])
  func repetition(isPutBack: Bool, slot: Int) throws {
    let rig = Rig()
    var page = try rig.managementPage()
    for count in 1...UInt64(5) {
      page.storeAndWriteBack(5, slot: slot)
      #expect(rig.counters.mappedStores == count)
      if isPutBack { page.deliverAll() }
    }
  }

  @Test("An image without a difference repeats the last store")
  func lastStore() throws {
    let rig = Rig()
    rig.setPQ(1, .reset)
    var page = try rig.managementPage()
    page.storeAndWriteBack(0, slot: 5)
    page.deliverAll()
    page.writeBack()
    #expect(rig.pq(1) == .queued)
    page.storeAndWriteBack(0, slot: 0xd00 / 8)
    page.deliverAll()
    rig.setPQ(1, .reset)
    page.deliverAll()
    page.writeBack()
    #expect(rig.pq(1) == .off)
    #expect(rig.counters.mappedStores == 4)
  }

  @Test("An image without a difference repeats nothing where two slots can be meant")
  func twoLastStores() throws {
    let rig = Rig()
    rig.setPQ(1, .reset)
    var page = try rig.managementPage()
    page.store(0, slot: 5)
    page.store(0, slot: 6)
    page.writeBack()
    #expect(rig.pq(1) == .queued)
    rig.setPQ(1, .reset)
    page.writeBack()
    page.deliverAll()
    page.writeBack()
    #expect(rig.pq(1) == .reset)
    #expect(rig.counters.mappedStores == 2)
  }

  @Test("A store to an older leftover does not become the newest store once more")
  func olderLeftover() throws {
    let rig = Rig()
    rig.setPQ(1, .reset)
    var page = try rig.managementPage()
    page.storeAndWriteBack(0, slot: 0xd00 / 8)
    page.storeAndWriteBack(0, slot: 0xc00 / 8)
    // Slot d00 still shows the value that is stored once more: SET_PQ_01 may coalesce, but never set 00.
    rig.setPQ(1, .queued)
    page.storeAndWriteBack(0, slot: 0xd00 / 8)
    #expect([.queued, .off].contains(rig.pq(1)))
    #expect(rig.counters.events == 0)
  }

  @Test("Stores of the served value cannot be seen, the write-back that they cause can")
  func servedValue() throws {
    let rig = Rig()
    rig.setPQ(1, .reset)
    var page = try rig.managementPage()
    page.storeAndWriteBack(.max, slot: 0)
    #expect(rig.pq(1) == .reset)
    page.storeAndWriteBack(1, slot: 0)
    page.deliverAll()
    page.storeAndWriteBack(.max, slot: 0)
    #expect(rig.pq(1) == .queued)
  }
}
