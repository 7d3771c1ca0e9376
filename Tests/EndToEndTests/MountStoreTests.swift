import Testing
import XIVETestSupport

/// Without the tick, so that a write-back is exactly where the test asks for one.
@Suite("Mapped stores", .enabled(if: Requirement.canMount), .hangGuard)
struct MountStoreTests {
  private func consumer(of path: String, _ page: UInt64, pq: UInt64 = 0) throws -> Consumer {
    var consumer = try Consumer(opening: path)
    try consumer.map(0, at: page)
    try consumer.setPQ(0, pq)
    return consumer
  }

  @Test(
    "A store anywhere in a trigger page is one trigger",
    arguments: [0, 0x7f8, 0x800, 0xc00, 0xfc0, 0xff8] as [UInt64])
  func trigger(_ offset: UInt64) throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path, triggerPage(0))
    try consumer.storeMapped(0, offset)
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 2)
    #expect(try consumer.counters().mappedStores == 1)
    #expect(try consumer.counters().events == 1)
    #expect(try consumer.await(0, offset & ~0x3f, offset >= 0xfc0 ? signatureMagic : allOnes))
  }

  /// An operation of the management page: where it is stored, PQ before and after.
  struct Operation: CustomTestStringConvertible {
    let offset, before, after: UInt64
    var options: [String] = []
    var isKnown = true
    var testDescription: String { "0x\(String(offset, radix: 16)) \(options.joined())" }
  }

  @Test(
    "A store to a management page is the operation of its offset",
    arguments: [
      Operation(offset: 0x000, before: 0, after: 2), Operation(offset: 0x3f8, before: 2, after: 3),
      Operation(offset: 0x400, before: 3, after: 3, isKnown: false),
      Operation(offset: 0x400, before: 3, after: 2, options: ["--store-eoi"]),
      Operation(offset: 0x7f8, before: 2, after: 0, options: ["--store-eoi"]),
      Operation(offset: 0xc00, before: 3, after: 0), Operation(offset: 0xcf8, before: 3, after: 0),
      Operation(offset: 0xd00, before: 0, after: 1), Operation(offset: 0xdf8, before: 0, after: 1),
      Operation(offset: 0xe00, before: 0, after: 2), Operation(offset: 0xef8, before: 0, after: 2),
      Operation(offset: 0xf00, before: 0, after: 3), Operation(offset: 0xfb8, before: 0, after: 3),
      Operation(offset: 0xfc0, before: 0, after: 3), Operation(offset: 0xff8, before: 0, after: 3),
    ])
  func management(_ operation: Operation) throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"] + operation.options)
    var consumer = try consumer(of: device.path, managementPage(0), pq: operation.before)
    let served = try consumer.mapped(0, operation.offset)
    try consumer.storeMapped(0, operation.offset, 0x1234)
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == operation.after)
    #expect(try consumer.counters().mappedStores == 1)
    #expect(try consumer.counters().guestErrors == (operation.isKnown ? 0 : 1))
    #expect(try consumer.await(0, operation.offset, served), "the slot is put back")
    #expect(try consumer.await(0, 0x800, operation.after))
  }

  @Test(
    "A store into the PQ window is no operation, and the window is true again",
    arguments: [0x800, 0xbf8])
  func window(_ offset: UInt64) throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path, managementPage(0), pq: 2)
    try consumer.storeMapped(0, offset, 77)
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 2)
    #expect(try consumer.counters().mappedStores == 0)
    #expect(try consumer.await(0, offset, 2))
  }

  @Test("Several slots at once are performed in ascending order")
  func ascending() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path, managementPage(0), pq: 3)
    for offset in [0xd00, 0xc00, 0x008] as [UInt64] { try consumer.storeMapped(0, offset) }
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 1, "trigger, SET_PQ_00, SET_PQ_01")
    #expect(try consumer.counters().mappedStores == 3)
    #expect(try consumer.counters().events == 0)
    try consumer.setPQ(0, 1)
    for offset in [0xc00, 0xd00, 0x008] as [UInt64] {
      #expect(try consumer.await(0, offset, allOnes), "put back: a store is seen from here on")
    }
    for offset in [0x000, 0x008, 0x010] as [UInt64] {
      try consumer.storeMapped(0, 0xc00)
      try consumer.storeMapped(0, offset)
    }
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 0, "three triggers of a source that is off, SET_PQ_00")
    #expect(try consumer.counters().mappedStores == 7)
  }

  @Test("A store narrower than its slot, or at an odd address, is one store", arguments: [1, 2, 4])
  func narrow(_ size: UInt64) throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path, managementPage(0))
    try consumer.expect("store 0 \(0xe00 + 8 - size) \(size) 0")
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 2)
    #expect(try consumer.counters().mappedStores == 1)
  }

  @Test("The same store again is performed again, once its slot was put back")
  func again() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path, managementPage(0))
    for round in 1...20 as ClosedRange<UInt64> {
      try consumer.setPQ(0, 3)
      try consumer.storeMapped(0, 0xd00, 5)
      try consumer.synchronize(0)
      #expect(try consumer.pq(0) == 1)
      #expect(try consumer.counters().mappedStores == round)
      #expect(try consumer.await(0, 0xd00, allOnes))
    }
  }

  @Test(
    "The same store again, put back or not, is performed again, where one slot alone is stored to")
  func againAtOnce() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path, managementPage(0))
    for round in 1...200 as ClosedRange<UInt64> {
      try consumer.setPQ(0, 3)
      try consumer.storeMapped(0, 0xd00, 5)
      try consumer.synchronize(0)
      #expect(try consumer.pq(0) == 1, "round \(round)")
      #expect(try consumer.counters().mappedStores == round)
    }
  }

  @Test("Stores that race with putting slots back may coalesce, but never become another operation")
  func neverAnother() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path, managementPage(0))
    var coalesced = 0
    for round in 1...400 as ClosedRange<UInt64> {
      try consumer.setPQ(0, 3)
      let pq: UInt64 = round % 20 < 10 ? 1 : 2
      try consumer.storeMapped(0, 0xc00 + pq << 8, 5)
      try consumer.synchronize(0)
      let seen = try consumer.pq(0)
      if seen == 3 { coalesced += 1 }
      #expect(seen == pq || seen == 3, "round \(round)")
      #expect(try consumer.counters().mappedStores + UInt64(coalesced) == round)
    }
    #expect(coalesced < 200)
  }

  @Test("A store of the value that is served repeats the last store")
  func servedValue() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path, managementPage(0), pq: 3)
    try consumer.storeMapped(0, 0xd00, allOnes)
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 3, "nothing to repeat yet")
    try consumer.storeMapped(0, 0xd00)
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 1)
    #expect(try consumer.await(0, 0xd00, allOnes))
    try consumer.setPQ(0, 3)
    try consumer.storeMapped(0, 0xd00, allOnes)
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 1)
    #expect(try consumer.counters().mappedStores == 2)
  }

  @Test("Stores through both windows are stores to the same source")
  func bothWindows() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path, triggerPage(0))
    try consumer.map(1, at: kernelAlias(triggerPage(0)))
    try consumer.map(2, at: kernelAlias(managementPage(0)))
    try consumer.storeMapped(0, 0)
    try consumer.synchronize(0)
    #expect(try consumer.pq(0) == 2)
    try consumer.storeMapped(1, 0)
    try consumer.synchronize(1)
    #expect(try consumer.pq(0) == 3)
    try consumer.storeMapped(2, 0xc00)
    try consumer.synchronize(2)
    #expect(try consumer.pq(0) == 0)
    #expect(try consumer.counters().mappedStores == 3)
  }
}

/// The first 8 bytes of a page signature.
private let signatureMagic: UInt64 = 0x5849_5645_5041_4745
