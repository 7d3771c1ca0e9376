import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// Counts how often it is woken.
private final class Bell: Sendable {
  private let rings = Atomic<Int>(0)

  var count: Int { rings.load(ordering: .sequentiallyConsistent) }

  var waker: PollWaker {
    PollWaker { self.rings.wrappingAdd(1, ordering: .sequentiallyConsistent) }
  }
}

@Suite("Waiting for interrupts")
struct ReadableTests {
  private func isReadable(_ machine: Machine, _ server: UInt32, _ bell: Bell) -> Bool {
    machine.rig.device.isReadable(Machine.opener(server), orWake: bell.waker)
  }

  @Test("A connected vCPU's descriptor is readable exactly while there is an interrupt to take")
  func readable() throws {
    let machine = try Machine()
    try machine.start(1, on: 0, eisn: 1)
    let bell = Bell()
    #expect(!isReadable(machine, 0, bell))
    try machine.trigger(1)
    #expect(isReadable(machine, 0, bell))
    #expect(!isReadable(machine, 1, Bell()))
    try machine.setCPPR(0, 6)
    #expect(!isReadable(machine, 0, bell))
    try machine.setCPPR(0, 7)
    #expect(isReadable(machine, 0, bell))
    try machine.pull(0)
    #expect(!isReadable(machine, 0, bell), "a vCPU that does not run takes nothing")
    try machine.push(0)
    #expect(isReadable(machine, 0, bell))
    try machine.acknowledge(0)
    #expect(!isReadable(machine, 0, bell))
  }

  /// What raises a line.
  enum Cause: CaseIterable { case event, cppr, pending, push, pushAfterEvent, pushOfWord }

