import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Passthrough under load")
struct PassthroughStressTests {
  /// Threads that load from and store to the pages of source 1 until told to stop.
  private final class Hammer: Sendable {
    let rig: Rig
    let isOver = Atomic<Bool>(false)
    let accesses = Atomic<Int>(0)

    init(_ rig: Rig) { self.rig = rig }

    func run(_ thread: Int) {
      var random = Seed.generator(stream: 130 + UInt64(thread))
      let pages = rig.pages(of: 1)
      // What changes a state that it finds, whichever it is.
      let offsets: [UInt64] = [0x000, 0xc00, 0xd00, 0xe00, 0xf00]
      while !isOver.load(ordering: .sequentiallyConsistent) {
        let bits = random.next()
        let offset = pages[Int(bits % 4)] + offsets[Int(bits >> 8) % offsets.count]
        if bits >> 32 & 1 == 0 { _ = try? rig.load(offset) } else { try? rig.store(offset) }
        accesses.wrappingAdd(1, ordering: .sequentiallyConsistent)
      }
    }

    /// Waits until the others have performed some accesses.
    func letThemAct() {
      let start = accesses.load(ordering: .sequentiallyConsistent)
      while accesses.load(ordering: .sequentiallyConsistent) < start + 12 { Threads.yield() }
    }
  }

  @Test("P7, P8: after the answer no access acts on the backing of before, hammered by 4 threads")
  func hammered() throws {
    let rig = try Rig.withPHB()
    let phb = try #require(rig.device.phbs[Rig.phb(0)])
    let hammer = Hammer(rig)
    let mistakes = Mutex<[String]>([])
    Threads.run(5) { thread in
      guard thread == 4 else { return hammer.run(thread) }
      for round in 0..<80 {
        _ = try? rig.map(1, to: 2)
        hammer.letThemAct()
        // The source itself is off; every access but a trigger or an EOI would have changed that.
        if rig.pq(1) != .off { mistakes.withLock { $0.append("mapped, round \(round)") } }
        _ = try? rig.unmap(1, from: 2)
        let state = phb.cells.state(of: Rig.irq(2))
        hammer.letThemAct()
        let isQuiet = phb.cells.state(of: Rig.irq(2)) == state
        if !isQuiet { mistakes.withLock { $0.append("unmapped, round \(round)") } }
      }
      hammer.isOver.store(true, ordering: .sequentiallyConsistent)
    }
    let found = mistakes.withLock { $0 }
    #expect(found.isEmpty, "\(Seed.comment)")
  }

  @Test("P8: a device that is removed under load is left alone from the answer on")
  func removedUnderLoad() throws {
    let rig = try Rig.withPHB()
    let hammer = Hammer(rig)
    let mistakes = Mutex<[String]>([])
    Threads.run(5) { thread in
      guard thread == 4 else { return hammer.run(thread) }
      for round in 0..<40 {
        // Keeps the memory: what still acts on it would show.
        guard let phb = rig.device.phbs[Rig.phb(0)] else { continue }
        _ = try? rig.map(1, to: 2)
        hammer.letThemAct()
        _ = try? rig.removePHB()
        let state = phb.cells.state(of: Rig.irq(2))
        try? rig.addPHB()
        hammer.letThemAct()
        let isQuiet = phb.cells.state(of: Rig.irq(2)) == state && rig.hardwarePQ(2) == .off
        if !isQuiet { mistakes.withLock { $0.append("round \(round)") } }
      }
      hammer.isOver.store(true, ordering: .sequentiallyConsistent)
    }
    let found = mistakes.withLock { $0 }
    #expect(found.isEmpty, "\(Seed.comment)")
  }

  @Test(
    "P7, P8: publishing waits for an access that found the old backing",
    arguments: BackingChange.allCases)
  func publishingWaits(change: BackingChange) throws {
    //  access                      change
    //  goes in, finds the old page
    //                              publishes the new one
    //  acts on the old page
    //  leaves
    //                              pages may be dropped
    //
    // A map waits once more, before it publishes: two more accesses let it through, each holding up the next turn.
    let rig = Rig()
    try change.prepare(rig)
    let isPublished = Atomic<Bool>(false)
    let endedEarly = Atomic<Bool>(false)
    let first = rig.device.gate.enter(stripe: 6)
    Threads.run(2) { thread in
      if thread == 0 {
        var cell = first
        for turn in change == .map ? [1, 0] : [] {
          while rig.device.gate.turn.load(ordering: .sequentiallyConsistent) != turn {
            Threads.yield()
          }
          let next = rig.device.gate.enter(stripe: 6)
          rig.device.gate.leave(cell)
          cell = next
        }
        while rig.backing(1) != change.backings.after { Threads.yield() }
        let seen = Threads.sees { isPublished.load(ordering: .sequentiallyConsistent) }
        endedEarly.store(seen, ordering: .sequentiallyConsistent)
        rig.device.gate.leave(cell)
      } else {
        _ = try? change.begin(rig)
        isPublished.store(true, ordering: .sequentiallyConsistent)
      }
    }
    let isEarly = endedEarly.load(ordering: .sequentiallyConsistent)
    #expect(!isEarly, "while somebody is inside")
  }

  // In a process of its own, where no other test allocates.
  @Test(
    "P13: after 100,000 cycles of mapping and unmapping nothing has grown",
    .enabled(if: !Requirement.isSanitized, "a sanitizer's memory would be counted"))
  func cycles() async {
    await #expect(processExitsWith: .success) {
      let rig = try Rig.withPHB()
      let page = rig.offset(1, .management)
      var image = try rig.image(page)
      image.setSlot(0xc00 / 8, 1)
      func cycle(_ count: Int) throws {
        for index in 0..<count {
          try rig.map(1, to: 2)
          _ = try rig.device.image(at: page)
          // The store of a page of the next backing; its slot is put back or forgotten.
          if index % 64 == 0 { rig.writeBack(image, at: page) }
          try rig.unmap(1, from: 2)
          if index % 512 == 0 {
            try rig.removePHB()
            try rig.addPHB()
          }
          if index % 3 == 0 { rig.device.takeUpdates { _ in } }
        }
      }
      try cycle(2_000)
      let start = MemoryTests.residentBytes()
      precondition(start > 0, "this does not see memory")
      try cycle(100_000)
      let growth = MemoryTests.residentBytes() - start
      precondition(growth < 512 << 10, "\(growth) bytes")
      precondition(rig.changesUnderWay == 0 && rig.device.ledger.pageCount == 0)
      precondition(!rig.device.watched.isWatched(1) && rig.generation(1) == 204_001)
    }
  }
}
