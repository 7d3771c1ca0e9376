import FoundationEssentials
import SystemCalls
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Restores that are refused", .enabled(if: Requirement.canMount), .hangGuard)
struct StateRefusalTests {
  @Test(
    "A device that was started otherwise is refused, with the option that makes it fit",
    arguments: [
      ("--sources", ["512"], "sources", "256", "512", "--sources 256"),
      ("--page-size", ["64k"], "bytes of a device page", "4096", "65536", "--page-size 4k"),
      ("--esb-pages", ["1"], "ESB pages of a source", "2", "1", "--esb-pages 2"),
      ("--max-vcpus", ["8"], "room for servers", "1024", "8", "--max-vcpus 1024"),
      (
        "--store-eoi", [], "StoreEOI", "sources without StoreEOI", "sources with StoreEOI",
        "without --store-eoi"
      ),
    ])
  func geometry(
    option: String, values: [String], what: String, expected: String, found: String, remedy: String
  ) throws {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/state"
    let guest = try StateGuest()
    #expect(try CommandResult.xive("save", guest.served.path, file).exitCode == 0)
    let others = StateGuest.options.dropFirst(option == "--sources" ? 2 : 0)
    let other = try StateGuest(Array(others) + [option] + values)
    let line =
      "xive: \(what): the saved state needs \(expected), this device has \(found): start it "
    try expectRefusal(by: other, file, line + (remedy.hasPrefix("--") ? "with " : "") + remedy)
  }

  @Test("A device without the guest's memory is refused, with the queue that lacks it")
  func memory() throws {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/state"
    let guest = try StateGuest()
    try guest.fill()
    #expect(try CommandResult.xive("save", guest.served.path, file).exitCode == 0)
    let other = try StateGuest(hasMemory: false)
    let line = "xive: queue of END 22: the saved state needs guest memory at 0x40010000+65536, "
    let remedy = ": give it the guest's memory first"
    try expectRefusal(by: other, file, line + "this device has none" + remedy)
    // It ends within the queue.
    let memory = try GuestMemory(byteCount: 0x1_f000)
    try other.device.addMemory(memory, slot: 3, at: StateGuest.address)
    try expectRefusal(by: other, file, line + "this device has 0x40000000+126976" + remedy)
    try other.device.removeMemory(slot: 3)
    try other.device.addMemory(
      try GuestMemory(byteCount: 0x1_0000), slot: 3, at: StateGuest.address + 0x1_0000)
    #expect(try CommandResult.xive("restore", other.served.path, file).exitCode == 0)
  }

  @Test("A source that is mapped to hardware on one machine alone is refused")
  func passthrough() throws {
    let options = StateGuest.options + ["--phb", "1:16"]
    let guest = try StateGuest(options)
    let other = try StateGuest(options)
    let directory = try TemporaryDirectory()
    let (mapped, plain) = (directory.path + "/mapped", directory.path + "/plain")
    #expect(try CommandResult.xive("save", guest.served.path, plain).exitCode == 0)
    guard let phb = PHBIndex(rawValue: 1) else { throw SupportFailure("no PHB") }
    func run(_ irq: UInt16) -> PassthroughRun {
      PassthroughRun(LISN(rawValue: 3), to: phb, HardwareIRQ(rawValue: irq), count: 2)
    }
    try guest.device.map(run(7))
    try guest.device.setPQ(of: LISN(rawValue: 3), to: .queued)
    #expect(try CommandResult.xive("save", guest.served.path, mapped).exitCode == 0)
    let line = "xive: LISN 0x3: the saved state needs "
    let remedy = ": plug the PHB and map it so first"
    try expectRefusal(
      by: other, mapped,
      line + "interrupt 7 of PHB 1, this device has its own pages" + remedy)
    try other.device.map(run(9))
    try expectRefusal(
      by: other, mapped,
      line + "interrupt 7 of PHB 1, this device has interrupt 9 of PHB 1" + remedy)
    try expectRefusal(
      by: other, plain,
      line + "its own pages, this device has interrupt 9 of PHB 1: unmap it first")
    try other.device.unmap(run(9))
    try other.device.map(run(7))
    #expect(try CommandResult.xive("restore", other.served.path, mapped).exitCode == 0)
    #expect(try other.bytes() == contents(of: mapped))
  }

