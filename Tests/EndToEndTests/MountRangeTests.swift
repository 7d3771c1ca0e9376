import Testing
import XIVETestSupport

@Suite("Fills of many pages", .enabled(if: Requirement.canMount), .hangGuard)
struct MountRangeTests {
  @Test("With MADV_HUGEPAGE a touch fills many pages, each with its own image")
  func hugePages() throws {
    let device = try ServedDevice(["--create", "0-8191"])
    var consumer = try Consumer(opening: device.path)
    try consumer.setPQ(700, 2)
    try consumer.map(0, at: triggerPage(0), 8_192 << 13)
    try consumer.expect("advise 0 0 \(8_192 << 13) hugepage")
    #expect(try consumer.mapped(0, 0x1800) == 1)
    #expect(try consumer.counters().fills >= 256, "a fill is up to 1 MiB")
    #expect(try consumer.expect("resident 0 \(100 << 13) 0x2000") == "11", "neighbours came along")
    #expect(try consumer.mapped(0, 700 << 13 | 0x1800) == 2)
    #expect(try consumer.counters().refusedFills == 0)
    for lisn in [0, 1, 127, 700, 8_191] as [UInt64] {
      for half in 0..<UInt64(2) {
        let signature = lisn << 13 | half << 12 | 0xfc0
        #expect(try consumer.mapped(0, signature + 8) == lisn << 32 | half)
      }
    }
  }

  @Test("Pages that came along with a fill are kept current like the one that was touched")
  func liveNeighbours() throws {
    let device = try ServedDevice(["--create", "0-511"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 512 << 13)
    try consumer.expect("advise 0 0 \(512 << 13) hugepage")
    _ = try consumer.mapped(0, 0x1800)
    for lisn in [1, 17, 100] as [UInt64] {
      try consumer.setPQ(lisn, 3)
      #expect(try consumer.await(0, lisn << 13 | 0x1800, 3))
    }
  }

  @Test("A hole in the range of a fill leaves the touched page, and only it, to be filled alone")
  func hole() throws {
    let device = try ServedDevice(["--create", "0-50", "--create", "52-511"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 512 << 13)
    try consumer.expect("advise 0 0 \(512 << 13) hugepage")
    for lisn in [0, 50, 52] as [UInt64] {
      #expect(try consumer.mapped(0, lisn << 13 | 0x1800) == 1)
    }
    #expect(
      try consumer.ask("load 0 \(51 << 13 | 0x1800) 8") == "sigbus code=2 address=0x67800")
    #expect(try consumer.counters().refusedFills > 0)
    try consumer.expect("attr 0 set 2 51 0000000000000000")
    #expect(try consumer.mapped(0, 51 << 13 | 0x1800) == 1)
  }

  @Test("A range can be populated ahead; a hole in it ends that with EFAULT and does no harm")
  func populate() throws {
    let device = try ServedDevice(["--create", "0-63", "--create", "65-127"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 128 << 13)
    try consumer.expect("advise 0 0 \(64 << 13) populate-read")
    #expect(try consumer.counters().fills == 128)
    #expect(try consumer.ask("advise 0 0 \(128 << 13) populate-read").hasPrefix("errno EFAULT"))
    try consumer.expect("advise 0 \(65 << 13) \(63 << 13) populate-read")
    #expect(try consumer.counters().fills == 254)
    #expect(try consumer.mapped(0, 65 << 13 | 0x1800) == 1)
    #expect(try consumer.counters().fills == 254)
  }

  @Test("Populating for writing is no store")
  func populateForWriting() throws {
    let device = try ServedDevice(["--create", "0-15", "--tick", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(0), 0x1000)
    try consumer.setPQ(0, 0)
    try consumer.expect("advise 0 0 0x1000 populate-write")
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 0)
    #expect(try consumer.counters().mappedStores == 0)
  }

  @Test("Pages that are read ahead by posix_fadvise or MADV_WILLNEED are right, holes or not")
  func readAhead() throws {
    let device = try ServedDevice(["--create", "0-9", "--create", "11-63"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 64 << 13)
    try consumer.expect("advise 0 0 \(64 << 13) willneed")
    for lisn in 0..<UInt64(64) where lisn != 10 {
      #expect(try consumer.mapped(0, lisn << 13 | 0x1fc8) == lisn << 32 | 1)
    }
    #expect(try consumer.ask("load 0 \(10 << 13) 8") == "sigbus code=2 address=0x14000")
  }

  @Test("A mapping may be moved, split, protected and unmapped in parts")
  func mappings() throws {
    let device = try ServedDevice(["--create", "0-7", "--tick", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 0x4000)
    try consumer.expect("remap 0 0x4000 0x8000")
    #expect(try consumer.mapped(0, 0x7fc8) == 3 << 32 | 1)
    try consumer.expect("map 1 0 \(triggerPage(7)) 0x2000 rw shared ADDRESS_OF 0 0x2000")
    #expect(try consumer.mapped(0, 0x3fc8) == 7 << 32 | 1)
    #expect(try consumer.mapped(0, 0x5fc8) == 2 << 32 | 1, "the file's offset decides")
    try consumer.expect("protect 0 0x4000 0x2000 r")
    #expect(try consumer.ask("store 0 0x5c00 8 0").hasPrefix("sigsegv"))
    try consumer.storeMapped(0, 0x3c00)
    try consumer.expect("unmap 0 0x2000 0x2000")
    #expect(try consumer.pq(7) == 0)
    #expect(try consumer.pq(1) == 1)
  }
}
