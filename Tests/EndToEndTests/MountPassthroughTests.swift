import CXIVE
import Testing
import XIVETestSupport

@Suite(
  "Passthrough through a mount", .enabled(if: Requirement.canMount), .hangGuard)
struct MountPassthroughTests {
  /// Maps both pages of sources 0-3 in both windows and PHB 0's pages: mappings 0, 1 and 2.
  private func consumer(_ device: borrowing ServedDevice) throws -> Consumer {
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 0x8000)
    try consumer.map(1, at: kernelAlias(triggerPage(0)), 0x8000)
    try consumer.map(2, at: 16 << 40, 0x4000)
    return consumer
  }

  /// Which of source 1's pages the consumer has in its page table, in both mappings.
  private func present(_ consumer: inout Consumer) throws -> String {
    try consumer.expect("present 0 0x2000 0x2000") + consumer.expect("present 1 0x2000 0x2000")
  }

  /// Which of them are in the page cache.
  private func cached(_ consumer: inout Consumer) throws -> String {
    try consumer.expect("resident 0 0x2000 0x2000") + consumer.expect("resident 1 0x2000 0x2000")
  }

  private func touchAll(_ consumer: inout Consumer) throws {
    for mapping in 0..<2 {
      for page in UInt64(0)..<8 { _ = try consumer.mapped(mapping, page << 12) }
    }
    for page in UInt64(0)..<4 { _ = try consumer.mapped(2, page << 12) }
    #expect(try present(&consumer) == "1111" && cached(&consumer) == "1111")
  }

  /// Maps or unmaps source 1 and interrupt 2.
  private func passthrough(_ consumer: inout Consumer, flags: UInt32) throws {
    let words = [0, 2, 1, flags].map(\.littleEndianHex).joined()
    try consumer.expect("inline 0 set 0x41 1 \(words)")
  }

  @Test("P15: after a change no page of the source is mapped anywhere; others' pages stay")
  func p15() throws {
    let device = try ServedDevice(["--create", "0-3", "--phb", "0:4"])
    var actor = try Consumer(opening: device.path)
    var consumer = try consumer(device)
    for (flags, backing) in [(UInt32(0), UInt64(1)), (XIVE_PASSTHROUGH_UNMAP, 0)] {
      try touchAll(&consumer)
      try passthrough(&actor, flags: flags)
      #expect(try present(&consumer) == "0000")
      #expect(try cached(&consumer) == "0000")
      for mapping in 0..<2 {
        #expect(try consumer.expect("present \(mapping) 0 0x2000") == "11")
        #expect(try consumer.expect("present \(mapping) 0x4000 0x4000") == "1111")
      }
      #expect(try consumer.expect("present 2 0 0x4000") == "1111")
      for mapping in 0..<2 {
        for page in UInt64(2)..<4 {
          #expect(try consumer.mapped(mapping, page << 12 + 0xfd0) >> 32 == backing)
        }
      }
    }
  }

  @Test("P15: pushed pages are in the cache before the answer, and in no page table")
  func pushed() throws {
    let device = try ServedDevice(["--create", "0-3", "--phb", "0:4"])
    var actor = try Consumer(opening: device.path)
    var consumer = try consumer(device)
    for flags in [XIVE_PASSTHROUGH_PREFAULT, XIVE_PASSTHROUGH_PREFAULT | XIVE_PASSTHROUGH_UNMAP] {
      try touchAll(&consumer)
      try passthrough(&actor, flags: flags)
      #expect(try present(&consumer) == "0000" && cached(&consumer) == "1111")
      let fills = try actor.counters().fills
      for mapping in 0..<2 {
        for page in UInt64(2)..<4 { _ = try consumer.mapped(mapping, page << 12) }
      }
      #expect(try actor.counters().fills == fills, "the first touch waits for nobody")
    }
  }

  @Test("P15: after a removal no page of the PHB is left, neither its own nor at its sources")
  func removal() throws {
    let device = try ServedDevice(["--create", "0-3", "--phb", "0:4"])
    var actor = try Consumer(opening: device.path)
    var consumer = try consumer(device)
    try passthrough(&actor, flags: 0)
    try touchAll(&consumer)
    try actor.expect("inline 0 set 0x40 0 00000000000000000000000000000000")
    #expect(try present(&consumer) == "0000" && cached(&consumer) == "0000")
    #expect(try consumer.expect("present 2 0 0x4000") == "0000")
    #expect(try consumer.ask("load 2 0 8").hasPrefix("sigbus"))
    #expect(try consumer.mapped(0, 0x2fd0) >> 32 == 0)
  }
}

extension UInt32 {
  /// The value's bytes as they lie in memory, in hexadecimal.
  fileprivate var littleEndianHex: String {
    (0..<4).map { index in
      let byte = String(self >> (8 * UInt32(index)) & 0xff, radix: 16)
      return byte.count == 1 ? "0" + byte : byte
    }.joined()
  }
}
