import CFuse3
import Glibc
import PagedDevice
import Synchronization
import SystemCalls
import Testing
import XIVETestSupport

@testable import DeviceFile

@Suite("Waiting for descriptors")
struct PollTests {
  private static let reader = Opener(id: 4, isWritable: false)
  private static let writer = Opener(id: 5, isWritable: true)

  /// Asks as `poll` does, and gives the events that are answered.
  private func poll(
    _ kernel: KernelSide, _ opener: Opener, waiters: UInt64 = 1, _ events: Int32
  ) throws -> Int32 {
    let message = Message.poll(
      handle: opener.handle, waiters: waiters, events: UInt32(bitPattern: events))
    let result = kernel.handle(message.bytes)
    #expect(!result.mayBlock && result.answers.count == 1)
    let answer = try #require(result.answers.first)
    #expect(answer.unique == 7 && answer.error == 0 && answer.body.count == 8)
    return Int32(bitPattern: try #require(answer.body.leading(UInt32.self)))
  }

  @Test("What is there and was asked for is answered", arguments: [false, true], [reader, writer])
  func events(isReadable: Bool, opener: Opener) throws {
    let kernel = try KernelSide()
    kernel.device.isReadable = isReadable
    let all = [POLLIN, POLLRDNORM, POLLOUT, POLLWRNORM, POLLERR, POLLPRI, POLLHUP]
    for bits in 0..<Int32(1) << all.count {
      let events = all.enumerated().reduce(0) { $0 | (bits >> Int32($1.offset) & 1) * $1.element }
      var expected: Int32 = 0
      if isReadable { expected |= events & (POLLIN | POLLRDNORM) }
      if opener.isWritable { expected |= events & (POLLOUT | POLLWRNORM) }
      #expect(try poll(kernel, opener, events) == expected, "\(events)")
      // Only who waits for input has anything to wait for.
      let isAsked = events & (POLLIN | POLLRDNORM) != 0
      #expect(kernel.device.calls() == (isAsked ? [.isReadable(opener)] : []))
    }
    // All events, as the kernel asks for a descriptor that is polled without a set.
    #expect(
      try poll(kernel, opener, -1) & POLLIN == (isReadable ? POLLIN : 0))
  }

  @Test("A waker wakes the descriptor that was polled, as often as it is used")
  func wakes() throws {
    let kernel = try KernelSide()
    for waiters in [UInt64(1), 77, .max] {
      _ = try poll(kernel, Self.reader, waiters: waiters, POLLIN)
      let waker = try #require(kernel.device.waker)
      #expect(kernel.answers().isEmpty, "a poll wakes nobody")
      waker.wake()
      #expect(kernel.answers() == [.wake(waiters)])
      waker.wake()
      waker.wake()
      #expect(kernel.answers() == [.wake(waiters), .wake(waiters)])
    }
  }

  @Test("A device that is readable already gets a waker as well, for the next time")
  func wakesLater() throws {
    let kernel = try KernelSide()
    kernel.device.isReadable = true
    _ = try poll(kernel, Self.reader, waiters: 6, POLLIN)
    try #require(kernel.device.waker).wake()
    #expect(kernel.answers() == [.wake(6)])
  }

  @Test("Each poll of each descriptor has its own waker")
  func wakesItsOwn() throws {
    let kernel = try KernelSide()
    let wakers = try (UInt64(1)...50).map { waiters in
      _ = try poll(kernel, Opener(id: waiters, isWritable: false), waiters: waiters, POLLIN)
      return try #require(kernel.device.waker)
    }
    for (index, waker) in wakers.enumerated().reversed() {
      waker.wake()
      #expect(kernel.answers() == [.wake(UInt64(index + 1))])
    }
  }

  @Test("Once the file is unmounted a waker does nothing, and it does not keep the session")
  func wakesNobody() throws {
    let device = RecordingDevice()
    var kernel: KernelSide? = try KernelSide(device)
    weak let session = kernel?.session
    if let kernel {
      _ = try poll(kernel, Self.reader, POLLIN)
      kernel.session.unmount()
      try #require(device.waker).wake()
      #expect(kernel.answers().isEmpty)
    }
    #expect(session != nil)
    kernel = nil
    #expect(session == nil)
    try #require(device.waker).wake()
  }

  /// How far the threads of a test have come.
  private final class Steps: Sendable {
    let isFull = Atomic<Bool>(false)
    let hasWoken = Atomic<Bool>(false)
    let hasClosed = Atomic<Bool>(false)
  }

  @Test("Who closes waits for those who are waking: nothing is written afterwards")
  func closes() throws {
    var ends: [Int32] = [-1, -1]
    precondition(unsafe pipe(&ends) == 0, "no pipe")
    let input = OwnedDescriptor(rawValue: ends[0])
    let output = OwnedDescriptor(rawValue: ends[1])
    try OwnedDescriptor.makeNonblocking(input.rawValue)
    let notifications = PollNotifications(on: output.rawValue)
    let (reading, writing) = (input.rawValue, output.rawValue)
    let steps = Steps()
    // Unlike the kernel, a full pipe holds a thread in its call.
    //    waker              closer                 test
    //    fills the pipe                            sees it full
    //    waits in a call    closes, and waits      sees that
    //    goes on            returns                drains the pipe
    Threads.run(3) { index in
      switch index {
      case 0:
        let waker = notifications.waker(for: 1)
        for _ in 0..<10_000 { waker.wake() }
        steps.hasWoken.store(true, ordering: .sequentiallyConsistent)
      case 1:
        while !steps.isFull.load(ordering: .sequentiallyConsistent) { Threads.yield() }
        notifications.close()
        steps.hasClosed.store(true, ordering: .sequentiallyConsistent)
      default:
        while Self.canWrite(writing) { Threads.yield() }
        steps.isFull.store(true, ordering: .sequentiallyConsistent)
        let hasClosed = Threads.sees(within: .milliseconds(200)) {
          steps.hasClosed.load(ordering: .sequentiallyConsistent)
        }
        // Closed in between two calls, which leaves none that waits.
        if hasClosed {
          let hasWoken = Threads.sees(within: .seconds(2)) {
            steps.hasWoken.load(ordering: .sequentiallyConsistent)
          }
          #expect(hasWoken, "a call is under way after the end")
        }
        while !steps.hasClosed.load(ordering: .sequentiallyConsistent) { Self.drain(reading) }
        Self.drain(reading)
      }
    }
    Self.drain(reading)
    notifications.waker(for: 2).wake()
    #expect(!Readiness.isReadable(reading))
    #expect(Self.canWrite(writing))
  }

  private static func canWrite(_ descriptor: Int32) -> Bool {
    var polled = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return unsafe Glibc.poll(&polled, 1, 0) == 1
  }

  /// Reads what there is.
  private static func drain(_ descriptor: Int32) {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe bytes.withUnsafeMutableBytes {
        unsafe read(descriptor, $0.baseAddress, $0.count)
      }
      if count <= 0 { return }
    }
  }
}
