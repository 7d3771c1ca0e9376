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

  @Test("Who closes waits for those who are waking: nothing is written afterwards")
  func closes() throws {
    for _ in 0..<50 {
      var ends: [Int32] = [-1, -1]
      precondition(unsafe pipe(&ends) == 0, "no pipe")
      let input = OwnedDescriptor(rawValue: ends[0])
      let output = OwnedDescriptor(rawValue: ends[1])
      try OwnedDescriptor.makeNonblocking(input.rawValue)
      try OwnedDescriptor.makeNonblocking(output.rawValue)
      let notifications = PollNotifications(on: output.rawValue)
      let reading = input.rawValue
      let count = Atomic<Int>(0)
      let late = Atomic<Int>(0)
      Threads.run(4) { index in
        if index > 0 {
          let waker = notifications.waker(for: UInt64(index))
          for _ in 0..<200 { waker.wake() }
        } else {
          while count.load(ordering: .relaxed) == 0 {
            count.add(Self.drain(reading), ordering: .relaxed)
          }
          notifications.close()
          _ = Self.drain(reading)
          for _ in 0..<20 {
            Threads.yield()
            late.add(Self.drain(reading), ordering: .relaxed)
          }
        }
      }
      late.add(Self.drain(reading), ordering: .relaxed)
      #expect(late.load(ordering: .relaxed) == 0)
      let isStillOpen = output.rawValue >= 0 && input.rawValue >= 0
      #expect(isStillOpen)
    }
  }

  /// Reads what there is.
  private static func drain(_ descriptor: Int32) -> Int {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    var total = 0
    while true {
      let count = unsafe bytes.withUnsafeMutableBytes {
        unsafe read(descriptor, $0.baseAddress, $0.count)
      }
      guard count > 0 else { return total }
      total += count
    }
  }
}
