import CXIVE
import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Region 0x1000: the state of all sources")
struct StateRegionTests {
  static let lsi = UInt64(XIVE_STATE_LSI)
  static let asserted = UInt64(XIVE_STATE_ASSERTED)
  static let valid = UInt64(XIVE_STATE_VALID)
  static let latched = UInt64(XIVE_STATE_LATCHED)
  static let masked = UInt64(1) << 32

  /// A record that any device takes whose sources are not mapped; of a source that never was in one of four.
  static func record(_ random: inout SplitMix64, servers: UInt32 = 4) -> StateRecord {
    guard random.next() % 4 != 0 else { return .absent }
    let config = xive_source_config(
      UInt32.random(in: 0..<servers, using: &random), UInt32.random(in: 0..<7, using: &random),
      UInt32.random(in: 0..<1 << 31, using: &random), 0)
    let bits = random.next()
    let level = bits & 1 == 0 ? 0 : lsi | (bits & 2 == 0 ? 0 : asserted)
    return StateRecord(
      config: bits & 4 == 0 ? config : masked,
      flags: bits >> 8 & 3 | level | valid | (bits & 8 == 0 ? 0 : latched))
  }

  /// A stopped device of 24 sources, three of which are mapped.
  static func machine() throws -> Rig {
    let rig = Rig(sources: 24, existing: 0)
    try rig.addPHB(7, msis: 12, lsis: 3)
    for source: UInt32 in [3, 17, 18] {
      rig.create(source, isLSI: source == 18)
      try rig.map(source, to: source == 18 ? 14 : UInt16(source) / 2, phb: 7)
    }
    try rig.stop()
    return rig
  }

  /// The record of a mapped source.
  static func mapped(_ record: StateRecord, phb: UInt64 = 7, irq: UInt64) -> StateRecord {
    StateRecord(
      config: record == .absent ? masked : record.config,
      flags: record.flags | valid | 0x80 | phb << 48 | irq << 32)
  }

  static func randomRecords(_ random: inout SplitMix64) -> [StateRecord] {
    var records = (0..<24).map { _ in record(&random) }
    for (source, irq) in [3: 1, 17: 8, 18: 14] as [Int: UInt64] {
      records[source] = mapped(records[source], irq: irq)
    }
    return records
  }

  @Test("What is stored is what is read back, and a second machine takes it: random machines")
  func roundTrip() throws {
    var random = Seed.generator(stream: 51)
    for _ in 0..<60 {
      let records = Self.randomRecords(&random)
      let first = try Self.machine()
      try first.store(records, from: 0)
      let bytes = try first.allState()
      #expect(bytes == records.flatMap(\.bytes), "\(Seed.comment)")
      let second = try Self.machine()
      // In pieces, from the end to the beginning: their order does not matter.
      var end = 24
      while end > 0 {
        let start = Int.random(in: 0..<end, using: &random)
        try second.storeState(Array(bytes[start * 16..<end * 16]), at: UInt64(start) * 16)
        end = start
      }
      #expect(try second.allState() == bytes, "\(Seed.comment)")
      #expect(second.states == first.states, "\(Seed.comment)")
      #expect(try second.believedSources == second.countedSources(), "\(Seed.comment)")
    }
  }

  @Test("A read of any size at any place is that part of the whole")
  func slices() throws {
    var random = Seed.generator(stream: 52)
    let rig = try Self.machine()
    try rig.store(Self.randomRecords(&random), from: 0)
    let whole = try rig.allState()
    for start in 0..<40 {
      for count in 1...50 {
        let slice = try rig.stateBytes(at: UInt64(start), count: count)
        #expect(slice == Array(whole[start..<start + count]))
      }
    }
    for _ in 0..<500 {
      let start = Int.random(in: 0..<whole.count, using: &random)
      let count = Int.random(in: 1...whole.count - start, using: &random)
      let slice = try rig.stateBytes(at: UInt64(start), count: count)
      #expect(slice == Array(whole[start..<start + count]), "\(Seed.comment)")
    }
    for (start, count) in [(384, 1), (383, 2), (0, 385), (1 << 39, 8), (368, 17)] {
      #expect(throws: DeviceError.invalid) {
        try rig.stateBytes(at: UInt64(start), count: count)
      }
    }
  }

  @Test("Whoever may not write may read, but not store")
  func readers() throws {
    let rig = Rig()
    #expect(try rig.stateBytes(count: 128, by: Rig.reader).count == 128)
    let before = try rig.allState()
    #expect(throws: DeviceError.badDescriptor) {
      try rig.storeState(StateRecord(flags: 0x12).bytes, by: Rig.reader)
    }
    #expect(try rig.allState() == before)
  }

  @Test("Each field of a record is where the header has it")
  func fields() throws {
    let machine = try Machine(try Rig.withPHB(existing: 5), cpus: 2)
    let rig = machine.rig
    try machine.start(1, on: 1, eisn: 0x7fff_ffff)
    try machine.trigger(1)
    try machine.trigger(1)
    try machine.startLevel(2, eisn: 5)
    try rig.setLine(2, 1)
    try rig.map(3, to: 2)
    try rig.setHardwarePQ(2, .off)
    let event = FakeEvent(1)
    rig.create(4, isLSI: true)
    try rig.irqfd(4, event, resample: FakeEvent(2))
    event.fire()
    #expect(try rig.record(0) == StateRecord(config: 1 << 32, flags: 0x11))
    let config = UInt64(0x7fff_ffff) << 33 | 1 << 3 | 6
    #expect(try rig.record(1) == StateRecord(config: config, flags: 0x13))
    #expect(try rig.record(2) == StateRecord(config: 5 << 33 | 6, flags: 0x1e))
    #expect(try rig.record(3) == StateRecord(config: 1 << 32, flags: 2 << 32 | 0x91))
    #expect(try rig.record(4) == StateRecord(config: 1 << 32, flags: 0x55))
    #expect(try rig.record(5) == .absent)
    #expect(xive_state_offset(5) == 0x1000 << 40 | 80)
  }

  @Test("A limited number of sources ends the region earlier")
  func limit() throws {
    let rig = Rig()
    try rig.set(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_NR_SOURCES), UInt32(5))
    #expect(try rig.stateBytes(count: 80).count == 80)
    #expect(throws: DeviceError.invalid) { try rig.stateBytes(count: 81) }
    #expect(throws: DeviceError.invalid) { try rig.store([StateRecord()], from: 5) }
    #expect(throws: DeviceError.invalid) { try rig.store([StateRecord(), StateRecord()], from: 4) }
    try rig.store([StateRecord(flags: 0x12)], from: 4)
    #expect(try rig.record(4).flags == 0x12)
  }

  @Test("No source comes into being beyond a limit that is set at the same time")
  func limitRace() {
    for round in 0..<300 {
      let rig = Rig(sources: 8, existing: 0)
      Threads.run(3) { thread in
        switch thread {
        case 0: try? rig.store([StateRecord()], from: 6)
        case 1: rig.create(7)
        default: try? rig.device.setSourceLimit(6)
        }
      }
      let isLimited = rig.device.sourceLimit == 6
      let isThere = (6..<8).map { rig.device.backingWord(of: LISN(rawValue: $0)) != nil }
      #expect(isLimited != isThere.contains(true), "round \(round)")
      if isLimited == isThere.contains(true) { return }
    }
  }
}
