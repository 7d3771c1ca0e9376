import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Changes that begin before others have come to their end")
struct OverlappingChangeTests {
  /// Expects that tables agree with each other and that nothing is left under way.
  private func expectOrder(_ rig: Rig, _ comment: Comment) {
    let device = rig.device
    #expect(rig.changesUnderWay == 0, comment)
    var mapped = 0
    for source in 0..<device.configuration.sourceCount {
      guard case .phb(let index, let irq) = rig.backing(source) else { continue }
      mapped += 1
      #expect(device.phbs[index]?.lisn(servedBy: irq)?.rawValue == source, comment)
      #expect(rig.pq(source) == .off, comment)
    }
    let phbs = (0..<UInt16(4)).compactMap { device.phbs[Rig.phb($0)] }
    #expect(phbs.allSatisfy { !$0.isLeaving }, comment)
    #expect(phbs.reduce(0) { $0 + $1.mappedCount } == mapped, comment)
  }

  @Test("Mapping another source of the same PHB loses no store that waits in an old page")
  func sameDevice() throws {
    let rig = try Rig.withPHB()
    for pq in [PQ.reset, .pending] {
      try Interleavings.forEach {
        for source: UInt32 in 1...2 where rig.backing(source) != .ipi {
          try rig.unmap(source, from: UInt16(source))
        }
        rig.setPQ(1, pq)
        rig.updates()
        let events = rig.counters.events
        let kernel = FakeKernel(rig)
        let page = rig.offset(1, .trigger)
        _ = kernel.touch(page)
        kernel.store(0, slot: 0, page)
        let changes = (UInt32(1)...2).map { source in
          Change(kernel, "map \(source)") { () throws(DeviceError) in
            try rig.device.map(Rig.run(source, UInt16(source)))
          }
        }
        return .init(changes) { order in
          _ = try? rig.takeAll(1)
          #expect(rig.counters.events == events + 1, "\(pq): \(order)")
          expectOrder(rig, order)
        }
      }
    }
  }

  @Test("Map and unmap of one source, published in turn and carried out in any order")
  func mapAndUnmap() throws {
    let rig = try Rig.withPHB()
    try Interleavings.forEach {
      if rig.backing(1) != .ipi { try rig.unmap(1, from: 2) }
      rig.setPQ(1, .pending)
      rig.updates()
      let events = rig.counters.events + rig.hostEvents
      let kernel = FakeKernel(rig)
      let page = rig.offset(1, .management)
      _ = kernel.touch(page)
      kernel.store(0, slot: 0, page)
      // A store to the signature, which putting back must not carry into a page of later.
      kernel.store(9, slot: 0xfe0 / 8, page)
      var isAnswered = [false, false]
      let map = Change(kernel, "map", answered: { isAnswered[0] = true }) {
        () throws(DeviceError) in
        try rig.device.map(Rig.run(1, 2))
      }
      let unmap = Change(kernel, "unmap", answered: { isAnswered[1] = true }) {
        () throws(DeviceError) in
        try rig.device.unmap(Rig.run(1, 2))
      }
      return .init([map, unmap]) { order in
        #expect(map.refusal == nil && unmap.refusal == (isAnswered[1] ? nil : .notFound), order)
        let backing = isAnswered[1] ? Backing.ipi : .phb(Rig.phb(0), Rig.irq(2))
        for page in rig.pages(of: 1) {
          let isFresh = rig.shows(kernel.touch(page), of: 1, at: page, backing)
          #expect(isFresh, order)
        }
        expectOrder(rig, order)
        // Unmapped it waits for the guest's EOI, whatever the mapping had still to do.
        #expect(!isAnswered[1] || [.pending, .queued].contains(rig.pq(1)), order)
        #expect(rig.counters.events + rig.hostEvents - events <= 1, "\(order)")
      }
    }
  }

  @Test("After a PHB is gone no page of it is left, though another caller's unmapping is not done")
  func removalOvertakes() throws {
    try Interleavings.forEach {
      let rig = try Rig.withPHB()
      try rig.map(1, to: 2)
      try rig.map(2, to: 3)
      let kernel = FakeKernel(rig)
      for source: UInt32 in 1...2 {
        for page in rig.pages(of: source) { _ = kernel.touch(page) }
      }
      kernel.store(0, slot: 0xc00 / 8, rig.offset(1, .management))
      var staleAtAnswer: Set<UInt32> = []
      let unmap = Change(kernel, "unmap") { () throws(DeviceError) in
        try rig.device.unmap(Rig.run(1, 2))
      }
      let removal = Change(
        kernel, "removal",
        answered: {
          for source: UInt32 in 1...2 {
            for page in rig.pages(of: source) {
              let isFresh = rig.shows(kernel.touch(page), of: source, at: page, .ipi)
              if !isFresh { staleAtAnswer.insert(source) }
            }
          }
          // The number is free: another device takes its place at once.
          try? rig.addPHB(msis: 8)
          try? rig.setHardwarePQ(2, .pending)
        }
      ) { () throws(DeviceError) in
        try rig.device.removePHB(Rig.phb(0))
      }
      return .init([unmap, removal]) { order in
        #expect(removal.refusal == nil, order)
        #expect(staleAtAnswer.isEmpty, "sources \(staleAtAnswer): \(order)")
        // What was stored on the old device's page is nothing to the new one, nor to the source.
        #expect(rig.hardwarePQ(2) == .pending, order)
        #expect(rig.pq(1) == .pending, order)
        expectOrder(rig, order)
      }
    }
  }

