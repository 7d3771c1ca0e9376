internal import Synchronization
internal import SystemCalls
internal import SystemPackage
internal import XIVEClient

/// How long after a trigger the thread of the vCPUs returns from `epoll_wait`.
final class WakeUpBench {
  private let vcpus: [BenchVCPU]
  private let epoll: Epoll
  private let trigger: Trigger
  private var turn = 0

  /// What the other thread has: a descriptor of its own.
  private final class Trigger: Sendable {
    let device: XIVEDescriptor
    init(_ path: String) throws(XIVEClientError) { device = try XIVEDescriptor(path) }
  }

  /// Waits for all vCPUs from here on.
  init(_ vcpus: BenchVCPUs) throws {
    self.vcpus = vcpus.all
    epoll = try Epoll()
    for (number, vcpu) in self.vcpus.enumerated() {
      try epoll.add(vcpu.rawValue, as: UInt64(number))
    }
    trigger = try Trigger(vcpus.path)
  }

  /// Triggers one vCPU after the other.
  /// - Returns: nanoseconds since before each trigger.
  func measure(_ count: Int) throws -> [Double] {
    let other = try OtherThread()
    return try (0..<count).map { _ in
      let number = turn % vcpus.count
      let vcpu = vcpus[number]
      turn += 1
      let lisn = vcpu.lisn
      other.run { [trigger] in try trigger.device.trigger(lisn) }
      let woken = epoll.wait(milliseconds: 5_000)
      let time = other.nanosecondsSinceRun
      guard woken == UInt64(number), try vcpu.acknowledge(), try vcpu.finish() else {
        throw BenchFailure.lostInterrupts("a vCPU was not woken, or found nothing")
      }
      return time
    }
  }
}

/// The same with an `eventfd`, which has nothing between the threads but the kernel.
final class EventWakeUpBench {
  private let epoll: Epoll
  private let flag: Flag

  private final class Flag: Sendable {
    let event: Event
    init() throws(Errno) { event = try Event() }
  }

  /// Waits for a flag from here on.
  init() throws(Errno) {
    flag = try Flag()
    epoll = try Epoll()
    try epoll.add(flag.event.rawValue, as: 0)
  }

  /// Raises the flag.
  /// - Returns: nanoseconds since before each time.
  func measure(_ count: Int) throws -> [Double] {
    let other = try OtherThread()
    return try (0..<count).map { _ in
      other.run { [flag] in flag.event.raise() }
      let woken = epoll.wait(milliseconds: 5_000)
      let time = other.nanosecondsSinceRun
      guard woken == 0 else { throw BenchFailure.lostInterrupts("an eventfd woke nobody") }
      flag.event.lower()
      return time
    }
  }
}

/// A thread that does what the thread that has made it then waits for.
private final class OtherThread {
  private let threads = ThreadGroup()
  private let box: Box

  private final class Box: Sendable {
    let isFull: Event
    let start = Atomic<UInt64>(0)
    let work = Mutex<(@Sendable () throws -> Void)?>(nil)
    init() throws(Errno) { isFull = try Event() }
  }

  init() throws {
    let box = try Box()
    self.box = box
    try threads.start("bench-trigger") { Self.serve(box) }
  }

  deinit {
    box.work.withLock { $0 = nil }
    box.isFull.raise()
    threads.join()
  }

  /// Has the thread do something, a moment later: when this one waits.
  func run(_ work: @escaping @Sendable () throws -> Void) {
    box.work.withLock { $0 = work }
    box.isFull.raise()
  }

  /// Time since the thread has begun to do it.
  var nanosecondsSinceRun: Double {
    let now = MonotonicClock.nanoseconds
    return Double(now) - Double(box.start.load(ordering: .sequentiallyConsistent))
  }

  private static func serve(_ box: Box) {
    while true {
      guard box.isFull.wait() else { continue }
      box.isFull.lower()
      guard let work = box.work.withLock({ $0 }) else { return }
      MonotonicClock.sleep(nanoseconds: 100_000)
      box.start.store(MonotonicClock.nanoseconds, ordering: .sequentiallyConsistent)
      // What fails wakes nobody, and that is an error there.
      try? work()
    }
  }
}
