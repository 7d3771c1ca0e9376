import Testing
import XIVETestSupport

@Suite("Page fills", .enabled(if: Requirement.canMount), .hangGuard)
struct MountFillTests {
  @Test("A cold touch is one fill, a warm touch is none")
  func oneFillPerTouch() throws {
    let device = try ServedDevice(["--create", "0-63"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 128 << 12)
    let before = try consumer.counters().fills
    for page in 0..<UInt64(128) { _ = try consumer.mapped(0, page << 12) }
    #expect(try consumer.counters().fills == before + 128)
    for page in 0..<UInt64(128) { _ = try consumer.mapped(0, page << 12 + 0x800) }
    #expect(try consumer.counters().fills == before + 128)
    #expect(try consumer.counters().refusedFills == 0)
  }

  @Test("A page that one process has touched is not filled for the next, nor after a new mapping")
  func sharedPages() throws {
    let device = try ServedDevice(["--create", "0-3"])
    var first = try Consumer(opening: device.path)
    try first.map(0, at: triggerPage(0), 8 << 12)
    for page in 0..<UInt64(8) { _ = try first.mapped(0, page << 12) }
    let before = try first.counters().fills
    var second = try Consumer(opening: device.path, "ro")
    try second.map(0, at: triggerPage(0), 8 << 12, "r")
    try second.map(1, at: triggerPage(2), 4 << 12, "r")
    for page in 0..<UInt64(8) { _ = try second.mapped(0, page << 12) }
    for page in 0..<UInt64(4) { _ = try second.mapped(1, page << 12) }
    try second.expect("close 0")
    #expect(try first.counters().fills == before)
  }

  @Test(
    "A hole is a SIGBUS at the exact address, is asked for again, and works once its source exists",
    arguments: [0, 1, 0x7f8, 0x800, 0xfff] as [UInt64])
  func hole(_ register: UInt64) throws {
    let device = try ServedDevice(["--sources", "16"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(4), 0x4000)
    let touched = 0x1000 + register
    let sigbus = "sigbus code=2 address=0x\(String(touched, radix: 16))"
    #expect(try consumer.ask("load 0 \(touched) 1") == sigbus)
    #expect(try consumer.ask("load 0 \(touched) 1") == sigbus)
    #expect(try consumer.ask("store 0 \(touched) 1 0") == sigbus)
    #expect(try consumer.counters().refusedFills >= 6, "the kernel asks twice or more for a touch")
    #expect(try consumer.counters().fills == 0)
    try consumer.expect("attr 0 set 2 4 0000000000000000")
    #expect(try consumer.ask("load 0 \(touched) 1").hasPrefix("ok 0x"))
    #expect(try consumer.mapped(0, 0x1800) == 1)
    #expect(try consumer.ask("load 0 0x3800 8") == "sigbus code=2 address=0x3800")
  }

  @Test(
    "What is no page of this device is a SIGBUS",
    arguments: [
      0x0000, 0x1000, 0x3000,  // TIMA: HW, HV, USER
      0x4000 + 16 << 13,  // beyond the sources, in both windows
      1 << 40 + 16 << 13,
      2 << 40, 3 << 40 + 0x2000, 16 << 40, 0x1000 << 40, 0x1001 << 40,  // nothing there yet
      4 << 40, 1 << 61, 1 << 62 - 0x1000,  // never anything
    ] as [UInt64])
  func nothing(_ offset: UInt64) throws {
    let device = try ServedDevice(["--sources", "16", "--create", "0-15"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: offset)
    #expect(try consumer.ask("load 0 0x10 8") == "sigbus code=2 address=0x10")
  }

  @Test("A mapping beyond the end of the file is a SIGBUS without a request")
  func beyondTheEnd() throws {
    let device = try ServedDevice()
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: 1 << 62, 0x2000)
    #expect(try consumer.ask("load 0 0x1008 8") == "sigbus code=2 address=0x1008")
    #expect(try consumer.counters().refusedFills == 0)
  }

  @Test("The OS view of the TIMA reads all ones while nobody is connected")
  func tima() throws {
    let device = try ServedDevice()
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: 0x2000, 0x1000, "r")
    #expect(try consumer.mapped(0, 0x10) == allOnes)
  }

  @Test("With one ESB page a source has no trigger page")
  func onePage() throws {
    let device = try ServedDevice(["--esb-pages", "1", "--create", "0-1"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(1), 0x2000)
    #expect(try consumer.ask("load 0 0 8") == "sigbus code=2 address=0x0")
    #expect(try consumer.mapped(0, 0x1800) == 1)
    try consumer.setPQ(1, 0)
    try consumer.storeMapped(0, 0x1000)
    try consumer.synchronize(0, 0x2000)
    #expect(try consumer.pq(1) == 2, "a store at 000 of the only page is a trigger")
  }

  @Test("A private mapping shows the pages and keeps its stores to itself")
  func privateMapping() throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("map 0 0 \(managementPage(0)) 0x1000 rw private")
    #expect(try consumer.mapped(0, 0x800) == 1)
    try consumer.setPQ(0, 0)
    #expect(try consumer.await(0, 0x800, 0), "still the shared page")
    try consumer.storeMapped(0, 0xf00)
    try consumer.expect("unmap 0")
    #expect(try consumer.pq(0) == 0)
    #expect(try consumer.counters().mappedStores == 0)
  }
}
