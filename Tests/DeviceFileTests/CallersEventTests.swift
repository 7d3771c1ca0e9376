import Glibc
import PagedDevice
import Synchronization
import SystemCalls
import SystemPackage
import Testing
import XIVETestSupport

@testable import DeviceFile

@Suite("Eventfds that a device takes and raises", .hangGuard)
struct CallersEventTests {
  @Test("The identity is the eventfd's, by whatever descriptor, and no other's")
  func identifies() throws {
    let rig = try EventRig()
    let own = Eventfd()
    let same = try own.duplicate()
    let other = Eventfd()
    let (first, second, third) = (try rig.take(own), try rig.take(same), try rig.take(other))
    #expect(first.identity == second.identity)
    #expect(try rig.take(own).identity == first.identity)
    #expect(first.identity != third.identity)
  }

  @Test("Two that took the same eventfd share what is raised between them")
  func shares() throws {
    try EventRig.run { rig in
      let own = Eventfd()
      let events = [try rig.take(own), try rig.take(own)]
      let calls = Calls()
      for event in events { try event.listen { calls.call() } }
      own.add()
      #expect(calls.reaches(1))
      try rig.comesRound()
      #expect(calls.count == 1)
      events[0].stopListening(draining: false)
      own.add()
      #expect(calls.reaches(2))
    }
  }

  @Test("What is no eventfd is refused, and no copy is taken of it")
  func refuses() throws {
    let rig = try EventRig()
    var ends: [Int32] = [-1, -1]
    #expect(unsafe pipe(&ends) == 0)
    let reading = OwnedDescriptor(rawValue: ends[0])
    let writing = OwnedDescriptor(rawValue: ends[1])
    let null = try OwnedDescriptor(opening: "/dev/null", .readWrite)
    let memory = try SealedMemory("\neventfd-id: 7", byteCount: 4_096)
    let epoll = try Epoll()
    let numbers = [reading.rawValue, writing.rawValue, null.rawValue, memory.file.rawValue]
    for number in numbers {
      #expect(throws: DeviceError.invalid) { try rig.caller.event(number) }
    }
    withExtendedLifetime(epoll) {}
    // The second look: what was put in its place after the first.
    #expect(throws: DeviceError.invalid) {
      try CallersEvent(OwnedDescriptor(opening: "/dev/null", []), rig.listener)
    }
  }

  @Test("What is no eventfd is not asked: its owner may hold its lock for ever")
  func asksNobody() throws {
    var consumer = try Consumer()
    // Only some may use userfaultfd, which holds it.
    guard try consumer.ask("held-epoll 0") == "ok" else { return }
    let number = try #require(Int32(try consumer.expect("number 0")))
    let caller = CallingProcess(
      threadID: consumer.processID, mount: nil, listener: try EventListener())
    let isRefused = Mutex(false)
    let thread = ThreadGroup()
    try thread.start("look") {
      do throws(DeviceError) { _ = try caller.event(number) } catch {
        if error == .invalid { isRefused.withLock { $0 = true } }
      }
    }
    #expect(Threads.sees(within: .seconds(60)) { isRefused.withLock { $0 } })
    // Frees whoever waits.
    consumer.signal(SIGKILL)
    thread.join()
  }

  @Test("Raising adds one, to a semaphore as well, and leaves a full counter full")
  func raises() throws {
    let rig = try EventRig()
    for kind in [[], .nonblocking, .semaphore] as [Eventfd.Kind] {
      let own = Eventfd(0, kind)
      let event = try rig.take(own)
      for _ in 0..<500 { event.raise() }
      let isSemaphore = kind.contains(.semaphore)
      var sum: UInt64 = 0
      while case let count = own.take(), count > 0 { sum += count }
      #expect(sum == 500)
      own.add(.max - 1)
      event.raise()
      let left = own.take()
      #expect(left == (isSemaphore ? 1 : UInt64.max - 1))
    }
  }

  @Test("Nothing that the owner does makes a raise wait")
  func neverWaits() throws {
    let rig = try EventRig()
    guard rig.listener.raiser.neverWaits else { return }
    let own = Box(Eventfd())
    let event = try rig.take(own.value)
    let round = Atomic<Int>(0)
    let done = Atomic<Int>(0)
    // There is room for one: two that have looked and then write would leave one of them waiting.
    Threads.run(4) { index in
      for number in 1...1_000 {
        if index > 0 {
          while round.load(ordering: .sequentiallyConsistent) < number { Threads.yield() }
          event.raise()
          done.add(1, ordering: .sequentiallyConsistent)
          continue
        }
        _ = own.value.takeAll()
        own.value.add(.max - 2)
        round.store(number, ordering: .sequentiallyConsistent)
        let isDone = { done.load(ordering: .sequentiallyConsistent) == 3 * number }
        guard !Threads.sees(within: .seconds(30), isDone) else { continue }
        Issue.record("a raise waits in round \(number)")
        // Lets all go to their end, freeing whoever waits.
        round.store(.max, ordering: .sequentiallyConsistent)
        while done.load(ordering: .sequentiallyConsistent) < 3 * 1_000 {
          _ = own.value.takeAll()
        }
        return
      }
    }
  }

  @Test("A device may raise one in answer to another that it hears")
  func raisesWhileHearing() throws {
    try EventRig.run { rig in
      let own = Eventfd()
      let answer = Eventfd()
      let (event, back) = (try rig.take(own), try rig.take(answer))
      try event.listen { back.raise() }
      for _ in 0..<100 {
        own.add()
        #expect(Readiness.isReadable(answer.rawValue, within: 60_000))
        let count = answer.take()
        #expect(count == 1)
      }
      event.stopListening(draining: false)
    }
  }

  @Test("A caller has a name: its process and command, whichever thread asks")
  func names() throws {
    var consumer = try Consumer()
    let listener = try EventListener()
    @Sendable func name(_ thread: Int32) -> String {
      CallingProcess(threadID: thread, mount: nil, listener: listener).name
    }
    // Until it answers it may still have the name of the thread that has started it.
    try consumer.expect("sleep 1")
    #expect(name(consumer.processID) == "process \(consumer.processID) (TestConsumer)")
    #expect(name(0) == "an unseen process")
    let seen = Mutex("")
    Threads.run(1) { _ in
      guard let path = try? MountTable.realPath("/proc/thread-self"),
        let thread = path.split(separator: "/").last.flatMap({ Int32($0) }), thread != getpid()
      else { return }
      seen.withLock { $0 = name(thread) }
    }
    #expect(seen.withLock { $0 } == name(getpid()))
    #expect(name(getpid()).hasPrefix("process \(getpid()) ("))
    try consumer.expect("name a\u{1b}[1m\u{7f}b)")
    #expect(name(consumer.processID) == "process \(consumer.processID) (a?[1m?b))")
  }
}

extension Eventfd {
  /// Takes all that there is, without waiting.
  func takeAll() -> Bool {
    (try? OwnedDescriptor(duplicating: rawValue).takeEvents()) ?? false
  }
}