  @Test("Whoever waits is woken once, when the line rises", arguments: Cause.allCases)
  func woken(cause: Cause) throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 1)
    switch cause {
    case .event, .pending: break
    case .cppr:
      try machine.setCPPR(0, 0)
      try machine.trigger(1)
    case .push, .pushOfWord:
      try machine.trigger(1)
      try machine.pull(0)
    case .pushAfterEvent:
      try machine.pull(0)
      try machine.trigger(1)
    }
    let bell = Bell()
    #expect(!isReadable(machine, 0, bell))
    #expect(bell.count == 0)
    switch cause {
    case .event: try machine.trigger(1)
    case .cppr: try machine.setCPPR(0, 0xff)
    case .pending: try machine.storeTIMA(0, 3, at: 0x812, byteCount: 1)
    case .push, .pushAfterEvent: try machine.push(0)
    case .pushOfWord:
      // QEMU's reset of a vCPU writes the whole of words 2 and 3.
      try machine.rig.store(
        machine.rig.tima(0, .hw) + 0x18, UInt64(0x8000_0400_0000_0000).bigEndian.memoryBytes)
    }
    #expect(bell.count == 1)
    #expect(isReadable(machine, 0, Bell()))
    // Nobody waits any more.
    try machine.storeTIMA(0, 2, at: 0x812, byteCount: 1)
    try machine.acknowledge(0)
    try machine.setCPPR(0, 0xff)
    #expect(bell.count == 1)
  }

  @Test("What does not raise the line wakes nobody")
  func quiet() throws {
    let machine = try Machine()
    try machine.start(1, on: 0, eisn: 1)
    try machine.start(2, on: 1, eisn: 2)
    let bell = Bell()
    #expect(!isReadable(machine, 0, bell))
    try machine.setCPPR(0, 3)
    try machine.trigger(1)
    try machine.trigger(2)
    _ = try machine.ring(0)
    try machine.pull(0)
    try machine.push(0)
    try machine.route(1, to: 1, eisn: 5)
    #expect(bell.count == 0)
    #expect(isReadable(machine, 1, Bell()))
  }

  @Test("A waker that has been used is let go")
  func used() throws {
    let machine = try Machine(cpus: 1)
    try machine.setCPPR(0, 0xff)
    weak var left: Bell?
    do {
      let bell = Bell()
      left = bell
      #expect(!isReadable(machine, 0, bell))
      try machine.storeTIMA(0, 3, at: 0x812, byteCount: 1)
      #expect(bell.count == 1)
    }
    #expect(left == nil)
  }

  @Test("The newest waker of a descriptor is the one that is woken")
  func replaced() throws {
    let machine = try Machine(cpus: 1)
    try machine.start(1, on: 0, eisn: 1)
    let bells = [Bell(), Bell(), Bell()]
    for bell in bells { #expect(!isReadable(machine, 0, bell)) }
    try machine.trigger(1)
    #expect(bells.map(\.count) == [0, 0, 1])
  }

  @Test("On a descriptor that is not connected one waits for being connected, and asks again")
  func unconnected() throws {
    let machine = try Machine(cpus: 0)
    let bell = Bell()
    #expect(!isReadable(machine, 0, bell))
    #expect(!machine.rig.device.isReadable(Rig.writer, orWake: Bell().waker))
    try machine.connect(1)
    #expect(bell.count == 0)
    try machine.connect(0)
    #expect(bell.count == 1)
    try machine.setQueue(0, 6)
    try machine.start(1, on: 0, eisn: 1)
    #expect(!isReadable(machine, 0, bell))
    try machine.trigger(1)
    #expect(bell.count == 2)
  }

  @Test("A descriptor that has gone leaves no waker behind", arguments: [false, true])
  func closed(isConnected: Bool) throws {
    let machine = try Machine(cpus: 1, priorities: isConnected ? [6] : [])
    if !isConnected { machine.disconnect(0) }
    weak var left: Bell?
    do {
      let bell = Bell()
      left = bell
      #expect(!isReadable(machine, 0, bell))
    }
    #expect(left != nil)
    machine.disconnect(0)
    #expect(left == nil)
    // Whoever has the server next is not waited for.
    try machine.rig.connect(Rig.writer, to: 0)?.completion()
    try machine.rig.store(machine.rig.tima(0, .os) + 0x11, [0xff])
    try machine.rig.store(machine.rig.tima(0, .os) + 0x812, [1])
    #expect(machine.rig.device.isReadable(Rig.writer, orWake: Bell().waker))
  }

  @Test("A thousand vCPUs wait, and each is woken for itself")
  func many() throws {
    let rig = Rig(sources: 8, existing: 4, servers: 1_000)
    let bells = (0..<1_000).map { _ in Bell() }
    for server in UInt32(0)..<1_000 {
      try rig.connect(Machine.opener(server), to: UInt64(server))?.completion()
      try rig.store(rig.tima(server, .os) + 0x11, [0xff])
      let bell = bells[Int(server)]
      #expect(!rig.device.isReadable(Machine.opener(server), orWake: bell.waker))
    }
    for server in stride(from: UInt32(0), to: 1_000, by: 3) {
      try rig.store(rig.tima(server, .os) + 0x812, [5])
    }
    #expect(bells.enumerated().allSatisfy { $1.count == ($0 % 3 == 0 ? 1 : 0) })
  }

  @Test("An interrupt that comes between keeping the waker and looking is not missed")
  func race() {
    //  poll                      event
    //  keeps its waker
    //                            raises the line
    //                            takes the waker and wakes
    //  looks: readable
    //
    // Whatever the order, who was told that there is nothing to read is woken.
    let missed = Atomic<Int>(0)
    let round = Atomic<Int>(0)
    let done = Atomic<Int>(0)
    guard let machine = try? Machine(cpus: 1), (try? machine.start(1, on: 0, eisn: 1)) != nil else {
      Issue.record("no machine")
      return
    }
    let rounds = 4_000
    Threads.run(2) { thread in
      for number in 1...rounds {
        if thread == 0 {
          try? machine.setCPPR(0, 0xff)
          round.store(number, ordering: .sequentiallyConsistent)
          // A little later each time.
          for _ in 0..<number % 64 { _ = machine.rig.pq(1) }
          let bell = Bell()
          let isReadable = machine.rig.device.isReadable(
            Machine.opener(0), orWake: bell.waker)
          while done.load(ordering: .sequentiallyConsistent) < number { Threads.yield() }
          let isMissed = !isReadable && bell.count == 0
          if isMissed { missed.wrappingAdd(1, ordering: .sequentiallyConsistent) }
          _ = try? machine.acknowledge(0)
          try? machine.endMessage(1)
        } else {
          while round.load(ordering: .sequentiallyConsistent) < number { Threads.yield() }
          for _ in 0..<number / 64 % 64 { _ = machine.rig.pq(1) }
          try? machine.trigger(1)
          done.store(number, ordering: .sequentiallyConsistent)
        }
      }
    }
    #expect(missed.load(ordering: .sequentiallyConsistent) == 0)
    #expect(machine.counts.entries == UInt64(rounds))
  }
}
