import CXIVE
import Glibc
import Testing
import XIVETestSupport

@Suite("vCPUs through a mount", .enabled(if: Requirement.canMount), .hangGuard)
struct MountVCPUTests {
  @Test("Pages 0 to 3 of a descriptor are its own vCPU's, in four views, and nobody's elsewhere")
  func ownPages() throws {
    let device = try ServedDevice()
    var consumer = try Consumer(opening: device.path)
    try consumer.open(1, device.path)
    try consumer.open(2, device.path)
    #expect(try consumer.connect(0, to: 3).hasPrefix("ok"))
    #expect(try consumer.connect(1, to: 5).hasPrefix("ok"))
    try consumer.storeByte(0x5, 0, at: OSView.cppr)
    try consumer.storeByte(0x2, 1, at: OSView.cppr)
    try consumer.storeByte(0x7, 2, at: OSView.cppr)
    for (descriptor, cppr) in [(0, 5), (1, 2)] as [(Int, UInt64)] {
      // Every view but the user's shows the OS ring.
      for view in 0..<3 as Range<UInt64> {
        let ring = try consumer.load(descriptor, at: view << 12 | 0x10, size: 8)
        #expect(ring >> 48 == cppr, "descriptor \(descriptor), view \(view)")
        #expect(try consumer.load(descriptor, at: view << 12 | 0x11, size: 1) == cppr)
      }
      #expect(try consumer.load(descriptor, at: 0x3010, size: 8) == .max)
    }
    // The context is the hypervisor's: valid, and the server's NVT.
    for (descriptor, word2) in [(0, 0x8000_0403), (1, 0x8000_0405)] as [(Int, UInt64)] {
      for view in 0..<2 as Range<UInt64> {
        #expect(try consumer.load(descriptor, at: view << 12 | 0x18, size: 4) == word2)
      }
      #expect(try consumer.load(descriptor, at: 0x2018, size: 4) == 0xffff_ffff)
    }
    for view in 0..<4 as Range<UInt64> {
      #expect(try consumer.load(2, at: view << 12 | 0x10, size: 8) == .max, "not connected")
    }
    // Others see the same through region 3.
    #expect(try consumer.load(2, at: timaPage(3, 2) + 0x11, size: 1) == 5)
    #expect(try consumer.load(0, at: timaPage(5, 2) + 0x11, size: 1) == 2)
  }

