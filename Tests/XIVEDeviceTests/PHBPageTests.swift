import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("A PHB's own pages")
struct PHBPageTests {
  private static let geometries = ESBGeometry.allCases

  @Test("One management page an interrupt, messages first, and nothing else", arguments: geometries)
  func region(geometry: ESBGeometry) throws {
    let rig = try Rig.withPHB(geometry: geometry)
    try rig.addPHB(1_023, msis: 1, lsis: 0)
    let size = rig.map.pageByteCount
    for irq in UInt64(0)..<8 {
      #expect(rig.resolves(16 << 40 + irq * size) == (irq < 6))
      #expect(rig.resolves((16 + 1_023) << 40 + irq * size) == (irq < 1))
      #expect(!rig.resolves(17 << 40 + irq * size))
    }
    for irq in UInt16(0)..<6 {
      try rig.setHardwarePQ(irq, irq & 1 == 0 ? .pending : .reset)
      for part in stride(from: 0, to: size, by: 4_096) {
        let image = try rig.image(rig.ownPage(irq) + part)
        let signature = try #require(PageSignature(image: image))
        #expect(signature.backing == .phb && signature.lisn == PageSignature.noSource)
        #expect(signature.phb == 0 && signature.hardwareIRQ == UInt32(irq))
        #expect(signature.half == 1 && signature.generation == 1)
        #expect(signature.deviceOffset == rig.ownPage(irq))
        #expect((0..<256).allSatisfy { image.slot($0) == .max })
        #expect((256..<384).allSatisfy { image.slot($0) == (irq & 1 == 0 ? 2 : 0) })
        #expect((384..<504).allSatisfy { image.slot($0) == .max })
      }
    }
  }

  @Test("Its interrupts are off at first and belong to the host")
  func initial() throws {
    let rig = try Rig.withPHB()
    for irq in UInt16(0)..<6 {
      #expect(try rig.get(rig.ownPage(irq)) == 1)
      let state = try #require(rig.hardwareState(irq))
      #expect(state.isLSI == (irq >= 4) && !state.isAsserted)
    }
    try rig.hardware(.trigger, 0)
    #expect(rig.hardwarePQ(0) == .off && rig.hostEvents == 0)
    try rig.setHardwarePQ(0, .reset)
    try rig.hardware(.trigger, 0)
    try rig.hardware(.trigger, 0)
    #expect(rig.hardwarePQ(0) == .queued && rig.hostEvents == 1)
    #expect(try rig.endOfInterrupt(rig.ownPage(0)) == 1)
    #expect(rig.hostEvents == 2 && rig.counters.events == 0)
  }

  @Test("Every load and store does what a management page does", arguments: [false, true])
  func operations(storeEOI: Bool) throws {
    // StoreEOI is the PHB's own property: the controller's pages have it the other way round.
    let rig = Rig(storeEOI: !storeEOI)
    try rig.addPHB(storeEOI: storeEOI)
    try rig.map(1, to: 2)
    for page in [rig.ownPage(2), rig.offset(1, .trigger), rig.offset(1, .management, .kernel)] {
      for offset in stride(from: UInt64(0), to: 0x1000, by: 0x80) {
        for pq in PQ.allCases {
          for isLoad in [true, false] {
            try rig.setHardwarePQ(2, pq)
            var state = try #require(rig.hardwareState(2))
            let operation: ESBOperation =
              isLoad ? .load(at: offset, of: .management) : .store(at: offset, of: .management)
            let event = operation.event(supportsStoreEOI: storeEOI)
            let outcome = event.map { state.perform($0) }
            let before = rig.counters
            if isLoad {
              #expect(try rig.load(page + offset) == outcome?.value ?? .max)
            } else {
              try rig.store(page + offset)
            }
            #expect(rig.hardwareState(2) == state, "\(isLoad) \(offset) \(pq)")
            let events = rig.counters.events - before.events
            #expect(events == (outcome?.forwards == true ? 1 : 0))
            #expect(rig.counters.guestErrors == before.guestErrors + (event == nil ? 1 : 0))
          }
        }
      }
    }
    #expect(rig.pq(1) == .off && rig.hostEvents == 0)
  }

  // MARK: - Fencing

