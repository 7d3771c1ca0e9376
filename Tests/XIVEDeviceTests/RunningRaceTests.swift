import CXIVE
import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("A machine that is stopped and resumed while events rain")
struct RunningRaceTests {
  @Test("A stop is not answered while an event is under way, nor is a resume")
  func waitsForThoseInside() throws {
    for stops in [true, false] {
      let machine = try Machine(cpus: 1)
      let device = machine.rig.device
      try machine.start(1, on: 0, eisn: 9)
      if !stops { try machine.rig.stop() }
      let inside = device.gate.enter(stripe: 3)
      let isAnswered = Atomic<Bool>(false)
      Threads.run(2) { thread in
        guard thread == 1 else {
          device.setRunning(!stops)
          isAnswered.store(true, ordering: .sequentiallyConsistent)
          return
        }
        let waits = !Threads.sees { isAnswered.load(ordering: .sequentiallyConsistent) }
        #expect(waits, "answered while an event was under way")
        // It has been stopped, or resumed, by now: the event goes where that says.
        let isSet = Threads.sees(within: .seconds(60)) { device.isRunning != stops }
        #expect(isSet)
        device.engine.perform(.trigger, on: LISN(rawValue: 1))
        device.gate.leave(inside)
      }
      #expect(try machine.rig.isLatched(1) == stops)
      #expect(machine.queued(0) == (stops ? [] : [9]))
      try machine.rig.resume()
      #expect(machine.queued(0) == [9])
    }
  }

  @Test("What was kept by one who had seen the stop is found by the resume after it")
  func lateLatch() throws {
    let machine = try Machine(cpus: 1)
    let device = machine.rig.device
    try machine.start(1, on: 0, eisn: 9)
    try machine.rig.stop()
    let inside = device.gate.enter(stripe: 3)
    let turn = device.gate.turn.load(ordering: .sequentiallyConsistent)
    Threads.run(2) { thread in
      if thread == 0 {
        device.setRunning(true)
      } else {
        // The event has seen the machine stopped, and is slow to say so: the resume waits for it.
        let isWaiting = Threads.sees(within: .seconds(60)) {
          device.gate.turn.load(ordering: .sequentiallyConsistent) != turn
        }
        #expect(isWaiting)
        _ = device.engine.cells.perform(.latch, on: LISN(rawValue: 1))
        device.gate.leave(inside)
      }
    }
    #expect(machine.queued(0) == [9])
    #expect(try !machine.rig.isLatched(1))
  }

  @Test("An event that waits is never out of sight, whoever tries to let it go meanwhile")
  func neverOutOfSight() {
    let rig = Rig()
    let device = rig.device
    let lisn = LISN(rawValue: 1)
    device.setRunning(false)
    _ = device.engine.cells.perform(.latch, on: lisn)
    let missing = Atomic<Int>(0)
    let isDone = Atomic<Bool>(false)
    Threads.run(2) { thread in
      if thread == 0 {
        for _ in 0..<500_000 { device.gate.pass(stripe: 0) { device.holding.release(lisn) } }
        isDone.store(true, ordering: .sequentiallyConsistent)
        return
      }
      while !isDone.load(ordering: .sequentiallyConsistent) {
        if !device.engine.cells.state(of: lisn).isLatched { missing.add(1, ordering: .relaxed) }
      }
    }
    #expect(missing.load(ordering: .relaxed) == 0)
  }

  @Test("Between a stop and a resume nothing enters; all events come once", .hangGuard)
  func alone() throws {
    try rain(controllers: 1)
  }

  @Test("Several stop and resume it at once: no event is lost, and none comes twice", .hangGuard)
  func several() throws {
    try rain(controllers: 3)
  }

  /// Two threads trigger, a guest ends what it gets, others stop and resume.
  private func rain(controllers: Int) throws {
    let rounds: UInt32 = 1_500
    let sources: [UInt32] = [0, 1, 2, 3]
    let machine = try Machine(Rig(servers: 1), cpus: 1)
    let device = machine.rig.device
    for source in sources { try machine.start(source, on: 0, eisn: source) }
    let ended: [Counter] = sources.map { _ in Counter() }
    let wrong = Counter()
    let left = Atomic<Int>(2)
    let stops = Counter()
    Threads.run(3 + controllers) { thread in
      switch thread {
      case 0, 1:
        for round in 0..<Int(rounds) {
          for source in [2 * thread, 2 * thread + 1] {
            try? machine.trigger(UInt32(source))
          }
          for source in [2 * thread, 2 * thread + 1] {
            while ended[source].value <= round { Threads.yield() }
          }
        }
        left.subtract(1, ordering: .sequentiallyConsistent)
      case 2:
        var queue = GuestQueue(machine.memory, at: Machine.queueAddress(0, 6))
        while left.load(ordering: .sequentiallyConsistent) > 0 {
          guard let source = queue.next() else {
            Threads.yield()
            continue
          }
          // Ended before it is told, or the next trigger could find it pending.
          if (try? machine.load(source, at: 0)) != 0 { wrong.add() }
          ended[Int(source)].add()
        }
        if queue.next() != nil { wrong.add() }
      default:
        while left.load(ordering: .sequentiallyConsistent) > 0 {
          device.setRunning(false)
          stops.add()
          let entries = machine.counts.entries
          Threads.yield()
          if controllers == 1, machine.counts.entries != entries { wrong.add() }
          device.setRunning(true)
          Threads.yield()
        }
      }
    }
    #expect(wrong.value == 0)
    #expect(stops.value > 0)
    #expect(machine.counts.entries == UInt64(rounds) * 4)
    for source in sources {
      #expect(ended[Int(source)].value == Int(rounds))
      #expect(machine.rig.pq(source) == .reset)
      #expect(try !machine.rig.isLatched(source))
    }
  }
}

/// A number that threads share.
final class Counter: Sendable {
  private let number = Atomic<Int>(0)

  var value: Int { number.load(ordering: .sequentiallyConsistent) }

  func add() { number.add(1, ordering: .sequentiallyConsistent) }
}