  @Test("Numbers of sources and servers are set where they are not, or must be equal")
  func counts() throws {
    let guest = try StateGuest()
    let other = try StateGuest()
    let directory = try TemporaryDirectory()
    let file = directory.path + "/state"
    try guest.device.setSourceCount(100)
    try guest.device.setServerCount(4)
    #expect(try CommandResult.xive("save", guest.served.path, file).exitCode == 0)
    try other.device.createSource(LISN(rawValue: 100))
    try expectRefusal(
      by: other, file,
      "xive: number of sources: the saved state needs 100, this device has created LISN 0x64: "
        + "start another without that source")
    let fresh = try StateGuest()
    #expect(try CommandResult.xive("restore", fresh.served.path, file).exitCode == 0)
    #expect(try fresh.device.sourceCount() == 100 && fresh.device.serverCount() == 4)
    #expect(try CommandResult.xive("restore", fresh.served.path, file).exitCode == 0, "again")

    let more = try StateGuest()
    try more.device.setSourceCount(101)
    try expectRefusal(
      by: more, file,
      "xive: number of sources that was set: the saved state needs 100, this device has 101: "
        + "reset it while no vCPU is connected, or start another")
    let servers = try StateGuest()
    try servers.device.setServerCount(5)
    let remedy = "set it before the first vCPU connects, or start another"
    let line = "xive: number of servers that was set: the saved state needs 4, this device has "
    try expectRefusal(by: servers, file, line + "5: \(remedy)")
    let connected = try StateGuest()
    let vcpu = try VCPU(connected.served.path, server: Server(rawValue: 0))
    try expectRefusal(by: connected, file, line + "1024, and 1 vCPUs connected: \(remedy)")
    withExtendedLifetime(vcpu) {}
  }

  // That a vCPU was there the device does not tell, so that no check finds it.
  @Test(
    "Where a vCPU has been and gone, a number of servers is refused, and nothing is changed")
  func begun() throws {
    let guest = try StateGuest()
    let other = try StateGuest()
    let directory = try TemporaryDirectory()
    let file = directory.path + "/state"
    try guest.device.setSourceCount(100)
    try guest.device.setServerCount(4)
    #expect(try CommandResult.xive("save", guest.served.path, file).exitCode == 0)
    do { _ = try VCPU(other.served.path, server: Server(rawValue: 0)) }
    // The last close is told to the device a moment later.
    for _ in 0..<6_000 where try other.device.deliveryCounters().vcpus > 0 {
      MonotonicClock.sleep(nanoseconds: 10_000_000)
    }
    let before = try other.bytes()
    let refused = try CommandResult.xive("restore", other.served.path, file)
    #expect(refused.exitCode == 1 && refused.errors.count == 1)
    let line = "xive: 4 servers: another number is set, or a vCPU has connected: "
    #expect(refused.errors.first?.hasPrefix(line) == true)
    #expect(try other.device.sourceCount() == 256 && other.device.isRunning())
    #expect(try other.bytes() == before)
  }

  @Test("A file that is no state, or damaged, changes nothing")
  func damaged() throws {
    let guest = try StateGuest()
    let directory = try TemporaryDirectory()
    try guest.fill()
    let (good, bad) = (directory.path + "/good", directory.path + "/bad")
    #expect(try CommandResult.xive("save", guest.served.path, good).exitCode == 0)
    let bytes = try contents(of: good)
    var flipped = bytes
    flipped[300] ^= 1
    var version = bytes
    version[8] = 2
    let again = "copy it again, or save again"
    let files: [([UInt8], String)] = [
      ([], "is no saved state: xive save makes one"),
      (Array(bytes.dropLast()), "has 4275 bytes, and should have 4276: \(again)"),
      (bytes + [0], "has 4277 bytes, and should have 4276: \(again)"),
      (flipped, "is damaged: its checksum is"),
      (
        version,
        "has format version 2, and this program knows version 1: use the one that wrote it"
      ),
    ]
    for (contents, words) in files {
      try Data(contents).write(to: URL(fileURLWithPath: bad))
      try expectRefusal(by: guest, bad, "xive: \(bad): \(words)", isWhole: words.count > 30)
    }
    try expectRefusal(
      by: guest, directory.path, "xive: \(directory.path): cannot be read: it is a directory")
    // The file comes first: no server is asked about one that is none.
    let nobody = try CommandResult.xive("restore", directory.path + "/nobody", bad)
    #expect(nobody.exitCode == 1)
    #expect(try CommandResult.xive("restore", directory.path + "/nobody", good).exitCode == 69)
    #expect(try CommandResult.xive("save", directory.path + "/nobody", bad).exitCode == 69)
    #expect(try CommandResult.xive("save", good, bad).exitCode == 69, "no device")
    #expect(try CommandResult.xive("save", guest.served.path).exitCode == 64)
    #expect(try CommandResult.xive("restore", guest.served.path).exitCode == 64)
  }

  /// Has a restore refused in one line, and nothing changed.
  private func expectRefusal(
    by guest: borrowing StateGuest, _ file: String, _ line: String, isWhole: Bool = true
  ) throws {
    let before = try guest.bytes()
    let restore = try CommandResult.xive("restore", guest.served.path, file)
    #expect(restore.exitCode == 1)
    #expect(restore.output == [])
    #expect(restore.errors.count == 1)
    let error = restore.errors.first ?? ""
    #expect(isWhole ? error == line : error.hasPrefix(line), "\(error)")
    #expect(try guest.bytes() == before, "changed by: \(error)")
    #expect(try guest.device.isRunning())
  }
}
