import CXIVE
import Glibc
import Testing
import XIVETestSupport

/// M14 and its like: what hangs on a descriptor, and when it goes.
@Suite("Last references", .enabled(if: Requirement.canMount), .hangGuard)
struct LastReferenceTests {
  private static let options = ["--create", "0-3", "--create", "4-5:lsi"]

  /// A process that is vCPU 3, has an irqfd of its eventfd 7 on source 0, and pages of sources mapped.
  private func owner(_ path: String) throws -> Consumer {
    var owner = try Consumer(opening: path)
    try owner.expect("connect 0 0 3")
    try owner.expect("eventfd 7 0 nonblock")
    try owner.expect("irqfd 0 0 7 none")
    try owner.map(1, at: triggerPage(0), 0x8000)
    try owner.setPQ(0, 0)
    return owner
  }

  /// Whether the vCPU and the irqfd are there, by a witness.
  private func holds(_ witness: inout Consumer, _ eventfd: inout Consumer) throws -> Bool {
    try witness.setPQ(0, 0)
    try eventfd.expect("raise 7 1")
    #expect(try witness.awaitPQ(0, 2), "what was raised does not arrive")
    return try witness.delivery().vcpus == 1
  }

  /// Waits until nothing hangs on anything: the server's number can be had again, and nobody hears the eventfd.
  private func expectGone(
    _ device: borrowing ServedDevice, _ witness: inout Consumer, _ before: Footprint
  ) throws {
    #expect(try device.settled(at: before, by: &witness) == before)
    var next = try Consumer(opening: device.path)
    try next.expect("attr 0 set 1 1 null")
    try next.expect("attr 0 set 1 3 08000000")
    #expect(try next.ask("connect 0 0 3") == "ok")
  }

  @Test("M14: after close, pages, vCPU and irqfd go on working until the last munmap")
  func mappingHolds() throws {
    var device = try ServedDevice(Self.options)
    var witness = try Consumer(opening: device.path)
    let before = try Footprint(of: device, by: &witness)
    var owner = try owner(device.path)
    try owner.expect("close 0")
    #expect(try holds(&witness, &owner))
    #expect(try witness.ask("connect 0 0 3") == "errno EEXIST 17")
    // The pages: an image, live.
    #expect(try owner.mapped(1, 0x1800) == 2)
    try witness.setPQ(0, 3)
    #expect(try owner.await(1, 0x1800, 3))
    // And pages that nobody has touched before.
    #expect(try owner.mapped(1, 0x3800) == 1)
    try owner.storeMapped(1, 0x1e00)
    try owner.synchronize(1, 0x8000)
    #expect(try witness.awaitPQ(0, 2))
    // A part is not the last reference.
    try owner.expect("unmap 1 0 0x7000")
    #expect(try holds(&witness, &owner))
    try owner.expect("unmap 1 0x7000 0x1000")
    try expectGone(device, &witness, before)
    #expect(device.stop() == 0)
  }

  @Test(
    "After a fork the last of both processes counts, whichever it is", arguments: [true, false])
  func fork(parentFirst: Bool) throws {
    var device = try ServedDevice(Self.options)
    var witness = try Consumer(opening: device.path)
    let before = try Footprint(of: device, by: &witness)
    var owner = try owner(device.path)
    try owner.expect("fork")
    let (first, second) = parentFirst ? ("", "child ") : ("child ", "")
    try owner.expect("\(first)close 0")
    #expect(try holds(&witness, &owner))
    try owner.expect("\(first)unmap 1")
    #expect(try holds(&witness, &owner))
    try owner.expect("\(second)unmap 1")
    #expect(try holds(&witness, &owner))
    try owner.expect("\(second)close 0")
    try owner.expect("child exit 0")
    try owner.expect("reap")
    try expectGone(device, &witness, before)
    #expect(device.stop() == 0)
  }

  @Test("A process that is killed holds nothing; one that inherited from it does")
  func killed() throws {
    var device = try ServedDevice(Self.options)
    var witness = try Consumer(opening: device.path)
    let before = try Footprint(of: device, by: &witness)
    var owner = try owner(device.path)
    try owner.expect("fork")
    try owner.expect("child close 0")
    try owner.expect("child unmap 1")
    owner.signal(SIGKILL)
    #expect(owner.exitCode() == 128 + SIGKILL)
    try expectGone(device, &witness, before)
    #expect(device.stop() == 0)
  }

  @Test("RESET does not start over while a vCPU is connected, and does when it has gone")
  func startsOver() throws {
    let device = try ServedDevice(Self.options)
    var witness = try Consumer(opening: device.path)
    let before = try Footprint(of: device, by: &witness)
    let address = Payload(UInt64(0x6_0302_0318_0000)).hex
    try witness.expect("attr 0 set 0x44 0 \(address)")
    var owner = try owner(device.path)
    try witness.expect("attr 0 set 1 1 null")
    #expect(try witness.ask("attr 0 set 0x44 0 \(address)") == "errno EEXIST 17")
    try owner.expect("close 0")
    try witness.expect("attr 0 set 1 1 null")
    #expect(try witness.ask("attr 0 set 0x44 0 \(address)") == "errno EEXIST 17", "mapped")
    try owner.expect("unmap 1")
    #expect(try device.settled(at: before, by: &witness) == before)
    try witness.expect("attr 0 set 1 1 null")
    try witness.expect("attr 0 set 0x44 0 \(address)")
  }
}