  @Test("What a store left in a page of long ago is not put back into a page of now")
  func putBackTooLate() throws {
    //  unmapping     mapping         consumer
    //                                stores to the signature of the first device's page
    //  published     published
    //                pages dropped
    //                                touches the page: the second device's
    //                completed, updates delivered
    let rig = try Rig.withPHB()
    try rig.addPHB(1)
    try rig.map(1, to: 2)
    let kernel = FakeKernel(rig)
    let page = rig.offset(1, .management)
    _ = kernel.touch(page)
    kernel.store(9, slot: 0xfd8 / 8, page)
    let unmap = try rig.device.unmap(Rig.run(1, 2))
    let map = try rig.device.map(Rig.run(1, 3, phb: 1))
    for range in map.ranges { kernel.drop(range) }
    _ = kernel.touch(page)
    map.completion()
    kernel.takeUpdates()
    let backing = Backing.phb(Rig.phb(1), Rig.irq(3))
    #expect(rig.shows(kernel.touch(page), of: 1, at: page, backing))
    kernel.carryOut(unmap)
    #expect(rig.shows(kernel.touch(page), of: 1, at: page, backing))
    #expect(rig.device.ledger.pageCount == 0)
  }

  @Test("Many threads map, unmap and remove the same things; in the end all tables agree")
  func threads() throws {
    let rig = Rig(sources: 16, existing: 16)
    for phb: UInt16 in 0..<2 { try rig.addPHB(phb, msis: 8, lsis: 2) }
    let notifier = SerialNotifier()
    let running = Atomic<Int>(3)
    Threads.run(4) { thread in
      if thread == 3 {
        while running.load(ordering: .sequentiallyConsistent) > 0 { notifier.work() }
        notifier.work()
        return
      }
      var random = Seed.generator(stream: 120 + UInt64(thread))
      for _ in 0..<600 {
        let run = Rig.run(
          UInt32(random.next() % 14), UInt16(random.next() % 7),
          phb: UInt16(random.next() % 2), count: UInt32(random.next() % 3) + 1)
        let kind = random.next() % 20
        var invalidation: Invalidation?
        switch kind {
        case 0: invalidation = try? rig.device.removePHB(run.phb)
        case 1...3: try? rig.device.addPHB(run.phb, PHBShape(msiCount: 8, lsiCount: 2))
        case 4...11: invalidation = try? rig.device.map(run)
        default: invalidation = try? rig.device.unmap(run)
        }
        guard let invalidation else { continue }
        if random.next() & 1 == 0 {
          notifier.put(invalidation)
        } else {
          notifier.put(invalidation)
          while !notifier.isEmpty { Threads.yield() }
        }
      }
      running.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    }
    expectOrder(rig, "\(Seed.comment)")
    #expect(notifier.isEmpty)
  }
}

/// A queue of invalidations that one thread completes; nobody has a page mapped.
private final class SerialNotifier: @unchecked Sendable {
  // @unchecked Sendable: the flag locks the queue. Not a Mutex, which the thread sanitizer does not understand.
  private let isLocked = Atomic<Bool>(false)
  private var queue: [Invalidation] = []
  private let count = Atomic<Int>(0)

  private func withLock<Result>(_ body: () -> Result) -> Result {
    while isLocked.exchange(true, ordering: .acquiring) { Threads.yield() }
    defer { isLocked.store(false, ordering: .releasing) }
    return body()
  }

  var isEmpty: Bool { count.load(ordering: .sequentiallyConsistent) == 0 }

  func put(_ invalidation: Invalidation) {
    count.wrappingAdd(1, ordering: .sequentiallyConsistent)
    withLock { queue.append(invalidation) }
  }

  func work() {
    let taken = withLock {
      defer { queue = [] }
      return queue
    }
    for invalidation in taken {
      invalidation.completion()
      count.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    }
    Threads.yield()
  }
}
