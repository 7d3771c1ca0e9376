import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("The gate: whoever is inside is waited for")
struct AccessGateTests {
  /// A drain on a thread of its own.
  private final class Drain: Sendable {
    let gate = AccessGate()
    let isDone = Atomic<Bool>(false)
    private let endedEarly = Atomic<Bool>(false)

    /// Whether the drain came to its end while somebody was inside; to be asked afterwards.
    var wasEarly: Bool { endedEarly.load(ordering: .sequentiallyConsistent) }

    /// Runs a drain beside a body, which is told whether the drain has come to its end.
    func during(_ body: @escaping @Sendable (Drain) -> Void) {
      Threads.run(2) { thread in
        if thread == 0 {
          body(self)
        } else {
          self.gate.drain()
          self.isDone.store(true, ordering: .sequentiallyConsistent)
        }
      }
    }

    /// Gives the drain every chance to end too early.
    func giveChance() {
      let isEarly = Threads.sees { isDone.load(ordering: .sequentiallyConsistent) }
      endedEarly.store(isEarly, ordering: .sequentiallyConsistent)
    }
  }

  @Test("A drain waits for everyone inside, on every stripe", arguments: [0, 1, 7, 15, 16, -1])
  func waits(stripe: Int) {
    let drain = Drain()
    let cell = drain.gate.enter(stripe: stripe)
    drain.during { drain in
      drain.giveChance()
      drain.gate.leave(cell)
    }
    #expect(!drain.wasEarly)
    let isDone = drain.isDone.load(ordering: .sequentiallyConsistent)
    #expect(isDone)
  }

  @Test("Where everybody has left, a drain ends")
  func empty() {
    let gate = AccessGate()
    for stripe in 0..<64 {
      for turn in 0..<2 { gate.leave(gate.enter(stripe: stripe, turn: turn)) }
      gate.drain()
      let passed = gate.pass(stripe: stripe) { stripe }
      #expect(passed == stripe)
    }
    gate.drain()
  }

  @Test(
    "One who counts itself in on a turn of before is waited for by the next drain",
    arguments: [0, 1], 0..<3)
  func twoTurns(turn: Int, earlierDrains: Int) {
    //  reader                          drains
    //  reads the turn
    //                                  first drain: waits on 0, then on 1
    //  counts itself in, looks
    //                                  second drain
    //  leaves
    let drain = Drain()
    for _ in 0..<earlierDrains { drain.gate.drain() }
    let cell = drain.gate.enter(stripe: 5, turn: turn)
    drain.during { drain in
      drain.giveChance()
      drain.gate.leave(cell)
    }
    #expect(!drain.wasEarly)
  }

  @Test("What was replaced is not used any more once the gate is drained, under load")
  func stress() {
    let rounds = 1_500
    let stage = Stage()
    Threads.run(4) { thread in
      if thread == 0 {
        for value in 1...rounds { stage.replace(value) }
        // However late the others come, there is something to be replaced under them.
        var value = rounds
        while stage.uses.load(ordering: .sequentiallyConsistent) < rounds {
          value += 1
          stage.replace(value)
          Threads.yield()
        }
        stage.isOver.store(true, ordering: .sequentiallyConsistent)
      } else {
        while !stage.isOver.load(ordering: .sequentiallyConsistent) { stage.use(thread) }
      }
    }
    let mistakes = stage.mistakes.load(ordering: .sequentiallyConsistent)
    let uses = stage.uses.load(ordering: .sequentiallyConsistent)
    #expect(mistakes == 0 && uses > 0)
  }

  /// Something that is replaced again and again, and becomes invalid once the gate has been drained.
  private final class Stage: Sendable {
    let gate = AccessGate()
    let current = Atomic<Int>(0)
    let retired = Atomic<Int>(-1)
    let mistakes = Atomic<Int>(0)
    let uses = Atomic<Int>(0)
    let isOver = Atomic<Bool>(false)

    func replace(_ value: Int) {
      current.store(value, ordering: .sequentiallyConsistent)
      gate.drain()
      retired.store(value - 1, ordering: .sequentiallyConsistent)
    }

    func use(_ stripe: Int) {
      gate.pass(stripe: stripe) {
        let found = current.load(ordering: .sequentiallyConsistent)
        // Now and then it loses its processor in the middle.
        if found % 8 == stripe { Threads.yield() }
        if retired.load(ordering: .sequentiallyConsistent) >= found {
          mistakes.wrappingAdd(1, ordering: .sequentiallyConsistent)
        }
        uses.wrappingAdd(1, ordering: .sequentiallyConsistent)
      }
    }
  }
}
