import Glibc
import PagedDevice
import Synchronization
import SystemCalls
import Testing
import XIVETestSupport

@testable import DeviceFile

@Suite("Eventfds that a device listens to", .hangGuard)
struct EventListenerTests {
  /// Ways to make an eventfd.
  private static let kinds: [Eventfd.Kind] = [
    [], .nonblocking, .semaphore, [.semaphore, .nonblocking],
  ]

  @Test("A raise is heard and taken, and the eventfd's flags stay as they are", arguments: kinds)
  func hears(kind: Eventfd.Kind) throws {
    try EventRig.run { rig in
      let own = Eventfd(0, kind)
      let event = try rig.take(own)
      let calls = Calls()
      try event.listen { calls.call() }
      for round in 1...100 {
        own.add()
        #expect(calls.reaches(round))
      }
      try rig.comesRound()
      #expect(calls.count == 100)
      let isBlocking = own.isBlocking
      let left = own.take()
      #expect(isBlocking == !kind.contains(.nonblocking))
      #expect(left == 0)
      event.stopListening(draining: false)
    }
  }

  @Test("What was raised before is heard: once, or each for a semaphore", arguments: kinds)
  func hearsWhatWasThere(kind: Eventfd.Kind) throws {
    try EventRig.run { rig in
      let own = Eventfd(5, kind)
      let event = try rig.take(own)
      let calls = Calls()
      try event.listen { calls.call() }
      let expected = kind.contains(.semaphore) ? 5 : 1
      #expect(calls.reaches(expected))
      try rig.comesRound()
      #expect(calls.count == expected)
      let left = own.take()
      #expect(left == 0)
    }
  }

  @Test("Others may take what was raised: the thread does not wait for more", arguments: kinds)
  func doesNotWait(kind: Eventfd.Kind) throws {
    try EventRig.run { rig in
      let own = Eventfd(0, kind)
      let other = try own.duplicate()
      let event = try rig.take(own)
      let calls = Calls()
      try event.listen { calls.call() }
      // As fast as both can: whoever reads a blocking eventfd after a mere look stays in the read.
      let taken = Atomic<Int>(0)
      for _ in 0..<20_000 {
        own.add()
        if try OwnedDescriptor(duplicating: other.rawValue).takeEvents() {
          taken.add(1, ordering: .relaxed)
        }
      }
      try rig.comesRound()
      #expect(calls.count + taken.load(ordering: .relaxed) <= 20_000)
      let before = calls.count
      own.add()
      #expect(calls.reaches(before + 1))
      event.stopListening(draining: false)
    }
  }

  @Test("Listening twice is refused, and again after the end is not")
  func listensOnce() throws {
    try EventRig.run { rig in
      let own = Eventfd()
      let event = try rig.take(own)
      let (first, second) = (Calls(), Calls())
      try event.listen { first.call() }
      #expect(throws: DeviceError.busy) { try event.listen { second.call() } }
      own.add()
      #expect(first.reaches(1))
      event.stopListening(draining: false)
      try event.listen { second.call() }
      own.add()
      #expect(second.reaches(1))
      #expect(first.count == 1)
      event.stopListening(draining: true)
      event.stopListening(draining: true)
      #expect(second.count == 1)
    }
  }

  @Test("After the end nobody is called, and what is raised stays for the next")
  func hearsNothingAfterTheEnd() throws {
    try EventRig.run { rig in
      let own = Eventfd()
      let event = try rig.take(own)
      let calls = Calls()
      try event.listen { calls.call() }
      event.stopListening(draining: false)
      own.add(3)
      try rig.comesRound()
      #expect(calls.count == 0)
      event.stopListening(draining: true)
      #expect(calls.count == 0, "nobody listens")
      let left = own.take()
      #expect(left == 3)
    }
  }

  @Test("The end waits for a call that is under way")
  func waitsForACall() throws {
    try EventRig.run { rig in
      let own = Eventfd(1)
      let event = try rig.take(own)
      let calls = Calls()
      calls.mayEnd = false
      try event.listen { calls.call() }
      #expect(calls.reaches(1))
      own.add()
      let hasEnded = Atomic<Bool>(false)
      Threads.run(2) { index in
        if index == 0 {
          event.stopListening(draining: false)
          #expect(!calls.areRunning)
          hasEnded.store(true, ordering: .sequentiallyConsistent)
        } else {
          let isEarly = Threads.sees(within: .milliseconds(100)) {
            hasEnded.load(ordering: .sequentiallyConsistent)
          }
          #expect(!isEarly)
          calls.mayEnd = true
        }
      }
      // It may have been heard once more before the end came to its turn; never after.
      let atEnd = calls.count
      own.add()
      try rig.comesRound()
      #expect(calls.count == atEnd)
    }
  }

  @Test("Draining calls once more, on the calling thread, when there is something")
  func drains() throws {
    // Without its thread: nobody else can have called.
    let rig = try EventRig()
    let own = Eventfd()
    let event = try rig.take(own)
    let threads = Mutex<[pthread_t]>([])
    for (count, expected) in [(0, 0), (1, 1), (7, 2)] as [(UInt64, Int)] {
      try event.listen { threads.withLock { $0.append(pthread_self()) } }
      if count > 0 { own.add(count) }
      event.stopListening(draining: true)
      #expect(threads.withLock { $0 }.count == expected)
      let left = own.take()
      #expect(left == 0)
    }
    #expect(threads.withLock { $0 }.allSatisfy { pthread_equal($0, pthread_self()) != 0 })
  }

