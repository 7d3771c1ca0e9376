import CXIVE
import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Region 0x1000: what stores do")
struct StateStoreTests {
  @Test("An event that waits comes at once where the machine runs, once; else when it does")
  func latched() throws {
    for isRunning in [true, false] {
      let machine = try Machine(cpus: 1)
      let rig = machine.rig
      try machine.setCPPR(0, 0xff)
      if !isRunning { try rig.stop() }
      let record = StateRecord(config: xive_source_config(0, 6, 0x44, 0), flags: 0x32)
      try rig.store([record, record], from: 3)
      #expect(machine.queued(0) == (isRunning ? [0x44, 0x44] : []))
      #expect(try rig.record(3).flags == (isRunning ? 0x12 : 0x32))
      #expect(try machine.state(0) >> 24 == (isRunning ? 0x80 : 0))
      try rig.resume()
      try rig.stop()
      try rig.resume()
      #expect(machine.queued(0) == [0x44, 0x44], "once, whatever is done again")
      #expect(try rig.record(3).flags == 0x12)
      #expect(try rig.record(4).flags == 0x12)
    }
  }

  @Test("One that is masked or has no queue comes to nothing, as any event")
  func latchedToNowhere() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    try rig.store([StateRecord(flags: 0x32)], from: 1)
    try rig.store([StateRecord(config: xive_source_config(3, 2, 1, 0), flags: 0x32)], from: 2)
    #expect(machine.counts.entries == 0 && machine.counts.masked == 1)
    #expect(machine.guestErrors.end_invalid == 1)
    #expect(try !rig.isLatched(1) && !rig.isLatched(2))
  }

  @Test(
    "A source that exists but not in the record is off and masked; one that does not stays away")
  func absent() throws {
    let machine = try Machine(try Rig.withPHB(), cpus: 1)
    let rig = machine.rig
    try machine.start(1, on: 0, eisn: 1)
    try machine.startLevel(2, eisn: 2)
    try machine.start(3, on: 0, eisn: 3)
    try rig.map(3, to: 1)
    try rig.stop()
    try machine.trigger(1)
    try rig.setLine(2, 1)
    try rig.setHardwarePQ(1, .reset)
    try rig.store([.absent, .absent, .absent, .absent], from: 1)
    #expect(try rig.record(1) == StateRecord(flags: 0x11))
    #expect(try rig.record(2).flags & 0x37 == 0x15)
    #expect(try rig.record(3) == StateRecord(flags: 0x91 | 1 << 32), "its hardware is off, too")
    #expect(try rig.record(4) == .absent)
    #expect(!rig.resolves(rig.offset(4, .management)))
    #expect(rig.believedSources.isEmpty)
    try rig.hardware(.trigger, 1)
    try rig.resume()
    #expect(machine.queued(0).isEmpty)
  }

  @Test("A record creates a source: its pages, its block and its requests are there")
  func creation() throws {
    let rig = Rig(sources: 4_096, existing: 1)
    #expect(!rig.resolves(rig.offset(3_000, .trigger)))
    try rig.store([StateRecord(flags: 0x14)], from: 3_000)
    #expect(rig.resolves(rig.offset(3_000, .trigger)))
    #expect(rig.resolves(rig.offset(3_000, .management, .kernel)))
    #expect(rig.state(3_000).isLSI)
    let info = try rig.get(XIVE_GROUP_INFO, UInt64(XIVE_INFO_GEOMETRY), as: xive_info_geometry.self)
    #expect(info.source_blocks == 2)
    try rig.setLine(3_000, 1)
    #expect(rig.pq(3_000) == .pending)
  }

  @Test("The state of a mapped source is its interrupt's; its own comes back with its pages")
  func passthrough() throws {
    let machine = try Machine(try Rig.withPHB(), cpus: 1)
    let rig = machine.rig
    try machine.start(1, on: 0, eisn: 7)
    try rig.map(1, to: 2)
    for pq in PQ.allCases {
      let config = xive_source_config(0, 6, 7, 0)
      let record = StateRecord(config: config, flags: 0x90 | 2 << 32 | UInt64(pq.rawValue))
      try rig.store([record], from: 1)
      #expect(rig.hardwarePQ(2) == pq)
      #expect(try rig.record(1) == record)
      #expect(rig.pq(1) == .off, "what old pages would find")
    }
    try rig.endOfInterrupt(rig.offset(1, .management))
    #expect(machine.queued(0) == [7])
    try rig.unmap(1, from: 2)
    #expect(rig.pq(1) == .pending)
  }

  @Test("Mapped pages show what was stored")
  func pages() throws {
    let rig = Rig()
    let page = rig.offset(1, .management)
    _ = try rig.image(page)
    try rig.store([StateRecord(flags: 0x13)], from: 1)
    #expect(rig.updates().contains(.pq(.queued, at: page)))
  }

  @Test("The room in queues is counted by where the records' sources go")
  func room() throws {
    let rig = Rig(sources: 16_400, existing: 0, servers: 1)
    let machine = try Machine(rig, cpus: 1)
    let there = StateRecord(config: xive_source_config(0, 6, 1, 0))
    try rig.store(.init(repeating: there, count: 16_381), from: 0)
    rig.create(16_390)
    rig.create(16_391)
    try machine.route(16_390, to: 0, eisn: 2)
    #expect(throws: DeviceError.busy) { try machine.route(16_391, to: 0, eisn: 2) }
    // The same again takes no more room; one that is masked, or is none, makes room.
    try rig.store([there, there], from: 4)
    #expect(throws: DeviceError.busy) { try machine.route(16_391, to: 0, eisn: 2) }
    try rig.store([StateRecord()], from: 4)
    try machine.route(16_391, to: 0, eisn: 2)
    rig.create(16_392)
    #expect(throws: DeviceError.busy) { try machine.route(16_392, to: 0, eisn: 2) }
    try rig.store([.absent], from: 5)
    try machine.route(16_392, to: 0, eisn: 2)
    #expect(try rig.believedSources == rig.countedSources())
  }

  @Test("Stores, loads, accesses and changes of backings at once leave a device that adds up")
  func stress() throws {
    let machine = try Machine(try Rig.withPHB(), cpus: 2)
    let rig = machine.rig
    let wrong = Atomic<Int>(0)
    Threads.run(5) { thread in
      var random = Seed.generator(stream: 60 + UInt64(thread))
      for round in 0..<3_000 {
        let source = UInt32.random(in: 0..<8, using: &random)
        switch thread {
        case 0, 1:
          let records = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            StateRegionTests.record(&random, servers: 2)
          }
          try? rig.store(records, from: min(source, 5))
        case 2:
          guard let record = try? rig.record(source) else { break }
          let known: UInt64 = 0xff | 0x83ff_ffff << 32
          if record.flags & ~known != 0 { wrong.add(1, ordering: .relaxed) }
          if round % 500 == 0 { rig.device.setRunning(round % 1_000 == 0) }
        case 3:
          try? machine.trigger(source)
          _ = try? machine.load(source, at: UInt64(round % 16) << 8)
        default:
          _ = round % 2 == 0 ? try? rig.map(1, to: 2) : try? rig.unmap(1, from: 2)
          if round % 50 == 0 { try? machine.route(source, to: 1, eisn: 9) }
        }
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    #expect(try rig.believedSources == rig.countedSources())
    #expect(rig.changesUnderWay == 0)
    try rig.resume()
    for source: UInt32 in 0..<8 { #expect(try !rig.isLatched(source)) }
  }
}
