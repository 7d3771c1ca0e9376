import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Contract: mappings and the TIMA", .enabled(if: Requirement.canMount), .hangGuard)
struct ContractMappingTests {
  @Test("M1, M2: the TIMA's four pages can be mapped, or the first of them")
  func timaWindow() throws {
    var device = try ContractDevice()
    try device.consumer.map(0, at: 0, pages: 4, of: device.map)
    try device.consumer.map(1, at: 0, pages: 1, of: device.map)
    device.end()
  }

  @Test("T1, T2: the TIMA's OS page alone can be touched, and a refused page stays refused")
  func timaPages() throws {
    var device = try ContractDevice()
    try device.consumer.map(0, at: 0, pages: 4, of: device.map)
    for _ in 0..<3 {
      for page: UInt64 in [0, 1, 3] { #expect(try device.consumer.load(0, at: page << 12) == nil) }
      #expect(try device.consumer.load(0, at: 0x2010) == .max)
    }
    #expect(try device.consumer.ask("store 0 0x1008 8 0") == "sigbus code=2 address=0x1008")
    let signature = try device.consumer.signature(0, at: 0x2000)
    #expect(signature.backing == .tima)
    #expect(signature.half == TIMAView.os.rawValue)
    #expect(signature.deviceOffset == 0x2000)
    device.end()
  }

  @Test("M5: the window that QEMU maps can be mapped before any source exists")
  func windowOfQEMU() throws {
    var device = try ContractDevice()
    try device.consumer.map(0, at: 4 << 12, pages: 16_384, of: device.map)
    #expect(try device.counters().fills == 0)
    #expect(try device.consumer.load(0, at: 5 * 0x2000) == nil)
    try device.create(5)
    #expect(try device.consumer.load(0, at: 5 * 0x2000 + 0x1800) == 1)
    device.end()
  }

  @Test("M6: all 2,097,152 ESB pages can be mapped at once, and nothing lies behind them")
  func wholeWindow() throws {
    var device = try ContractDevice(["--sources", "1048576", "--create", "0"])
    try device.create(1_048_575)
    try device.consumer.map(0, at: 4 << 12, pages: 2_097_152, of: device.map)
    let first = try device.consumer.signature(0, at: 0)
    let last = try device.consumer.signature(0, at: 2_097_151 << 12)
    #expect(first.lisn == 0 && first.half == ESBHalf.trigger.rawValue)
    #expect(last.lisn == 0xfffff && last.half == ESBHalf.management.rawValue)
    // The kernel's mmap refuses one page more. A file's cannot: the page refuses to be touched.
    try device.consumer.map(1, at: 4 << 12, pages: 2_097_153, of: device.map)
    #expect(try device.consumer.load(1, at: 2_097_151 << 12 | 0x800) == 1)
    #expect(try device.consumer.load(1, at: 2_097_152 << 12) == nil)
    device.end()
  }

  @Test("M8: with pages of 64 KiB the ESB pages begin at byte 0x40000")
  func largePages() throws {
    var device = try ContractDevice(["--page-size", "64k", "--create", "0-2"])
    #expect(device.map.pageByteCount == 0x10000)
    try device.consumer.map(0, at: 0x40000, pages: 6, of: device.map)
    for page: UInt64 in 0..<6 {
      // The pattern repeats every 4 KiB, its signature too.
      for part: UInt64 in [0, 7, 15] {
        let signature = try device.consumer.signature(0, at: page << 16 | part << 12)
        #expect(signature.lisn == UInt32(page / 2) && signature.half == UInt32(page & 1))
        #expect(signature.deviceOffset == 0x40000 + page << 16)
      }
    }
    try device.consumer.store(at: 0x40000 + 2 << 16)
    #expect(try device.consumer.load(0, at: 3 << 16 | 0x9800) == 1)
    try device.setPQ(1, 2)
    try device.consumer.expect("await 0 \(3 << 16 | 0x9800) 8 2 5000")
    try device.consumer.expect("await 0 \(3 << 16 | 0x800) 8 2 5000")
    device.end()
  }

  @Test("M9: two mappings and two processes see the same PQ", arguments: Window.allCases)
  func sharedState(_ window: Window) throws {
    var device = try ContractDevice(["--create", "0-15"])
    var other = try Consumer(opening: device.server.path)
    let page = device.page(7, .management, in: window)
    let start = device.page(0, .trigger, in: window)
    try device.consumer.map(0, at: start, pages: 32, of: device.map)
    try device.consumer.map(1, at: page, pages: 1, of: device.map)
    try other.map(0, at: page, pages: 1, of: device.map)
    #expect(try device.consumer.load(0, at: page - start + 0x800) == 1)
    #expect(try device.consumer.load(1, at: 0x800) == 1)
    #expect(try other.load(0, at: 0x800) == 1)
    for pq: UInt64 in [0, 3, 2, 1] {
      try device.setPQ(7, pq)
      try device.consumer.expect("await 0 \(page - start + 0xbf8) 8 \(pq) 5000")
      try device.consumer.expect("await 1 0x800 8 \(pq) 5000")
      try other.expect("await 0 0x900 8 \(pq) 5000")
    }
    device.end()
  }

  @Test("M9: a store that went through the page cache is dropped from every mapping")
  func zappedEverywhere() throws {
    var device = try ContractDevice(["--create", "0-15"])
    var other = try Consumer(opening: device.server.path)
    let page = device.page(7, .management)
    try device.consumer.map(0, at: page, pages: 1, of: device.map)
    try other.map(0, at: page, pages: 1, of: device.map)
    #expect(try device.consumer.load(0, at: 0xe00) == .max)
    #expect(try other.load(0, at: 0xe00) == .max)
    try device.consumer.expect("open 1 \(device.server.path) rw")
    #expect(try device.consumer.expect("pwrite 1 \(page + 0xe00) 0123456789abcdef") == "count=8")
    #expect(try device.pq(7) == 2)
    try device.consumer.expect("await 0 0xe00 8 \(UInt64.max) 5000")
    try other.expect("await 0 0xe00 8 \(UInt64.max) 5000")
    try other.expect("await 0 0x800 8 2 5000")
    device.end()
  }

  @Test("M12: a forked child has its parent's mapping and sees what changes")
  func forkedChild() throws {
    var device = try ContractDevice(["--create", "0-15", "--tick", "0"])
    try device.consumer.map(0, at: device.page(7, .trigger), pages: 2, of: device.map)
    #expect(try device.consumer.load(0, at: 0x1800) == 1)
    try device.consumer.expect("fork")
    #expect(try device.consumer.ask("child load 0 0x1800 8") == "ok 0x1")
    try device.setPQ(7, 0)
    let seen = try device.consumer.ask("child await 0 0x1800 8 0 5000")
    #expect(seen.hasPrefix("ok "), "\(seen)")
    // And the other way: the child's store is everybody's. Without ticks, msync alone delivers it: a tick
    // between the fault and the store that it is for would find the page changed and trigger as well.
    #expect(try device.consumer.ask("child store 0 0 8 1") == "ok")
    #expect(try device.consumer.ask("child msync 0 0 0x1000 sync") == "ok")
    #expect(try device.pq(7) == 2)
    try device.consumer.expect("await 0 0x1800 8 2 5000")
    #expect(try device.consumer.ask("child exit 0") == "ok")
    #expect(try device.consumer.expect("reap") == "exit=0")
    device.end()
  }

  @Test("M13, 6.34: what a partial munmap leaves still shows the sources of its file offset")
  func partialUnmap() throws {
    var device = try ContractDevice(["--create", "0-15"])
    try device.consumer.map(0, at: 4 << 12, pages: 32, of: device.map)
    try device.consumer.expect("unmap 0 0 0x10000")
    // The kernel counts from the mapping's new start and shows LISN 0 here.
    #expect(try device.consumer.signature(0, at: 16 << 12).lisn == 8)
    #expect(try device.consumer.signature(0, at: 31 << 12).lisn == 15)
    #expect(try device.consumer.ask("load 0 0 8").hasPrefix("sigsegv"))
    device.end()
  }
}
