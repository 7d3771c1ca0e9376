import CXIVE
import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Eventfds and all that can happen to them at once")
struct IRQFDRaceTests {
  /// Two devices that share a line: each is told once for each time that it raised the line, or later.
  @Test(
    "Raising, ending, untying and closing, in every order: a raise that is not told still comes")
  func orders() throws {
    for endsBy00 in [false, true] {
      let count = try Interleavings.forEach {
        let rig = Rig(sources: 4, existing: 2, servers: 1)
        rig.create(2, isLSI: true)
        rig.setPQ(2, .reset)
        let (events, resamples) = ((1...3).map { FakeEvent($0) }, (4...6).map { FakeEvent($0) })
        try rig.irqfd(2, events[0], resample: resamples[0])
        try rig.irqfd(2, events[1], resample: resamples[1])
        try rig.irqfd(2, events[2], resample: resamples[2], by: IRQFDTests.other)
        let page = rig.offset(2, .management)
        let end = { _ = try? rig.load(page + (endsBy00 ? 0xc00 : 0)) }
        let parties = [
          Steps("raise 0", [{ events[0].fire() }]),
          Steps("raise 1", [{ events[1].fire() }]),
          Steps("raise 2", [{ events[2].fire() }]),
          Steps("end", [end, end]),
          Steps("untie 1", [{ try? rig.untie(2, events[1], resample: resamples[1]) }]),
          Steps("close 2", [{ rig.device.closed(IRQFDTests.other)?.completion() }]),
        ]
        return .init(parties) { order in
          // Whoever is left holds the line where it was not told of an end since it raised it.
          let holds = rig.state(2).isRaised
          #expect(!holds || rig.pq(2) == .pending, "a line that is high comes; \(order)")
          if rig.pq(2) == .pending {
            let told = resamples[0].count
            end()
            #expect(resamples[0].count == told + 1, order)
          }
          #expect(!rig.state(2).isRaised && rig.pq(2) == .reset, order)
          #expect(resamples[0].count > 0, "the device waits for it; \(order)")
          #expect(!events[1].isListenedTo && !events[2].isListenedTo, order)
          #expect(events[0].count == 0 && rig.injected.irqfds == 1, order)
        }
      }
      #expect(count > 1_000, "the orders are not all there: \(count)")
    }
  }

  @Test("Devices, a guest, and others that come and go: nobody waits for ever", .hangGuard)
  func stress() throws {
    let machine = try IRQFDTests.machine()
    let rig = machine.rig
    let rounds = 1_000
    let left = Atomic<Int>(2)
    let pairs = (0..<2).map { (FakeEvent(10 + $0), FakeEvent(20 + $0)) }
    for (event, resample) in pairs { try rig.irqfd(2, event, resample: resample) }
    Threads.run(5) { thread in
      switch thread {
      case 0, 1:
        // A device: raises its line, and waits until it is told of an end.
        let (event, resample) = pairs[thread]
        for _ in 0..<rounds {
          let told = resample.count
          event.fire()
          while resample.count == told { Threads.yield() }
        }
        left.subtract(1, ordering: .sequentiallyConsistent)
      case 2:
        var queue = GuestQueue(machine.memory, at: Machine.queueAddress(0, 6))
        while left.load(ordering: .sequentiallyConsistent) > 0 {
          guard queue.next() != nil else {
            Threads.yield()
            continue
          }
          _ = try? machine.load(2, at: 0)
        }
      case 3:
        let (event, resample) = (FakeEvent(1), FakeEvent(2))
        while left.load(ordering: .sequentiallyConsistent) > 0 {
          try? rig.irqfd(2, event, resample: resample)
          event.fire()
          try? rig.untie(2, event, resample: resample)
        }
      default:
        let opener = Opener(id: 90, isWritable: true)
        let (event, resample) = (FakeEvent(3), FakeEvent(4))
        while left.load(ordering: .sequentiallyConsistent) > 0 {
          try? rig.irqfd(2, event, resample: resample, by: opener)
          event.fire()
          try? rig.irqfd(2, nil, resample: resample, by: opener)
          rig.device.closed(opener)?.completion()
        }
      }
    }
    #expect(rig.injected.irqfds == 2)
    if rig.pq(2) == .pending { try machine.load(2, at: 0) }
    #expect(!rig.state(2).isLineHigh && rig.pq(2) == .reset)
    for (event, resample) in pairs {
      #expect(event.count == 0 && resample.count >= UInt64(rounds))
      try rig.untie(2, event, resample: resample)
    }
    #expect(!rig.state(2).isShared && rig.injected.irqfds == 0)
  }

  @Test(
    "A shared line stays one, whoever starts over or stores records meanwhile", .hangGuard,
    arguments: [true, false])
  func staysALine(startsOver: Bool) throws {
    let rig = Rig(sources: 4, existing: 2, servers: 1)
    let resample = FakeEvent(1)
    let isDone = Atomic<Bool>(false)
    let shared = Atomic<Int>(0)
    let lost = Atomic<Int>(0)
    Threads.run(2) { thread in
      guard thread == 0 else {
        while !isDone.load(ordering: .sequentiallyConsistent) {
          if startsOver {
            try? rig.kvm(.set, group: 1, UInt64(KVM_DEV_XIVE_RESET))
          } else {
            // A message source, which a shared line must not become.
            try? rig.store([StateRecord()], from: 2)
          }
        }
        return
      }
      for _ in 0..<50_000 {
        rig.create(2, isLSI: true)
        guard (try? rig.irqfd(2, nil, resample: resample)) != nil else { continue }
        shared.add(1, ordering: .relaxed)
        for _ in 0..<20 where !rig.state(2).isLSI {
          lost.add(1, ordering: .relaxed)
          break
        }
        try? rig.untie(2, nil, resample: resample)
      }
      isDone.store(true, ordering: .sequentiallyConsistent)
    }
    #expect(shared.load(ordering: .relaxed) > 0, "nobody ever shared the line")
    #expect(lost.load(ordering: .relaxed) == 0, "an irqfd that nothing will ever come of")
  }

  @Test("P11: while hardware comes and goes each edge is a trigger or is counted as dropped")
  func passthrough() throws {
    let rig = try Rig.withPHB()
    let event = FakeEvent(1)
    try rig.irqfd(1, event)
    let isDone = Atomic<Bool>(false)
    Threads.run(2) { thread in
      if thread == 0 {
        for _ in 0..<2_000 {
          rig.setPQ(1, .reset)
          event.fire()
        }
        isDone.store(true, ordering: .sequentiallyConsistent)
      } else {
        while !isDone.load(ordering: .sequentiallyConsistent) {
          _ = try? rig.map(1, to: 2)
          Threads.yield()
          _ = try? rig.unmap(1, from: 2)
          Threads.yield()
        }
      }
    }
    #expect(rig.injected.injected == 2_000)
    #expect(rig.injected.refused <= 2_000)
    #expect(rig.changesUnderWay == 0)
    rig.setPQ(1, .reset)
    let refused = rig.injected.refused
    event.fire()
    #expect(rig.pq(1) == .pending && rig.injected.refused == refused)
  }
}

/// A party whose steps are closures.
final class Steps: Party {
  let name: String
  private var steps: [() -> Void]

  init(_ name: String, _ steps: [() -> Void]) {
    self.name = name
    self.steps = steps
  }

  var isDone: Bool { steps.isEmpty }
  let isBlocked = false

  func step() { steps.removeFirst()() }
}
