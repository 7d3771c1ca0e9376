import Testing
import XIVEModel

@Suite("The order of locks")
struct LockOrderTests {
  /// Which locks are taken inside which: an inner one comes later.
  private static let nestings: [(outer: LockRank, inner: LockRank)] = [
    // A change of backings drains, and may forward an event that was queued.
    (.hotplug, .drain), (.hotplug, .transitions), (.hotplug, .end),
    // Connecting publishes a table, drains, and pushes a context; a route, a queue or memory changes ENDs.
    (.configuration, .drain), (.configuration, .context), (.configuration, .end),
    (.configuration, .waiters),
    // A context's change holds the NVT, inside it the registers.
    (.context, .target), (.target, .thread), (.context, .waiters),
  ]

  @Test("What is taken inside comes later", arguments: nestings)
  func nesting(outer: LockRank, inner: LockRank) {
    #expect(outer.rawValue < inner.rawValue)
  }

  @Test("There are as many places as the word that notes them has bits, and each has its own")
  func places() {
    #expect(LockRank.allCases.map(\.rawValue) == Array(0..<LockRank.allCases.count))
    #expect(LockRank.allCases.count < Int.bitWidth)
  }

  #if DEBUG
  @Test("A lock that is taken before its time ends the process, though nobody holds it")
  func inversion() async {
    await #expect(processExitsWith: .failure) {
      let inner = OrderedMutex(.configuration, 0)
      let outer = LockedTable(.end, count: 1, repeating: 0)
      outer.withLock(0) { _ in inner.withLock { $0 += 1 } }
    }
    await #expect(processExitsWith: .failure) {
      let inner = LockedTable(.target, count: 1, repeating: 0)
      let outer = OrderedMutex(.waiters, 0)
      outer.withLock { _ in inner.withLock(0) { $0 += 1 } }
    }
  }

  @Test("Two locks of one place end the process")
  func twice() async {
    await #expect(processExitsWith: .failure) {
      let table = LockedTable(.end, count: 2, repeating: 0)
      table.withLock(0) { _ in table.withLock(1) { $0 += 1 } }
    }
    await #expect(processExitsWith: .failure) {
      let outer = OrderedMutex(.ledger, 0)
      let inner = OrderedMutex(.ledger, 0)
      outer.withLock { _ in inner.withLock { $0 += 1 } }
    }
  }

  @Test("A place in the middle counts, too")
  func middle() async {
    await #expect(processExitsWith: .failure) {
      LockOrder.take(.hotplug)
      LockOrder.take(.end)
      LockOrder.release(.hotplug)
      LockOrder.take(.drain)
    }
  }
  #endif

  @Test("Locks in order, one after the other, on two threads, or after an error: all is well")
  func inOrder() async {
    await #expect(processExitsWith: .success) {
      struct Refusal: Error {}
      let outer = OrderedMutex(.hotplug, 0)
      let table = LockedTable(.end, count: 2, repeating: 0)
      for rank in LockRank.allCases { LockOrder.take(rank) }
      for rank in LockRank.allCases { LockOrder.release(rank) }
      outer.withLock { _ in table.withLock(0) { $0 += 1 } }
      table.withLock(0) { $0 += 1 }
      table.withLock(1) { $0 += 1 }
      do {
        try outer.withLock { _ throws(Refusal) in throw Refusal() }
      } catch {
        // It is released all the same.
      }
      outer.withLock { $0 += 1 }
      precondition(table.withLock(0) { $0 } == 2)
    }
  }
}
