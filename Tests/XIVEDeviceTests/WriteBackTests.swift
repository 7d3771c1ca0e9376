import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// Slots of 8 bytes in a page.
let allSlots = 0..<512
/// The slots that show PQ.
let pqSlots = 0x800 / 8..<0xc00 / 8

@Suite("Write-back of stored-to pages")
struct WriteBackTests {
  private static let windows = ESBWindow.allCases

  @Test(
    "A store to any slot is the operation at its offset", arguments: PQ.allCases, [false, true])
  func everySlot(pq: PQ, storeEOI: Bool) throws {
    for slot in allSlots where !pqSlots.contains(slot) {
      let rig = Rig(storeEOI: storeEOI)
      rig.setPQ(1, pq)
      var page = try rig.managementPage()
      page.storeAndWriteBack(UInt64(slot), slot: slot)
      let expected = rig.expected(after: [slot], from: pq)
      #expect(rig.pq(1) == expected.pq, "slot \(slot)")
      #expect(rig.counters.events == expected.events, "slot \(slot)")
      #expect(rig.counters.mappedStores == 1)
      // StoreEOI that is not supported is dropped and counted.
      let isDropped = !storeEOI && (0x400..<0x800).contains(slot * 8)
      #expect(rig.counters.guestErrors == (isDropped ? 1 : 0), "slot \(slot)")
    }
  }

  @Test("A store to the signature sets PQ to 11", arguments: 504..<512, PQ.allCases)
  func signatureSlot(slot: Int, pq: PQ) throws {
    let rig = Rig()
    rig.setPQ(1, pq)
    var page = try rig.managementPage()
    page.storeAndWriteBack(0x1234, slot: slot)
    #expect(rig.pq(1) == .queued)
    #expect(rig.counters.events == 0)
  }

  @Test("Stores to two slots happen in ascending order", arguments: PQ.allCases)
  func pairs(pq: PQ) throws {
    let rig = Rig(storeEOI: true)
    var random = Seed.generator(stream: 70)
    let anchors = [0, 127, 128, 255, 384, 415, 416, 448, 480, 503, 504, 511]
    for first in anchors {
      for second in anchors + (0..<8).map({ _ in Int(random.next() % 512) })
      where second > first && !pqSlots.contains(second) {
        rig.setPQ(1, pq)
        let events = rig.counters.events
        var page = try rig.managementPage()
        page.deliverAll()
        // The order of the stores themselves is lost, so it must not matter.
        page.store(random.next() >> 1, slot: second)
        page.store(random.next() >> 1, slot: first)
        page.writeBack()
        let expected = rig.expected(after: [first, second], from: pq)
        #expect(rig.pq(1) == expected.pq, "slots \(first), \(second); \(Seed.comment)")
        #expect(rig.counters.events == events + expected.events)
        page.deliverAll()
      }
    }
  }

  @Test("All slots at once are performed in ascending order", arguments: PQ.allCases)
  func allAtOnce(pq: PQ) throws {
    let rig = Rig(storeEOI: true)
    rig.setPQ(1, pq)
    rig.writeBack([UInt8](repeating: 0x11, count: 4_096), at: rig.offset(1, .management))
    let slots = allSlots.filter { !pqSlots.contains($0) }
    let expected = rig.expected(after: slots, from: pq)
    #expect(rig.pq(1) == expected.pq)
    #expect(rig.counters.events == expected.events)
    #expect(rig.counters.mappedStores == UInt64(slots.count))
  }

  @Test("A store into the PQ window does nothing, and PQ is shown again", arguments: pqSlots)
  func pqWindow(slot: Int) throws {
    let rig = Rig()
    rig.setPQ(1, .pending)
    var page = try rig.managementPage()
    let served = page.bytes
    page.storeAndWriteBack(0xdead, slot: slot)
    #expect(rig.pq(1) == .pending)
    #expect(rig.counters.mappedStores == 0)
    #expect(rig.updates() == [.pq(.pending, at: page.offset)])
    page.deliver(.pq(.pending, at: page.offset))
    #expect(page.bytes == served)
  }