  @Test("One that is raised all the time does not keep others from being heard")
  func isFair() throws {
    try EventRig.run { rig in
      // More than one look gives.
      let flooded = try (0..<100).map { _ in try rig.take(Eventfd(.max, .semaphore)) }
      let floods = Calls()
      for event in flooded { try event.listen { floods.call() } }
      let own = Eventfd()
      let event = try rig.take(own)
      let calls = Calls()
      try event.listen { calls.call() }
      for round in 1...20 {
        own.add()
        #expect(calls.reaches(round))
      }
      #expect(floods.reaches(100))
      for event in flooded { event.stopListening(draining: false) }
    }
  }

  @Test("Stopped in a flood, the thread ends, and what was raised before has been heard")
  func stops() throws {
    let rig = try EventRig()
    let own = (0..<200).map { _ in Box(Eventfd(1)) }
    let flood = try rig.take(Eventfd(.max, .semaphore))
    let calls = Calls()
    let floods = Calls()
    let events = try own.map { try rig.take($0.value) }
    for event in events { try event.listen { calls.call() } }
    try flood.listen { floods.call() }
    rig.listener.stop()
    // On this thread: it has been told to end before it begins.
    rig.listener.run()
    #expect(calls.count == 200)
    own.forEach { $0.value.add() }
    #expect(calls.count == 200)
    for event in events { event.stopListening(draining: true) }
    #expect(calls.count == 400, "the end of listening needs no thread")
    flood.stopListening(draining: false)
  }

  @Test("Whoever lets go of an eventfd does not listen any more, and its descriptor is closed")
  func ends() throws {
    try EventRig.run { rig in
      let own = Eventfd()
      let calls = Calls()
      let before = own.holders
      do {
        let event = try rig.take(own)
        try event.listen { calls.call() }
        let during = own.holders
        #expect(during == before + 1)
      }
      own.add()
      try rig.comesRound()
      #expect(calls.count == 0)
      let (left, after) = (own.take(), own.holders)
      #expect(left == 1)
      #expect(after == before)
    }
  }

  @Test("Calls of one eventfd do not overlap, whoever listens, ends and raises at once")
  func races() throws {
    try EventRig.run { rig in
      let own = Box(Eventfd())
      let event = try rig.take(own.value)
      let calls = Calls()
      let isListening = Atomic<Bool>(false)
      let stray = Atomic<Int>(0)
      Threads.run(3) { index in
        for round in 0..<2_000 {
          if index < 2 {
            own.value.add()
            continue
          }
          isListening.store(true, ordering: .sequentiallyConsistent)
          do {
            try event.listen {
              if !isListening.load(ordering: .sequentiallyConsistent) {
                stray.add(1, ordering: .relaxed)
              }
              calls.call()
            }
          } catch { Issue.record(error) }
          Threads.yield()
          event.stopListening(draining: round % 2 == 0)
          isListening.store(false, ordering: .sequentiallyConsistent)
          Threads.yield()
        }
      }
      #expect(stray.load(ordering: .relaxed) == 0)
      #expect(calls.mostAtOnce <= 1)
      #expect(calls.count > 0)
    }
  }

  @Test("A thousand are heard, each by its own listener, and leave no descriptor")
  func thousand() throws {
    try DescriptorLimit.raise()
    try EventRig.run { rig in
      let own = (0..<1_000).map { _ in Box(Eventfd()) }
      let calls = (0..<1_000).map { _ in Calls() }
      var events = try own.map { try rig.take($0.value) }
      for (event, calls) in zip(events, calls) { try event.listen { calls.call() } }
      own.forEach { $0.value.add() }
      for calls in calls { #expect(calls.reaches(1)) }
      for event in events.prefix(500) { event.stopListening(draining: true) }
      // The other half is let go of while it is listened to.
      events = []
      own.forEach { $0.value.add() }
      try rig.comesRound()
      #expect(calls.allSatisfy { $0.count == 1 })
      #expect(own.allSatisfy { $0.value.take() == 1 })
      let mine = Set(own.compactMap { $0.value.identity })
      #expect(mine.count == 1_000)
      #expect(Eventfd.all.count { mine.contains($0) } == 1_000)
    }
  }
}

/// Keeps an eventfd in a list.
final class Box: Sendable {
  let value: Eventfd
  init(_ value: consuming Eventfd) { self.value = value }
}

extension Eventfd {
  /// Which eventfds the descriptors of this process lead to.
  static var all: [UInt64] {
    (Int32(0)..<8_192).compactMap { number in
      try? ForeignDescriptor(number, ofThread: getpid()).eventIdentity()
    }
  }

  var identity: UInt64? {
    try? ForeignDescriptor(rawValue, ofThread: getpid()).eventIdentity()
  }

  /// Descriptors of this process that lead to it.
  var holders: Int {
    let own = identity
    return Self.all.count { $0 == own }
  }
}