  @Test("Each way to connect wrongly has the kernel's error, and changes nothing")
  func refusals() throws {
    let device = try ServedDevice(["--max-vcpus", "8"])
    var consumer = try Consumer(opening: device.path)
    let number = try #require(UInt64(consumer.expect("number 0")))
    try consumer.open(1, device.path)
    try consumer.expect("memfd 2 0x1000 none")
    let other = try #require(UInt64(consumer.expect("number 2")))
    #expect(
      try consumer.enableCapability(capability: 168, arguments: [number, 0])
        .hasPrefix("errno EINVAL"))
    #expect(
      try consumer.enableCapability(flags: 1, arguments: [number, 0]).hasPrefix("errno EINVAL"))
    #expect(try consumer.enableCapability(arguments: [999, 0]).hasPrefix("errno EBADF"))
    #expect(try consumer.enableCapability(arguments: [other, 0]).hasPrefix("errno EPERM"))
    #expect(try consumer.connect(0, to: 8).hasPrefix("errno EINVAL"))
    #expect(try consumer.connect(0, to: 1 << 32).hasPrefix("errno EINVAL"))
    #expect(try consumer.delivery().vcpus == 0)
    #expect(try consumer.connect(0, to: 7).hasPrefix("ok"))
    #expect(try consumer.connect(0, to: 6).hasPrefix("errno EBUSY"))
    #expect(try consumer.connect(1, to: 7).hasPrefix("errno EEXIST"))
    #expect(try consumer.delivery().vcpus == 1)
    try consumer.expect("close 0")
    // Disconnected once the last reference has gone, which the kernel tells a moment later.
    var witness = try Consumer(opening: device.path)
    #expect(try witness.await { $0.vcpus == 0 })
    #expect(try consumer.connect(1, to: 7).hasPrefix("ok"))
  }

  @Test("A killed vCPU process frees its server; what comes meanwhile is kept for the next")
  func killed() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var guest = try GuestProcess(on: device.path)
    var other = try Consumer(opening: device.path)
    #expect(try other.connect(to: 0).hasPrefix("errno EEXIST"))
    guest.consumer.signal(SIGKILL)
    #expect(guest.consumer.exitCode() == 128 + SIGKILL)
    #expect(try other.await { $0.vcpus == 0 })
    // Its queue and its NVT stay: the event waits for whoever comes.
    try other.store(at: triggerPage(1))
    #expect(try other.delivery().backlogged == 1)
    #expect(try other.delivery().entries == 1)
    #expect(try other.isReadable() == false)
    #expect(try other.connect(to: 0).hasPrefix("ok"))
    #expect(try other.isReadable() == false, "CPPR lets nothing through yet")
    try other.storeByte(0xff, at: OSView.cppr)
    #expect(try other.isReadable(within: 5_000))
    #expect(try other.load(at: OSView.acknowledge, size: 2) == 0x8006)
  }

  @Test("What comes while the context is pulled waits in the NVT, and is given back once")
  func scheduled() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var guest = try GuestProcess(on: device.path)
    var scheduler = try Consumer(opening: device.path)
    #expect(try scheduler.load(at: timaPage(0, 1) + 0x818, size: 4) == 0x8000_0400)
    try scheduler.store(at: triggerPage(1))
    #expect(try scheduler.delivery().backlogged == 1)
    #expect(try guest.entry(0) == 0x8000_0051)
    #expect(try guest.consumer.isReadable(within: 50) == false)
    guest.consumer.send("poll 0 in 10000")
    try scheduler.expect("pwrite 0 \(timaPage(0, 1) + 0x18) 80000400")
    #expect(try guest.consumer.answer() == "ok in")
    #expect(try guest.consumer.load(at: OSView.acknowledge, size: 2) == 0x8006)
    try guest.consumer.storeByte(0xff, at: OSView.cppr)
    #expect(try scheduler.load(at: timaPage(0, 1) + 0x818, size: 4) == 0x8000_0400)
    try scheduler.expect("pwrite 0 \(timaPage(0, 1) + 0x18) 80000400")
    #expect(try guest.consumer.isReadable(within: 50) == false, "taken already")
    // Not taken when the vCPU is pulled: it is pending again when it is back.
    try scheduler.store(at: triggerPage(2))
    #expect(try guest.consumer.isReadable(within: 5_000))
    #expect(try scheduler.load(at: timaPage(0, 1) + 0x818, size: 4) == 0x8000_0400)
    #expect(try guest.consumer.isReadable() == false)
    try scheduler.expect("pwrite 0 \(timaPage(0, 1) + 0x18) 80000400")
    #expect(try guest.consumer.isReadable(within: 5_000))
  }

  @Test("A thousand vCPUs wait in one epoll, edge-triggered: each edge is told once")
  func crowd() throws {
    let count = 1_000
    let device = try ServedDevice(["--max-vcpus", "\(count)"])
    var crowd = try Consumer()
    #expect(
      try crowd.ask("crowd-open \(device.path) \(count)", within: 60_000) == "ok")
    var sender = try Consumer(opening: device.path)
    #expect(try sender.delivery().vcpus == UInt64(count))
    #expect(try crowd.ask("crowd-wait 1 20") == "ok reported=0 repeated=0")
    let triggers = (0..<UInt64(count)).map { "pwrite 0 \(triggerPage($0)) \(hex($0))" }
    for round in 0..<2 {
      // In the second round the sources are pending: each is sent again at its EOI.
      #expect(try sender.ask(all: triggers).allSatisfy { $0 == "ok count=8" })
      guard round == 0 else { break }
      let all = "ok reported=\(count) repeated=0"
      #expect(try crowd.ask("crowd-wait \(count) 20000", within: 30_000) == all)
    }
    #expect(try crowd.ask("crowd-wait 1 50") == "ok reported=0 repeated=0", "nothing new")
    #expect(try crowd.ask("crowd-take") == "ok taken=\(count) wrong=0 retriggered=\(count)")
    let all = "ok reported=\(count) repeated=0"
    #expect(try crowd.ask("crowd-wait \(count) 20000", within: 30_000) == all)
    #expect(try crowd.ask("crowd-take") == "ok taken=\(count) wrong=0 retriggered=0")
    #expect(try crowd.ask("crowd-wait 1 20") == "ok reported=0 repeated=0")
    #expect(try sender.delivery().entries == 2 * UInt64(count))
    // One alone: nobody else is woken.
    try sender.store(at: triggerPage(777))
    #expect(try crowd.ask("crowd-wait 1 10000") == "ok reported=1 repeated=0")
    #expect(try crowd.ask("crowd-take") == "ok taken=1 wrong=0 retriggered=0")
  }
}
