import CXIVE
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

@Suite("Region 0x1000: what is not taken, and leaves everything as it was")
struct StateRefusalTests {
  /// A device whose source 3 is mapped to interrupt 2 of PHB 0, and whose source 5 is an LSI that irqfds share.
  private func rig() throws -> (rig: Rig, events: [FakeEvent]) {
    let rig = try Rig.withPHB(existing: 8)
    try rig.addPHB(1)
    try rig.map(3, to: 2)
    rig.create(5, isLSI: true)
    let events = [FakeEvent(1), FakeEvent(2)]
    try rig.irqfd(5, events[0], resample: events[1])
    return (rig, events)
  }

  /// What none of these records may change, in the midst of others that are fine.
  private func refuse(
    _ rig: Rig, _ record: StateRecord, of source: UInt32, _ comment: Comment,
    _ error: DeviceError = .invalid
  ) throws {
    let state = try rig.allState()
    let counts = rig.believedSources
    let fine = StateRecord(config: xive_source_config(1, 4, 9, 0), flags: 0x30)
    let others = [fine, record, fine]
    rig.expectNothing(error, comment) { () throws(DeviceError) in
      try rig.store(others, from: source - 1)
    }
    rig.expectNothing(error, comment) { () throws(DeviceError) in
      try rig.store([record], from: source)
    }
    #expect(try rig.allState() == state, comment)
    #expect(rig.believedSources == counts, comment)
  }

  @Test("A part of a record, or one beyond the last source")
  func shape() throws {
    let (rig, _) = try rig()
    let bytes = StateRecord(flags: 0x12).bytes + StateRecord(flags: 0x12).bytes
    for count in 1...31 where count != 16 {
      rig.expectNothing(.invalid, "\(count)") { () throws(DeviceError) in
        try rig.storeState(Array(bytes.prefix(count)))
      }
    }
    for offset: UInt64 in [1, 4, 8, 15, 17, 120, 128, 113, 1 << 30, 1 << 39] {
      rig.expectNothing(.invalid, "\(offset)") { () throws(DeviceError) in
        try rig.storeState(Array(bytes.prefix(16)), at: offset)
      }
    }
    // Whole records, of which the second is beyond.
    rig.expectNothing(.invalid) { () throws(DeviceError) in try rig.storeState(bytes, at: 112) }
  }

  @Test("Bits that mean nothing", arguments: Array(8..<32) + Array(58..<64))
  func unknownBits(bit: Int) throws {
    let (rig, _) = try rig()
    try refuse(rig, StateRecord(flags: 0x11 | 1 << UInt64(bit)), of: 1, "bit \(bit)")
    let mapped = StateRecord(flags: 0x91 | 2 << 32 | 1 << UInt64(bit))
    try refuse(rig, mapped, of: 1, "bit \(bit) of one that is not mapped")
  }

  @Test("A source that never was with anything else", arguments: 0..<64)
  func invalidWithBits(bit: Int) throws {
    let (rig, _) = try rig()
    let value = UInt64(1) << UInt64(bit)
    try refuse(rig, StateRecord(config: value, flags: 0), of: 1, "config \(bit)")
    if bit != 4 { try refuse(rig, StateRecord(config: 0, flags: value), of: 1, "flags \(bit)") }
  }

  @Test("A configuration that is none")
  func configurations() throws {
    let (rig, _) = try rig()
    for priority in 0..<UInt32(8) {
      for server: UInt32 in [0, 3, 4, 5, 1 << 28] where priority == 7 || server > 3 {
        let config = xive_source_config(server, priority, 3, 0)
        try refuse(rig, StateRecord(config: config), of: 1, "\(server) \(priority)")
      }
    }
    for config in [xive_source_config(0, 1, 0, 1), xive_source_config(1, 0, 0, 1)]
      + [xive_source_config(0, 0, 1, 1), xive_source_config(0, 7, 0, 1)]
    {
      try refuse(rig, StateRecord(config: config), of: 1, "masked, and more: \(config)")
    }
  }

  @Test("A message source whose line is held, with every PQ")
  func assertedMessage() throws {
    let (rig, _) = try rig()
    for pq in 0..<UInt64(4) {
      try refuse(rig, StateRecord(flags: 0x18 | pq), of: 1, "asserted, \(pq)")
    }
  }

  @Test("Hardware behind a source that is not, or that is another")
  func passthrough() throws {
    let (rig, _) = try rig()
    let phb = UInt64(1) << 48
    let irq = UInt64(1) << 32
    try refuse(rig, StateRecord(flags: 0x91), of: 1, "mapped in the record alone")
    try refuse(rig, StateRecord(flags: 0x11 | irq), of: 1, "an interrupt without the flag")
    try refuse(rig, StateRecord(flags: 0x11 | phb), of: 1, "a PHB without the flag")
    // Source 3 is mapped, to PHB 0 and its interrupt 2; sources 2 and 4 are not.
    try refuse(rig, StateRecord(flags: 0x12), of: 3, "mapped in the device alone")
    try refuse(rig, StateRecord(flags: 0x12 | 2 * irq), of: 3, "without the flag")
    try refuse(rig, StateRecord(flags: 0x92 | 3 * irq), of: 3, "another interrupt")
    try refuse(rig, StateRecord(flags: 0x92 | 2 * irq | phb), of: 3, "another PHB")
    try refuse(rig, StateRecord(flags: 0x92 | 2 * irq | 1 << 58), of: 3, "beyond all PHBs")
    try rig.store([StateRecord(flags: 0x92 | 2 * irq)], from: 3)
  }

  @Test("A line that irqfds share and that would be none any more, until they have gone")
  func sharedLine() throws {
    let (rig, events) = try rig()
    let message = StateRecord(flags: 0x12)
    try refuse(rig, message, of: 5, "irqfds", .busy)
    events[0].fire()
    try refuse(rig, message, of: 5, "irqfds hold the line", .busy)
    try rig.store([StateRecord(flags: 0x16)], from: 5)
    #expect(try rig.record(5).flags == 0x56, "the line is still held by them")
    try rig.untie(5, events[0], resample: events[1])
    try rig.store([message], from: 5)
    #expect(try rig.record(5) == message)
  }
}
