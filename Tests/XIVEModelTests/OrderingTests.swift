import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@Suite("A trigger orders what its producer wrote before it")
struct OrderingTests {
  /// A trigger that finds the source queued changes nothing in it; still, whoever takes the queued
  /// event afterwards must see the data, or nobody will ever be told of it.
  @Test("Data of a trigger that was coalesced is there when the queued event is taken")
  func coalescedTrigger() {
    let race = CoalescingRace()
    Threads.run(2) { $0 == 0 ? race.produce() : race.consume() }
    #expect(race.lost.load(ordering: .relaxed) == 0)
  }
}

/// Two threads that meet once a round: one writes and triggers, the other takes the queued event.
///
/// The window is a store buffer wide: without optimisation a faulty model mostly passes.
private final class CoalescingRace: Sendable {
  private static let roundCount: UInt64 = 500_000

  let lost = Atomic<Int>(0)
  private let controller = Controller(count: 1)
  private let started = Atomic<UInt64>(0)
  private let finished = Atomic<UInt64>(0)
  private let payload = Atomic<UInt64>(0)

  func produce() {
    let cells = controller.engine.cells
    for round in 1...Self.roundCount {
      Self.wait(for: started, toReach: round)
      payload.store(round, ordering: .relaxed)
      _ = cells.perform(.trigger, on: LISN(rawValue: 0))
      finished.store(round, ordering: .releasing)
    }
  }

  func consume() {
    let cells = controller.engine.cells
    for round in 1...Self.roundCount {
      _ = cells.perform(.set(.queued), on: LISN(rawValue: 0))
      started.store(round, ordering: .releasing)
      // Waits a little longer each round, so that the two meet at every distance.
      for _ in 0..<round & 15 { _ = finished.load(ordering: .relaxed) }
      _ = cells.perform(.set(.reset), on: LISN(rawValue: 0))
      let seen = payload.load(ordering: .relaxed)
      Self.wait(for: finished, toReach: round)
      // Either the trigger came first and its data was there, or it came later and is pending now.
      let isPending = controller.pq(of: 0) == 0b10
      if seen != round, !isPending { lost.wrappingAdd(1, ordering: .relaxed) }
    }
  }

  private static func wait(for counter: borrowing Atomic<UInt64>, toReach round: UInt64) {
    var turns = 0
    while counter.load(ordering: .acquiring) < round {
      turns += 1
      if turns > 200 { Threads.yield() }
    }
  }
}
