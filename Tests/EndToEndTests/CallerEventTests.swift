import Glibc
import Testing
import XIVETestSupport

@Suite("Eventfds of callers", .enabled(if: Requirement.canMount), .hangGuard)
struct CallerEventTests {
  /// Waits for a counter of the device, which the look takes to zero.
  private func sees(
    _ count: UInt64, in counter: Int, _ consumer: inout Consumer
  ) throws -> Bool {
    var sum: UInt64 = 0
    return try consumer.awaits { consumer in
      sum += try consumer.load(at: MailboxDevice.counter(counter))
      return sum == count
    }
  }

  /// Descriptors of a process that lead to eventfds.
  private func eventfds(of process: Int32) -> Int {
    (0..<4_096).count { number in
      var target = [CChar](repeating: 0, count: 64)
      let path = "/proc/\(process)/fd/\(number)"
      let length = unsafe readlink(path, &target, 63)
      guard length > 0 else { return false }
      return String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        == "anon_inode:[eventfd]"
    }
  }

  @Test(
    "The device hears what a caller raises, and raises what it takes",
    arguments: ["plain", "nonblock", "semaphore"])
  func hearsAndRaises(kind: String) throws {
    let device = try MailboxDevice.serve()
    var owner = try Consumer(opening: device.path)
    try owner.expect("eventfd 1 0 \(kind)")
    try owner.expect("eventfd 2 0 \(kind)")
    try owner.expect(.takeEvent, owner.number(of: 1), 1)
    try owner.expect(.takeEvent, owner.number(of: 2), 2)
    try owner.expect(.listen, 1, 7)
    for _ in 0..<20 {
      try owner.expect("raise 1 1")
      #expect(try sees(1, in: 7, &owner))
      try owner.expect(.raise, 2)
      #expect(try owner.expect("take 2") == "1")
    }
    #expect(try owner.ask(.listen, 1, 8) == "errno EBUSY 16")
    try owner.expect(.stopListening, 1, 0)
    try owner.expect("raise 1 3")
    #expect(try owner.expect("take 1") == (kind == "semaphore" ? "1" : "3"))
    #expect(try owner.load(at: MailboxDevice.counter(7)) == 0)
  }

  @Test("One eventfd is one, by all its descriptors and in all processes")
  func identity() throws {
    let device = try MailboxDevice.serve()
    var owner = try Consumer(opening: device.path)
    try owner.expect("eventfd 1 0 plain")
    try owner.expect("duplicate 1 2")
    try owner.expect("eventfd 3 0 plain")
    let answers = try (1...3).map { slot in
      try owner.ask(.takeEvent, owner.number(of: slot), UInt64(slot)).suffix(16)
    }
    #expect(answers[0] == answers[1])
    #expect(answers[0] != answers[2])
  }

  @Test(
    "The caller closes its eventfd, and is killed: nobody notices but the device, which lets go")
  func ownerGoes() throws {
    let device = try MailboxDevice.serve()
    let before = eventfds(of: device.processID)
    var owner = try Consumer(opening: device.path)
    var other = try Consumer(opening: device.path)
    try owner.expect("eventfd 1 0 plain")
    try owner.expect(.takeEvent, owner.number(of: 1), 1)
    try owner.expect(.listen, 1, 7)
    #expect(eventfds(of: device.processID) == before + 1)
    try owner.expect("duplicate 1 2")
    try owner.expect("close 1")
    try owner.expect("raise 2 1")
    #expect(try sees(1, in: 7, &owner))
    try owner.expect("raise 2 1")
    owner.signal(SIGKILL)
    #expect(owner.exitCode() == 128 + SIGKILL)
    #expect(try sees(1, in: 7, &other), "what was raised before the end is heard")
    try other.expect(.raise, 1)
    #expect(try sees(1, in: 7, &other), "the device has it to itself")
    try other.expect(.dropEvent, 1)
    #expect(eventfds(of: device.processID) == before)
  }

  @Test("What is no eventfd is refused, the device's own file among it, and that is not kept open")
  func refuses() throws {
    let device = try MailboxDevice.serve()
    let another = try MailboxDevice.serve()
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("open 1 \(another.path) rw,direct")
    try consumer.expect("open 2 /dev/null rw")
    try consumer.expect("memfd 3 4096 shrink")
    for slot in 0...3 {
      let number = try consumer.number(of: slot)
      #expect(try consumer.ask(.takeEvent, number, 1) == "errno EINVAL 22", "\(slot)")
    }
    #expect(try consumer.ask(.takeEvent, 0, 1) == "errno EINVAL 22", "its commands")
    for number in [999, UInt64(UInt32.max)] {
      #expect(try consumer.ask(.takeEvent, number, 1) == "errno EBADF 9")
    }
    #expect(try consumer.ask(.listen, 1, 0) == "errno ENOENT 2")
    try consumer.expect(.attach, 0)
    #expect(try consumer.ask(.takeEvent, consumer.number(of: 0), 1) == "errno EINVAL 22")
    try consumer.expect("close 0")
    var other = try Consumer(opening: device.path)
    #expect(try other.awaits { try $0.expect(.countAttached) == 0 })
  }

  @Test("An owner that fills a blocking eventfd does not hold the server up")
  func fullCounter() throws {
    let device = try MailboxDevice.serve()
    var owner = try Consumer(opening: device.path)
    try owner.expect("eventfd 1 0 plain")
    try owner.expect(.takeEvent, owner.number(of: 1), 1)
    try owner.expect("raise 1 \(UInt64.max - 1)")
    for _ in 0..<10 { try owner.expect(.raise, 1) }
    #expect(try owner.expect("take 1") == "\(UInt64.max - 1)")
    try owner.expect(.raise, 1)
    #expect(try owner.expect("take 1") == "1")
  }

  @Test("A server ends while eventfds are listened to and raised")
  func serverEnds() throws {
    var device = try MailboxDevice.serve()
    var owner = try Consumer(opening: device.path)
    try owner.expect("eventfd 1 4000000000 semaphore")
    try owner.expect(.takeEvent, owner.number(of: 1), 1)
    try owner.expect(.listen, 1, 7)
    #expect(device.stop() == 0)
    try owner.expect("raise 1 1")
  }

  @Test(
    "An integer argument reaches the device as it is",
    arguments: [0, 1, 129, 0x7fff_ffff, 0xffff_ffff, UInt64.max, 1 << 63])
  func integerArgument(value: UInt64) throws {
    let device = try MailboxDevice.serve()
    var consumer = try Consumer(opening: device.path)
    let result = try consumer.expect("ioctl-value 0 0x540c \(value)")
    #expect(result == "\(value & 0x7fff_ffff)")
    #expect(try consumer.load(at: 0) == value)
  }
}