  @Test("A fenced PHB's pages give all ones and take nothing; unfenced it is as it was")
  func fence() throws {
    let rig = try Rig.withPHB(storeEOI: true)
    try rig.map(1, to: 2)
    try rig.setHardwarePQ(2, .queued)
    let pages = [rig.ownPage(2)] + rig.pages(of: 1)
    let signatures = try pages.map { try rig.signature($0) }
    try rig.hardware(.fence, 0)
    for page in pages {
      for offset in stride(from: UInt64(0), to: 0x1000, by: 0x100) {
        #expect(try rig.load(page + offset) == .max)
        try rig.store(page + offset)
      }
      let image = try rig.image(page)
      #expect((0..<504).allSatisfy { image.slot($0) == .max })
    }
    #expect(try pages.map { try rig.signature($0) } == signatures)
    try rig.hardware(.trigger, 2)
    #expect(rig.hardwarePQ(2) == .queued)
    try rig.hardware(.unfence, 0)
    for page in pages { #expect(try rig.get(page) == 3) }
    #expect(rig.counters.events == 0 && rig.hostEvents == 0)
  }

  @Test("Messages under a fence are lost, lines are remembered and told when it is lifted")
  func fencedLines() throws {
    let rig = try Rig.withPHB()
    try rig.map(1, to: 4)
    try rig.takeAll(1)
    for irq: UInt16 in [0, 5] { try rig.setHardwarePQ(irq, .reset) }
    try rig.hardware(.fence, 0)
    try rig.hardware(.trigger, 0)
    try rig.hardware(.assert, 4)
    try rig.hardware(.assert, 5)
    #expect(rig.counters.events == 0 && rig.hostEvents == 0)
    #expect(rig.hardwareState(4)?.isAsserted == true && rig.hardwarePQ(4) == .reset)
    try rig.hardware(.deassert, 5)
    try rig.hardware(.unfence, 0)
    #expect(rig.counters.events == 1 && rig.hostEvents == 0)
    #expect(rig.hardwarePQ(4) == .pending && rig.hardwarePQ(5) == .reset)
    #expect(rig.hardwarePQ(0) == .reset)
    // Fenced and unfenced again: the guest knows of the line already.
    try rig.hardware(.fence, 0)
    try rig.hardware(.unfence, 0)
    #expect(rig.counters.events == 1)
    #expect(try rig.endOfInterrupt(rig.offset(1, .management)) == 1)
  }

  @Test("A line that is raised by one who still saw the fence is told when the fence is lifted")
  func unfencingWaits() throws {
    let rig = try Rig.withPHB()
    try rig.setHardwarePQ(4, .reset)
    try rig.hardware(.fence, 0)
    let phb = try #require(rig.device.phbs[Rig.phb(0)])
    let isDone = Atomic<Bool>(false)
    // In the midst of raising the line: it has seen the fence.
    let cell = rig.device.gate.enter(stripe: 9)
    Threads.run(2) { thread in
      if thread == 0 {
        while phb.isFenced { Threads.yield() }
        _ = Threads.sees { isDone.load(ordering: .sequentiallyConsistent) }
        _ = phb.cells.perform(.hold, on: Rig.irq(4))
        rig.device.gate.leave(cell)
      } else {
        try? rig.hardware(.unfence, 0)
        isDone.store(true, ordering: .sequentiallyConsistent)
      }
    }
    #expect(rig.hardwarePQ(4) == .pending && rig.hostEvents == 1)
  }

  @Test("Fencing waits for accesses that found the PHB open")
  func fencingWaits() throws {
    let rig = try Rig.withPHB()
    let phb = try #require(rig.device.phbs[Rig.phb(0)])
    let isDone = Atomic<Bool>(false)
    let endedEarly = Atomic<Bool>(false)
    let cell = rig.device.gate.enter(stripe: 2)
    Threads.run(2) { thread in
      if thread == 0 {
        while !phb.isFenced { Threads.yield() }
        let seen = Threads.sees { isDone.load(ordering: .sequentiallyConsistent) }
        endedEarly.store(seen, ordering: .sequentiallyConsistent)
        rig.device.gate.leave(cell)
      } else {
        try? rig.hardware(.fence, 0)
        isDone.store(true, ordering: .sequentiallyConsistent)
      }
    }
    let isEarly = endedEarly.load(ordering: .sequentiallyConsistent)
    #expect(!isEarly, "while somebody is inside")
  }

  // MARK: - Mapped pages

  @Test("A change shows in every mapped page: its own and both of its source, in both windows")
  func liveUpdates() throws {
    for geometry in [ESBGeometry.two4K, .two64K] {
      let rig = try Rig.withPHB(geometry: geometry)
      try rig.map(1, to: 2)
      let part = rig.map.pageByteCount - 4_096
      let pages = (rig.pages(of: 1) + [rig.ownPage(2)]).map { $0 + part }
      for page in pages { _ = try rig.image(page) }
      rig.updates()
      let wakeUps = rig.host.wakeUps
      try rig.setHardwarePQ(2, .queued)
      #expect(rig.host.wakeUps > wakeUps)
      #expect(Set(rig.updates()) == Set(pages.map { Update.pq(.queued, at: $0) }))
      try rig.endOfInterrupt(rig.offset(1, .management))
      #expect(Set(rig.updates()) == Set(pages.map { Update.pq(.pending, at: $0) }))
      try rig.hardware(.fence, 0)
      let blank = [UInt8](repeating: 0xff, count: 1_024)
      let ones = pages.map { Update(offset: $0 + 0x800, bytes: blank) }
      #expect(Set(rig.updates()) == Set(ones))
      try rig.hardware(.unfence, 0)
      #expect(Set(rig.updates()) == Set(pages.map { Update.pq(.pending, at: $0) }))
    }
  }

  @Test("Changes of many interrupts of many PHBs all show, at one waking")
  func manyUpdates() throws {
    let rig = Rig()
    let places: [(phb: UInt16, irq: UInt16)] = [
      (0, 0), (0, 63), (0, 64), (0, 99), (63, 5), (64, 9),
    ]
    for phb in Set(places.map(\.phb)) { try rig.addPHB(phb, msis: 100, lsis: 0) }
    for place in places { _ = try rig.image(rig.ownPage(place.irq, phb: place.phb)) }
    for round in 0..<3 {
      let pq = PQ(rawValue: UInt8(2 + round & 1))
      for place in places { try rig.setHardwarePQ(place.irq, pq, phb: place.phb) }
      let expected = places.map { Update.pq(pq, at: rig.ownPage($0.irq, phb: $0.phb)) }
      #expect(Set(rig.updates()) == Set(expected))
      #expect(rig.updates().isEmpty)
    }
  }

  @Test("Stores to a mapped page of a PHB are operations, and are put back", arguments: geometries)
  func mappedStores(geometry: ESBGeometry) throws {
    let rig = try Rig.withPHB(geometry: geometry, storeEOI: true)
    try rig.map(1, to: 2)
    var pages = [rig.ownPage(2), rig.offset(1, .management), rig.offset(1, .management, .kernel)]
    if geometry.pageCount == 2 { pages.append(rig.offset(1, .trigger)) }
    for offset in pages {
      var page = try MappedPage(rig, offset)
      let events = rig.counters.events
      for (slot, pq) in [(0xc00 / 8, PQ.reset), (0, .pending), (1, .queued), (0x80, .pending)] {
        page.storeAndWriteBack(UInt64(slot), slot: slot)
        #expect(rig.hardwarePQ(2) == pq, "slot \(slot) at \(offset)")
        page.deliverAll()
        #expect(try page.isAsServed)
      }
      #expect(rig.counters.events == events + 2)
      // Under a fence it is dropped, and put back all the same.
      try rig.hardware(.fence, 0)
      page.deliverAll()
      let errors = rig.counters.guestErrors
      page.storeAndWriteBack(5, slot: 0xc00 / 8)
      page.deliverAll()
      #expect(try page.isAsServed)
      #expect(rig.counters.guestErrors == errors + 1)
      try rig.hardware(.unfence, 0)
      page.deliverAll()
      #expect(rig.hardwarePQ(2) == .pending)
      #expect(try page.isAsServed)
    }
  }

  // MARK: - Shapes

  @Test(
    "Where sources have one page, a mapped source has one too",
    arguments: [ESBGeometry.one4K, .one64K])
  func onePage(geometry: ESBGeometry) throws {
    let rig = try Rig.withPHB(geometry: geometry)
    let invalidation = try rig.map(1, to: 2)
    // A source keeps its place of two pages; the even one is a hole.
    #expect(invalidation.ranges.allSatisfy { $0.count == 2 * Int(rig.map.pageByteCount) })
    for (page, exists) in zip(rig.pages(of: 1), [false, true, false, true]) {
      #expect(rig.resolves(page) == exists)
      if exists {
        let image = try rig.image(page)
        #expect(rig.shows(image, of: 1, at: page, .phb(Rig.phb(0), Rig.irq(2))))
      }
      #expect(try rig.get(page) == (exists ? 2 : .max))
    }
  }

  @Test("Segments list the pages of every PHB, behind those of the sources", arguments: geometries)
  func segments(geometry: ESBGeometry) throws {
    let rig = Rig(existing: 1, geometry: geometry)
    let size = rig.map.pageByteCount
    let shapes: [UInt16: UInt32] = [0: 3, 1: 1, 500: 65_536, 1_023: 7]
    for (phb, count) in shapes { try rig.addPHB(phb, msis: count, lsis: 0) }
    func phbSegments() -> [Range<UInt64>] {
      var found: [Range<UInt64>] = []
      var offset: UInt64 = 2 << 40
      while let next = rig.device.segment(endingAfter: offset) {
        found.append(next)
        offset = next.upperBound
      }
      return found
    }
    var expected = shapes.sorted { $0.key < $1.key }.map { phb, count in
      rig.ownPage(0, phb: phb)..<rig.ownPage(0, phb: phb) + UInt64(count) * size
    }
    #expect(phbSegments() == expected)
    for segment in expected {
      for inside in [segment.lowerBound, segment.upperBound - 1] {
        #expect(rig.device.segment(endingAfter: inside) == segment)
      }
      #expect(rig.resolves(segment.upperBound - size) && !rig.resolves(segment.upperBound))
    }
    let removal = try rig.device.removePHB(Rig.phb(1))
    expected.remove(at: 1)
    #expect(phbSegments() == expected)
    removal.completion()
    #expect(phbSegments() == expected)
    // Mapping changes what serves a page, not which pages there are.
    let all = rig.device.segment(endingAfter: 1 << 40)
    try rig.map(0, to: 0)
    #expect(rig.device.segment(endingAfter: 1 << 40) == all)
  }
}

extension MappedPage {
  /// Whether it shows what a fill would give now.
  fileprivate var isAsServed: Bool { get throws { try bytes == rig.image(offset) } }
}
