import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Contract: accesses that no page takes", .enabled(if: Requirement.canMount),
  .hangGuard)
struct ContractAccessTests {
  private let management: UInt64 = 1 << 40 | 11 << 12
  private let trigger: UInt64 = 1 << 40 | 10 << 12

  @Test("E6: a load or store of another size than 8 is EINVAL and changes nothing")
  func sizes() throws {
    var device = try ContractDevice(["--create", "5", "--store-eoi"])
    for pq: UInt64 in 0..<4 {
      try device.setPQ(5, pq)
      let before = try device.counters()
      for page in [trigger, management] {
        for offset: UInt64 in [0x000, 0x400, 0x800, 0xc00, 0xd00] {
          for size in [1, 2, 4, 16, 24, 4_096] where offset == 0 || size < 4_096 {
            let load = "pread 0 \(page + offset) \(size)"
            #expect(try device.consumer.ask(load) == "errno EINVAL 22", "\(load)")
            let store = "pwrite 0 \(page + offset) "
            let stored = try device.consumer.ask(store + String(repeating: "00", count: size))
            #expect(stored == "errno EINVAL 22", "\(store) of \(size) bytes")
          }
        }
      }
      // More than one request can carry.
      #expect(try device.consumer.ask("pread 0 \(trigger) 2097152") == "errno EINVAL 22")
      let after = try device.counters()
      #expect(try device.pq(5) == pq)
      #expect(after.events == before.events)
      #expect(after.exact_loads == before.exact_loads && after.exact_stores == before.exact_stores)
    }
    device.end()
  }

  @Test("E6: 8 bytes that are not aligned are EINVAL and change nothing", arguments: 1..<8)
  func alignment(_ shift: UInt64) throws {
    var device = try ContractDevice(["--create", "5", "--store-eoi"])
    try device.setPQ(5, 3)
    // The last one also crosses into the page behind.
    for base in [trigger, management, management + 0xc00, trigger + 0xff8, management + 0xff8] {
      #expect(try device.consumer.ask("pread 0 \(base + shift) 8") == "errno EINVAL 22")
      let stored = try device.consumer.ask("pwrite 0 \(base + shift) 0000000000000000")
      #expect(stored == "errno EINVAL 22")
    }
    #expect(try device.pq(5) == 3)
    #expect(try device.counters().events == 0)
    device.end()
  }

  @Test("An offset that the map does not have is EINVAL")
  func beyondTheMap() throws {
    var device = try ContractDevice(["--sources", "64", "--create", "0-63", "--max-vcpus", "4"])
    let offsets: [UInt64] = [
      (4 + 2 * 64) << 12,  // behind the kernel's window
      1 << 40 | 128 << 12,  // behind region 1
      2 << 40 | 64 << 12,  // behind the ENDs of four servers
      3 << 40 | 16 << 12,  // behind their TIMA pages
      4 << 40, 15 << 40, 1_040 << 40, 0xfff << 40, 0x1002 << 40, (1 << 62) - 8,
    ]
    for offset in offsets {
      #expect(try device.consumer.ask("pread 0 \(offset) 8") == "errno EINVAL 22", "\(hex(offset))")
      let stored = try device.consumer.ask("pwrite 0 \(offset) 0000000000000000")
      #expect(stored == "errno EINVAL 22", "\(hex(offset))")
    }
    #expect(try device.consumer.load(at: offsets[0] - 0x1000 + 0x800) == 1)
    #expect(try device.consumer.load(at: offsets[1] - 0x1000 + 0x800) == 1)
    device.end()
  }

  @Test(
    "Behind the end of the file nothing is loaded, nothing is stored, and the file keeps its size")
  func behindTheFile() throws {
    var device = try ContractDevice(["--create", "5"])
    try device.consumer.map(0, at: management, pages: 1, of: device.map)
    #expect(try device.consumer.load(0, at: 0x800) == 1)
    let size = try device.consumer.expect("stat 0")
    #expect(size.hasPrefix("size=\(1 << 62) "))
    for offset: UInt64 in [1 << 62, 1 << 62 + 4_096, Int64.max.magnitude - 15] {
      #expect(try device.consumer.ask("pread 0 \(offset) 8") == "ok -")
      let stored = try device.consumer.ask("pwrite 0 \(offset) 0000000000000000")
      #expect(stored.hasPrefix("errno E"), "\(stored)")
    }
    #expect(try device.consumer.expect("stat 0") == size)
    #expect(try device.consumer.load(0, at: 0x800) == 1)
    try device.setPQ(5, 2)
    try device.consumer.expect("await 0 0x800 8 2 5000")
    device.end()
  }

  @Test(
    "Loads of absent pages give all ones, stores are dropped, and each counts as a guest error",
    arguments: Window.allCases)
  func absentPages(_ window: Window) throws {
    var device = try ContractDevice(["--create", "5"])
    let absent: [UInt64] = [
      device.page(6, .trigger, in: window), device.page(4, .management, in: window),
      device.page(8_191, .management, in: window) + 0xc00,
    ]
    let before = try device.counters()
    for offset in absent {
      #expect(try device.consumer.load(at: offset) == .max)
      try device.consumer.store(at: offset)
    }
    let after = try device.counters()
    #expect(after.guest_errors - before.guest_errors == UInt64(2 * absent.count))
    #expect(after.exact_loads - before.exact_loads == UInt64(absent.count))
    #expect(after.exact_stores - before.exact_stores == UInt64(absent.count))
    #expect(after.events == before.events)
    // A source that comes into being afterwards knows nothing of it.
    for lisn: UInt32 in [4, 6, 8_191] {
      try device.create(lisn)
      #expect(try device.pq(lisn) == 1)
    }
    device.end()
  }

  @Test("A store to the PQ window of a management page is dropped and counts as a guest error")
  func storeToPQ() throws {
    var device = try ContractDevice(["--create", "5"])
    for pq: UInt64 in 0..<4 {
      try device.setPQ(5, pq)
      let before = try device.counters()
      for offset: UInt64 in [0x800, 0x9f8, 0xbf8] {
        try device.consumer.store(at: management + offset)
      }
      #expect(try device.pq(5) == pq)
      let after = try device.counters()
      #expect(after.guest_errors - before.guest_errors == 3)
      #expect(after.events == before.events)
    }
    device.end()
  }
}
