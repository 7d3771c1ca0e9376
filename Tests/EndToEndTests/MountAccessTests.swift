import Testing
import XIVETestSupport

@Suite("Exact and buffered accesses", .enabled(if: Requirement.canMount), .hangGuard)
struct MountAccessTests {
  private static let zeros = "0000000000000000"

  @Test(
    "An exact access to an ESB page is 8 bytes, aligned; anything else is EINVAL and changes nothing",
    arguments: [
      (0, 1), (0, 2), (0, 4), (4, 8), (1, 8), (0, 7), (0, 9), (0, 16), (0, 4_096), (8, 3),
    ])
  func sizes(_ offset: UInt64, _ size: Int) throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    for page in [triggerPage(0), managementPage(0), kernelAlias(managementPage(0))] {
      for register in [0x000, 0xc00] as [UInt64] {
        let place = page + register + offset
        #expect(try consumer.ask("pread 0 \(place) \(size)").hasPrefix("errno EINVAL"))
        let bytes = String(repeating: "00", count: size)
        #expect(try consumer.ask("pwrite 0 \(place) \(bytes)").hasPrefix("errno EINVAL"))
      }
    }
    #expect(try consumer.pq(0) == 1)
    #expect(try consumer.counters().exactStores == 0)
  }

  @Test("Nothing at all is read or written without a request")
  func empty() throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.ask("pread 0 \(triggerPage(0)) 0") == "ok -")
    #expect(try consumer.ask("pwrite 0 \(triggerPage(0)) -") == "ok count=0")
    #expect(try consumer.counters().exactStores == 0)
  }

  @Test(
    "Accesses outside every region, and huge ones, are refused", arguments: ["rw,direct", "rw"])
  func outside(_ flags: String) throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path, flags)
    let outside: [UInt64] = [1 << 40 + 8_192 << 13, 4 << 40, 0x1002 << 40, 1 << 61, 1 << 62 - 8]
    for offset in outside {
      #expect(try consumer.ask("pread 0 \(offset) 8").hasPrefix("errno"))
      #expect(try consumer.ask("pwrite 0 \(offset) \(Self.zeros)").hasPrefix("errno"))
    }
    #expect(try consumer.ask("pread 0 \(1 << 62) 8") == "ok -", "the end of the file")
    #expect(try consumer.ask("pwrite 0 \(1 << 62) \(Self.zeros)").hasPrefix("errno EINVAL"))
    #expect(try consumer.ask("pread 0 \(UInt64.max - 7) 8").hasPrefix("errno EINVAL"))
    for size in [1 << 20, 1 << 20 + 1, 48 << 20] {
      #expect(try consumer.ask("pread 0 \(1 << 61) \(size)").hasPrefix("errno"))
    }
    let megabyte = String(repeating: "00", count: 1 << 20)
    #expect(try consumer.ask("pwrite 0 \(triggerPage(0)) \(megabyte)").hasPrefix("errno EINVAL"))
    #expect(try consumer.expect("stat 0").hasPrefix("size=4611686018427387904"))
    var other = try Consumer(opening: device.path)
    #expect(try other.pq(0) == 1)
  }

  @Test("A page that is not there loads all ones and drops stores")
  func absent() throws {
    let device = try ServedDevice(["--sources", "16", "--create", "0"])
    var consumer = try Consumer(opening: device.path)
    for offset in [triggerPage(5), managementPage(5) + 0x800, triggerPage(0)] {
      #expect(try consumer.load(at: offset) == allOnes)
    }
    try consumer.store(at: managementPage(5) + 0xc00)
    #expect(try consumer.counters().guestErrors == 4)
  }

  @Test("Without O_DIRECT a read is answered from the page's image and performs nothing")
  func bufferedReads() throws {
    let device = try ServedDevice(["--create", "0-1"])
    var consumer = try Consumer(opening: device.path, "rw")
    let page = managementPage(0)
    #expect(try consumer.load(at: page + 0x800) == 1)
    #expect(try consumer.load(at: page + 0xc00) == allOnes)
    #expect(try consumer.load(at: page) == allOnes)
    #expect(try consumer.expect("pread 0 \(page + 0x803) 5") == "0000000001")
    #expect(try consumer.counters().exactLoads == 0)
    #expect(try consumer.counters().fills == 1)
    #expect(try consumer.load(at: page + 0x800) == 1, "c00 was no operation")
    let image = try consumer.expect("pread 0 \(page) 0x1000")
    #expect(image.count == 0x2000)
    #expect(image.hasPrefix("ffffffffffffffff"))
    let pages = try consumer.expect("pread 0 \(triggerPage(0)) 0x4000")
    #expect(pages.count == 0x8000)
    #expect(try consumer.counters().fills == 4)
    #expect(try consumer.ask("pread 0 \(triggerPage(2)) 8").hasPrefix("errno"))
  }

  @Test(
    "Without O_DIRECT a write of 8 bytes is one exact store, and the page's image is true again")
  func bufferedWrites() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try Consumer(opening: device.path, "rw")
    var exact = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(0), 0x1000, "r")
    #expect(try consumer.mapped(0, 0x800) == 1)
    try consumer.store(0x1111, at: managementPage(0) + 0xe00)
    #expect(try exact.pq(0) == 2)
    #expect(try consumer.await(0, 0x800, 2))
    #expect(try consumer.await(0, 0xe00, allOnes))
    for size in [4, 7, 16] {
      let bytes = String(repeating: "00", count: size)
      #expect(
        try consumer.ask("pwrite 0 \(managementPage(0) + 0xc00) \(bytes)").hasPrefix("errno EINVAL")
      )
      #expect(try consumer.await(0, 0xc00, allOnes), "refused, and put back")
    }
    #expect(try exact.pq(0) == 2)
    #expect(try exact.counters().exactStores == 1)
    #expect(try exact.counters().mappedStores == 0)
  }

  @Test("A buffered write into the PQ window is no lasting lie")
  func bufferedWriteIntoPQ() throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path, "rw")
    try consumer.map(0, at: managementPage(0), 0x1000, "r")
    #expect(try consumer.mapped(0, 0x800) == 1)
    try consumer.store(7, at: managementPage(0) + 0x800)
    #expect(try consumer.await(0, 0x800, 1))
  }

  @Test(
    "A read-only descriptor cannot write, a write-only one cannot read", arguments: ["", ",direct"])
  func directions(_ direct: String) throws {
    let device = try ServedDevice(["--create", "0"])
    var reader = try Consumer(opening: device.path, "ro" + direct)
    #expect(try reader.ask("pwrite 0 \(triggerPage(0)) \(Self.zeros)").hasPrefix("errno EBADF"))
    var writer = try Consumer(opening: device.path, "wo" + direct)
    #expect(try writer.ask("pread 0 \(triggerPage(0)) 8").hasPrefix("errno EBADF"))
    try writer.store(at: managementPage(0) + 0xc00)
    #expect(try reader.load(at: managementPage(0) + 0x800) == 0)
  }
}
