import Glibc
import PagedDevice
import Synchronization
import SystemCalls
import XIVETestSupport

@testable import DeviceFile

/// An eventfd of this process, which stands for a caller's.
struct Eventfd: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor
  var rawValue: Int32 { descriptor.rawValue }

  /// How it is made: Linux's `EFD_SEMAPHORE` and `EFD_NONBLOCK`.
  struct Kind: OptionSet {
    let rawValue: Int32
    static let semaphore = Kind(rawValue: 1)
    static let nonblocking = Kind(rawValue: 0o4000)
  }

  init(_ count: UInt32 = 0, _ kind: Kind = []) {
    // Swift's Glibc module lacks it.
    typealias Create = @convention(c) (UInt32, Int32) -> Int32
    let create = unsafe unsafeBitCast(dlsym(nil, "eventfd"), to: Create.self)
    descriptor = OwnedDescriptor(rawValue: create(count, kind.rawValue))
    precondition(rawValue >= 0, "no eventfd")
  }

  private init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }

  func duplicate() throws -> Eventfd { Eventfd(try descriptor.duplicate()) }

  /// Adds, as its owner does.
  func add(_ count: UInt64 = 1) {
    let written = unsafe withUnsafeBytes(of: count) { unsafe write(rawValue, $0.baseAddress, 8) }
    precondition(written == 8, "not written: \(errno)")
  }

  /// Takes what there is.
  func take() -> UInt64 {
    var count: UInt64 = 0
    guard Readiness.isReadable(rawValue) else { return 0 }
    let got = unsafe withUnsafeMutableBytes(of: &count) { unsafe read(rawValue, $0.baseAddress, 8) }
    precondition(got == 8, "not read: \(errno)")
    return count
  }

  /// Whether it is a blocking one.
  var isBlocking: Bool {
    let path = "/proc/self/fdinfo/\(rawValue)"
    let flags = TextFile.contents(of: path).split(separator: "\n").first { $0.hasPrefix("flags:") }
    let value = flags?.split(separator: "\t").last.flatMap { Int32($0, radix: 8) } ?? 0
    return value & Kind.nonblocking.rawValue == 0
  }
}

/// Counts calls, and can hold them up.
final class Calls: Sendable {
  private let total = Atomic<Int>(0)
  private let running = Atomic<Int>(0)
  private let gate = Atomic<Bool>(true)
  /// The most that ran at once.
  private let most = Atomic<Int>(0)

  var count: Int { total.load(ordering: .sequentiallyConsistent) }
  var areRunning: Bool { running.load(ordering: .sequentiallyConsistent) > 0 }
  var mostAtOnce: Int { most.load(ordering: .sequentiallyConsistent) }
  /// Whether a call may end.
  var mayEnd: Bool {
    get { gate.load(ordering: .sequentiallyConsistent) }
    set { gate.store(newValue, ordering: .sequentiallyConsistent) }
  }

  func call() {
    let now = running.add(1, ordering: .sequentiallyConsistent).newValue
    _ = most.max(now, ordering: .sequentiallyConsistent)
    total.add(1, ordering: .sequentiallyConsistent)
    while !mayEnd { Threads.yield() }
    running.subtract(1, ordering: .sequentiallyConsistent)
  }

  /// Waits for so many calls.
  func reaches(_ expected: Int) -> Bool {
    Threads.sees(within: .seconds(60)) { count >= expected }
  }
}

/// An event thread, and this process as a caller.
final class EventRig: Sendable {
  let listener: EventListener
  private let isRunning = Atomic<Bool>(false)
  private let hasEnded = Atomic<Bool>(false)

  init() throws { listener = try EventListener() }

  var caller: CallingProcess {
    CallingProcess(threadID: getpid(), mount: nil, listener: listener)
  }

  func take(_ event: borrowing Eventfd) throws -> any SharedEvent {
    try caller.event(event.rawValue)
  }

  /// Runs a body while the event thread runs.
  static func run(_ body: (EventRig) throws -> Void) throws {
    let rig = try EventRig()
    let thread = ThreadGroup()
    try thread.start("events") { [rig] in rig.listener.run() }
    defer {
      rig.listener.stop()
      thread.join()
    }
    try body(rig)
  }

  /// Waits until the thread has come round: what was raised before has been heard.
  func comesRound() throws {
    for _ in 0..<2 {
      let flag = Eventfd(1)
      let calls = Calls()
      let event = try take(flag)
      try event.listen { calls.call() }
      precondition(calls.reaches(1), "the event thread does not come round")
      event.stopListening(draining: false)
    }
  }
}
