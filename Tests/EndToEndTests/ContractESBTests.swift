import CXIVE
import SystemCalls
import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Contract: ESB operations by exact access", .enabled(if: Requirement.canMount),
  .hangGuard)
struct ContractESBTests {
  private static let offsets: [ReferenceOperation: (VectorAccess, ESBHalf, UInt64)] = [
    .trigger: (.store, .trigger, 0x000), .loadEOI: (.load, .management, 0x000),
    .storeEOI: (.store, .management, 0x400), .get: (.load, .management, 0x800),
    .set00: (.load, .management, 0xc00), .set01: (.load, .management, 0xd00),
    .set10: (.load, .management, 0xe00), .set11: (.load, .management, 0xf00),
  ]

  @Test("E1: every operation from every state, in both windows", arguments: Window.allCases)
  func transitions(_ window: Window) throws {
    var device = try ContractDevice(["--create", "16-18", "--store-eoi"])
    #expect(ReferenceTable.rows.count == Self.offsets.count * 4)
    for row in ReferenceTable.rows {
      let (access, half, offset) = try #require(Self.offsets[row.operation])
      try device.setPQ(17, UInt64(row.before))
      let before = try device.counters()
      let answer = try device.consumer.ask(
        exact(access, at: device.page(17, half, in: window) + offset))
      let after = try device.counters()
      #expect(answer == exactAnswer(access == .load ? row.value : nil), "\(row)")
      #expect(after.events - before.events == (row.notifies ? 1 : 0), "\(row)")
      #expect(after.exact_loads - before.exact_loads == (access == .load ? 1 : 0), "\(row)")
      #expect(after.exact_stores - before.exact_stores == (access == .load ? 0 : 1), "\(row)")
      #expect(after.guest_errors == before.guest_errors, "\(row)")
      #expect(try device.pq(17) == row.after, "\(row)")
    }
    #expect(try device.pq(16) == 1 && device.pq(18) == 1)
    device.end()
  }

  @Test(
    "E2: the low 12 bits of the offset alone decode, and neighbouring words decode alike",
    arguments: ["4k", "64k"])
  func decoding(_ pageSize: String) throws {
    var device = try ContractDevice(["--page-size", pageSize, "--create", "0-3"])
    let management = device.page(2, .management)
    for repetition in stride(from: 0, to: device.map.pageByteCount, by: 0x1000) {
      let base = management + repetition
      try device.setPQ(2, 3)
      #expect(try device.consumer.load(at: base + 0x008) == 1)
      #expect(try device.consumer.load(at: base + 0x7f8) == 0)
      #expect(try device.consumer.load(at: base + 0xe40) == 0)
      #expect(try device.consumer.load(at: base + 0xbf8) == 2)
      #expect(try device.consumer.load(at: base + 0xcf8) == 2)
      try device.consumer.store(at: base + 0x3f8)
      try device.consumer.store(at: base + 0xdf8)
      #expect(try device.pq(2) == 1)
      #expect(try device.pq(1) == 1 && device.pq(3) == 1)
    }
    device.end()
  }

  @Test("E3: a load of the trigger page gives all ones and changes nothing")
  func triggerPageLoads() throws {
    var device = try ContractDevice(["--create", "0-3"])
    for pq: UInt64 in 0..<4 {
      try device.setPQ(2, pq)
      let before = try device.counters()
      for offset: UInt64 in [0x000, 0x400, 0x800, 0xc00, 0xff8] {
        #expect(try device.consumer.load(at: device.page(2, .trigger) + offset) == .max)
      }
      let after = try device.counters()
      #expect(try device.pq(2) == pq)
      #expect(after.guest_errors - before.guest_errors == 5)
      #expect(after.events == before.events)
    }
    device.end()
  }

  @Test("E4, E7: a store anywhere in the trigger page is a trigger, whatever is stored")
  func triggerPageStores() throws {
    var device = try ContractDevice(["--create", "0-3"])
    let words = stride(from: UInt64(0), to: 0x1000, by: 8)
    let commands = words.flatMap { offset in
      [
        exact(.load, at: device.page(2, .management) + 0xc00),
        exact(.store, at: device.page(2, .trigger) + offset),
      ]
    }
    let answers = try device.consumer.ask(all: commands)
    for (index, answer) in answers.enumerated() {
      // The load finds what the store before it left: pending.
      let expected: UInt64? = index % 2 == 1 ? nil : index == 0 ? 1 : 2
      #expect(answer == exactAnswer(expected), "word \(index / 2)")
    }
    #expect(try device.counters().events == 512)
    #expect(try device.counters().guest_errors == 0)
    device.end()
  }

  @Test("E5: StoreEOI ends the interrupt only where it is supported", arguments: [false, true])
  func storeEOI(_ isSupported: Bool) throws {
    var device = try ContractDevice(["--create", "2"] + (isSupported ? ["--store-eoi"] : []))
    #expect(try device.geometry().flags == (isSupported ? 1 : 0))
    for (before, ended): (UInt64, UInt64) in [(0, 0), (1, 1), (2, 0), (3, 2)] {
      try device.setPQ(2, before)
      let counters = try device.counters()
      for _ in 0..<3 where try device.pq(2) == before {
        try device.consumer.store(at: device.page(2, .management) + 0x7f8)
      }
      #expect(try device.pq(2) == (isSupported ? ended : before))
      let events = try device.counters().events - counters.events
      #expect(events == (isSupported && before == 3 ? 1 : 0))
      let errors = try device.counters().guest_errors - counters.guest_errors
      #expect(errors == (isSupported ? 0 : 3))
    }
    device.end()
  }

  @Test("E7: what is stored never matters, on the management page either")
  func storedData() throws {
    var device = try ContractDevice(["--create", "2"])
    for pq: UInt64 in [2, 0, 3, 1] {
      for value: UInt64 in [0, 1, .max, 0x0123_4567_89ab_cdef] {
        try device.setPQ(2, pq ^ 1)
        let offset = device.page(2, .management) + 0xc00 + pq * 0x100
        try device.consumer.store(value, at: offset)
        #expect(try device.pq(2) == pq)
      }
    }
    device.end()
  }

  @Test("E8: a shape of ESB pages that does not exist is refused at the start")
  func unknownShapes() throws {
    let directory = try TemporaryDirectory()
    for words in [["--page-size", "16k"], ["--esb-pages", "3"], ["--esb-pages", "0"]] {
      var server = try ChildProcess(
        Built.path("xive"), ["serve", directory.path + "/device"] + words)
      #expect(server.exitCode(within: 10_000) == 64, "\(words)")
      #expect(MountTable.fileSystemType(at: directory.path + "/device") == nil)
    }
  }
}
