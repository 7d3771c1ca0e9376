import CXIVE
import Testing
import XIVETestSupport

@Suite(
  "Event queues in guest memory, through a mount", .enabled(if: Requirement.canMount), .hangGuard)
struct MountGuestMemoryTests {
  @Test("An event is in the queue of another process's memory before its vCPU is told")
  func entry() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var guest = try GuestProcess(on: device.path)
    var sender = try Consumer(opening: device.path)
    for round in 0..<4 as Range<UInt64> {
      #expect(try guest.consumer.isReadable() == false)
      guest.consumer.send("poll 0 in 10000")
      try sender.store(at: triggerPage(round))
      #expect(try guest.consumer.answer() == "ok in")
      #expect(try guest.consumer.load(at: OSView.acknowledge, size: 2) == 0x8006)
      #expect(try guest.entry(round) == 0x8000_0050 + round)
      #expect(try guest.entry(round + 1) == 0)
      try guest.consumer.setPQ(round, 0)
      try guest.consumer.storeByte(0xff, at: OSView.cppr)
    }
    #expect(try guest.consumer.queue(0).qindex == 4)
  }

  @Test("RESET masks sources and disables queues, EQ_SYNC changes nothing; sources stay")
  func reset() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var guest = try GuestProcess(on: device.path)
    try guest.consumer.store(at: triggerPage(0))
    try guest.consumer.expect("attr 0 set 1 2 -")
    #expect(try guest.entry(0) == 0x8000_0050)
    #expect(try guest.consumer.queue(0).qindex == 1)
    #expect(try guest.consumer.delivery().entries == 1)
    try guest.consumer.expect("attr 0 set 1 1 -")
    #expect(try guest.consumer.queue(0).qshift == 0)
    for lisn in 0..<4 as Range<UInt64> { #expect(try guest.consumer.pq(lisn) == 1) }
    try guest.consumer.setPQ(1, 0)
    try guest.consumer.store(at: triggerPage(1))
    #expect(try guest.consumer.delivery().entries == 1)
    #expect(try guest.consumer.delivery().masked == 1)
    #expect(try guest.entry(1) == 0)
    // Configured again, everything works again, and the vCPU is still connected.
    try guest.setUp()
    try guest.consumer.store(at: triggerPage(3))
    #expect(try guest.entry(0) == 0x8000_0053)
    #expect(try guest.consumer.isReadable(within: 5_000))
  }

  @Test("Memory that is removed takes its queues along; events are dropped, the server goes on")
  func removed() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var guest = try GuestProcess(on: device.path)
    try guest.consumer.store(at: triggerPage(0))
    try guest.consumer.unshare()
    #expect(try guest.consumer.queue(0).qshift == 0)
    for lisn in 1..<4 as Range<UInt64> { try guest.consumer.store(at: triggerPage(lisn)) }
    #expect(try guest.consumer.delivery().entries == 1)
    #expect(try guest.consumer.guestErrors().end_invalid == 3)
    #expect(try guest.entry(0) == 0x8000_0050)
    #expect(try guest.entry(1) == 0, "nobody writes there any more")
    #expect(try guest.consumer.configureQueue(0, at: GuestProcess.memory).hasPrefix("errno EINVAL"))
    try guest.share()
    try guest.setUp()
    try guest.consumer.store(at: triggerPage(2))
    #expect(try guest.entry(0) == 0x8000_0052)
  }

  @Test("Memory stays usable when its owner closes it, and a queue when its owner is killed")
  func ownerGone() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var guest = try GuestProcess(on: device.path)
    var other = try Consumer(opening: device.path)
    try guest.consumer.expect("close 9")
    try other.store(at: triggerPage(0))
    #expect(try guest.entry(0) == 0x8000_0050)
    guest.consumer.signal(9)
    #expect(guest.consumer.exitCode() == 137)
    try other.store(at: triggerPage(1))
    #expect(try other.delivery().entries == 2)
    // Read by nobody; the next vCPU 0 finds its place in it.
    #expect(try other.await { $0.vcpus == 0 })
    #expect(try other.connect(to: 0).hasPrefix("ok"))
    #expect(try other.queue(0).qindex == 2)
  }

  @Test(
    "A memfd that could be taken away under a queue is refused",
    arguments: [
      ("none", 0x10000, 0, "EINVAL"), ("grow,write", 0x10000, 0, "EINVAL"),
      ("shrink,write", 0x10000, 0, "EINVAL|EPERM|EACCES"),
      ("shrink", 0xf000, 0, "EINVAL"), ("shrink", 0x10000, 0x1000, "EINVAL"),
      ("shrink", 0x11000, 0x1000, ""),
    ] as [(String, UInt64, UInt64, String)])
  func refused(_ seals: String, _ byteCount: UInt64, _ offset: UInt64, _ error: String) throws {
    let device = try ServedDevice()
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("memfd 9 \(byteCount) \(seals)")
    let answer = try consumer.share(9, at: 0x1000_0000, 0x10000, offset: offset)
    let isExpected =
      error.isEmpty
      ? answer == "ok" : error.split(separator: "|").contains { answer.hasPrefix("errno \($0)") }
    #expect(isExpected, "\(answer)")
    #expect(try (consumer.connect(to: 0)).hasPrefix("ok"))
    let configured = try consumer.configureQueue(0, at: 0x1000_0000)
    #expect(configured.hasPrefix(error.isEmpty ? "ok" : "errno EINVAL"), "\(configured)")
  }

  @Test("What is no memfd of the caller's is refused: a closed descriptor, a file, the device")
  func otherDescriptors() throws {
    let device = try ServedDevice()
    var consumer = try Consumer(opening: device.path)
    let directory = try TemporaryDirectory()
    #expect(try CommandResult(["truncate", "-s", "65536", directory.path + "/file"]).exitCode == 0)
    try consumer.expect("open 9 \(directory.path)/file rw")
    #expect(try consumer.share(9, at: 0, 0x10000).hasPrefix("errno EINVAL"))
    #expect(try consumer.share(0, at: 0, 0x10000).hasPrefix("errno "))
    let closed = Payload(UInt64(0), UInt64(0x10000), Int32(999), UInt32(0), UInt64(0))
    #expect(try consumer.ask("attr 0 set 0x45 0 \(closed.hex)").hasPrefix("errno EBADF"))
    let slot = Payload(UInt64(0), UInt64(0x10000), Int32(9), UInt32(0), UInt64(0))
    #expect(try consumer.ask("attr 0 set 0x45 32 \(slot.hex)").hasPrefix("errno "))
  }
}