  @Test("A store into the PQ window is not the last store once more")
  func pqWindowAfterAStore() throws {
    for slot in pqSlots {
      let rig = Rig()
      rig.setPQ(1, .reset)
      var page = try rig.managementPage()
      page.storeAndWriteBack(0, slot: 0)
      page.deliverAll()
      page.storeAndWriteBack(0, slot: slot)
      #expect(rig.pq(1) == .pending, "slot \(slot)")
      #expect(rig.counters.mappedStores == 1, "slot \(slot)")
    }
  }

  @Test("Any write-back of a trigger page is one trigger", arguments: windows)
  func triggerPage(window: ESBWindow) throws {
    let rig = Rig()
    for slots in [[], [0], [511], [256], [3, 77, 300], Array(allSlots)] {
      rig.setPQ(1, .reset)
      let events = rig.counters.events
      let stores = rig.counters.mappedStores
      var page = try MappedPage(rig, rig.offset(1, .trigger, window))
      for slot in slots { page.store(7, slot: slot) }
      page.writeBack()
      #expect(rig.pq(1) == .pending)
      page.writeBack()
      #expect(rig.pq(1) == .queued)
      #expect(rig.counters.events == events + 1)
      #expect(rig.counters.mappedStores == stores + 2)
      page.deliverAll()
      #expect(page.bytes == (try rig.image(page.offset)))
    }
  }

  @Test("Both windows of a source are pages of their own")
  func windowsApart() throws {
    let rig = Rig()
    var pages = try Self.windows.map { try rig.managementPage($0) }
    // The same value to the same slot through both: two stores.
    rig.setPQ(1, .reset)
    for index in pages.indices { pages[index].storeAndWriteBack(0, slot: 0) }
    #expect(rig.pq(1) == .queued)
    #expect(rig.counters.mappedStores == 2)
  }

  @Test("The parts of a 64 KiB page are pages of their own", arguments: ESBHalf.allCases)
  func partsApart(half: ESBHalf) throws {
    let rig = Rig(geometry: .two64K)
    for part in UInt64(0)..<16 {
      rig.setPQ(1, .reset)
      var page = try MappedPage(rig, rig.offset(1, half) + part * 4_096)
      page.deliverAll()
      let served = page.bytes
      page.storeAndWriteBack(0, slot: 0)
      #expect(rig.pq(1) == .pending)
      #expect(rig.counters.mappedStores == part + 1)
      page.deliverAll()
      page.deliver(.pq(.reset, at: page.offset))
      #expect(page.bytes.prefix(2_048) == served.prefix(2_048))
    }
  }

  @Test("What is no page of a source changes nothing and counts as an error")
  func otherPages() {
    let rig = Rig(geometry: .one4K)
    let image = [UInt8](repeating: 0, count: 4_096)
    let pages: [UInt64] = [
      0, 4_096, rig.offset(1, .trigger), rig.offset(7, .management), rig.offset(8, .management),
      2 << 40, 3 << 40, 16 << 40, 0x1000 << 40, 0x1001 << 40, 1 << 62, .max - 4_095,
    ]
    let states = rig.states
    for (index, page) in pages.enumerated() {
      rig.writeBack(image, at: page)
      #expect(rig.counters.guestErrors == UInt64(index + 1))
    }
    for count in [0, 8, 4_088, 4_095, 4_097, 8_192] {
      rig.writeBack([UInt8](repeating: 0, count: count), at: rig.offset(1, .management))
    }
    for misalignment: UInt64 in [1, 8, 2_048, 4_095] {
      rig.writeBack(image, at: rig.offset(1, .management) + misalignment)
    }
    #expect(rig.states == states)
    #expect(rig.counters.mappedStores == 0)
    #expect(rig.counters.guestErrors == UInt64(pages.count + 10))
    #expect(rig.host.wakeUps == 0)
  }
}
