import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

@Suite("Mapped TIMA pages", .enabled(if: Requirement.canMount), .hangGuard)
struct MountTIMATests {
  @Test("A vCPU's window in region 3 is live in another process, without another fill")
  func window() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var guest = try GuestProcess(on: device.path)
    var watcher = try Consumer(opening: device.path, "ro")
    try watcher.map(0, at: timaPage(0, 2), 0x1000, "r")
    #expect(try watcher.mapped(0, 0x10) == 0x00ff_00ff_ff00_00ff, "CPPR ff, AGE 00")
    #expect(try watcher.mapped(0, 0x18) == .max)
    let before = try guest.consumer.counters().fills
    try guest.consumer.store(at: triggerPage(2))
    #expect(try watcher.await(0, 0x10, 0x80ff_02ff_ff00_0006), "EO, IPB and PIPR of priority 6")
    #expect(try guest.consumer.load(at: OSView.acknowledge, size: 2) == 0x8006)
    #expect(try watcher.await(0, 0x10, 0x0006_00ff_ff00_00ff), "taken")
    try guest.consumer.storeByte(0xff, at: OSView.cppr)
    #expect(try watcher.await(0, 0x10, 0x00ff_00ff_ff00_00ff))
    #expect(try guest.consumer.counters().fills == before)
    let signature = try watcher.signature(0, at: 0)
    #expect(signature.backing == .tima && signature.hardwareIRQ == 0)
  }

  @Test("Holes of region 3: the other views, and servers that nobody is connected to")
  func holes() throws {
    let device = try ServedDevice()
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.connect(to: 1).hasPrefix("ok"))
    try consumer.map(0, at: timaPage(0, 0), 3 * 0x4000, "r")
    for page in 0..<12 as Range<UInt64> {
      let isThere = page == 6
      #expect(try (consumer.load(0, at: page << 12 | 0x10) != nil) == isThere, "page \(page)")
    }
  }

  @Test("Page 2 at offset 0 is the only vCPU's, all ones for none, and a hole for two")
  func kernelWindow() throws {
    let device = try ServedDevice()
    var first = try Consumer(opening: device.path)
    var second = try Consumer(opening: device.path)
    var watcher = try Consumer(opening: device.path, "ro")
    try first.map(0, at: 0x2000)
    try watcher.map(0, at: 0x2000, 0x1000, "r")
    #expect(try watcher.mapped(0, 0x10) == .max, "nobody is connected")
    #expect(try first.connect(to: 4).hasPrefix("ok"))
    try first.storeByte(3, at: OSView.cppr)
    #expect(try watcher.await(0, 0x10, 0x0003_00ff_ff00_00ff))
    #expect(try first.await(0, 0x10, 0x0003_00ff_ff00_00ff))
    // From the moment that the second is connected, nobody is shown the first one's by mistake.
    #expect(try second.connect(to: 2).hasPrefix("ok"))
    #expect(try watcher.load(0, at: 0x10) == nil)
    #expect(try first.load(0, at: 0x10) == nil)
    try second.map(0, at: 0x2000)
    #expect(try second.load(0, at: 0x10) == nil)
    // Either may leave.
    try first.expect("exit 0")
    #expect(first.exitCode() == 0)
    #expect(try second.await { $0.vcpus == 1 })
    try second.storeByte(1, at: OSView.cppr)
    #expect(try watcher.await(0, 0x10, 0x0001_00ff_ff00_00ff))
    #expect(try second.await(0, 0x10, 0x0001_00ff_ff00_00ff))
    #expect(try watcher.signature(0, at: 0).hardwareIRQ == 2)
  }

  @Test("A store to a mapped TIMA page is only memory: put back, counted, without effect")
  func stores() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var guest = try GuestProcess(on: device.path)
    try guest.consumer.map(0, at: timaPage(0, 2))
    try guest.consumer.storeMapped(0, 0x10, 0)
    try guest.consumer.synchronize(0)
    #expect(try guest.consumer.await(0, 0x10, 0x00ff_00ff_ff00_00ff))
    #expect(try guest.consumer.load(at: OSView.cppr, size: 1) == 0xff)
    #expect(try guest.consumer.guestErrors().tima_store > 0)
  }
}
