import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Source state", .enabled(if: Requirement.canMount), .hangGuard)
struct SourceStateTests {
  @Test("A record tells what its source is")
  func told() throws {
    let rig = try DeliveryRig(["--sources", "64", "--create", "0-31", "--phb", "3:16:4"])
    let vcpu = try rig.connect(5)
    let queue = try rig.addQueue(5, 4)
    try rig.route(1, to: 5, 4, eisn: 0x1234567)
    try rig.device.createSource(2, isLSI: true, isAsserted: true)
    try rig.device.map(PassthroughRun(7, to: 3, 9, count: 1))
    let records = try rig.device.sourceRecords(0..<64)
    #expect(records.count == 64)
    #expect(records[0] == SourceRecord(pq: .off))
    #expect(!records[1].isMasked && records[1].pq == .reset && !records[1].isLSI)
    #expect(records[1].server == 5 && records[1].priority == 4 && records[1].eisn == 0x1234567)
    #expect(records[2].isLSI && records[2].isAsserted && !records[2].isHeldByIRQFDs)
    #expect(records[7].passthrough == PassthroughTarget(3, 9) && records[7].pq == .pending)
    #expect(records[0...6].allSatisfy { $0.passthrough == nil })
    #expect(records[32...].allSatisfy { $0 == .absent })
    #expect(try rig.device.sourceRecord(of: 1) == records[1])
    #expect(try rig.device.sourceRecords(7..<9) == Array(records[7..<9]))
    #expect(try rig.device.sourceRecords(9..<9) == [])
    let bytes = try rig.device.readSourceState(from: 0, count: 64)
    #expect(bytes.count == 1_024)
    #expect(bytes[24] == 0x10 && bytes[0x20 + 8] & 0x1c == 0x1c)
    withExtendedLifetime(vcpu) {}
    withExtendedLifetime(queue) {}
  }

  @Test("What was read is set again, on a source that never was and on one that works")
  func set() throws {
    let rig = try DeliveryRig(["--sources", "64", "--create", "0-31"])
    let vcpu = try rig.connect(0)
    var queue = try rig.addQueue(0)
    var routed = SourceRecord(pq: .reset)
    routed.route(to: 0, 6, eisn: 77)
    var line = SourceRecord(pq: .pending, isLSI: true)
    line.isAsserted = true
    try rig.device.setSourceRecords([routed, line, .absent], from: 40)
    #expect(try rig.device.sourceRecords(40..<43) == [routed, line, .absent])
    try rig.device.trigger(40)
    #expect(queue.all() == [77])
    #expect(try rig.device.sourceRecord(of: 40).pq == .pending)
    // Its line is still held when its interrupt ends.
    #expect(try rig.device.endOfInterrupt(41))
    #expect(try rig.device.pq(of: 41) == .pending)
    // Nothing is taken back: a source that exists becomes one that is off.
    try rig.device.setSourceRecords([.absent], from: 40)
    #expect(try rig.device.sourceRecord(of: 40) == SourceRecord(pq: .off))
    try rig.device.trigger(40)
    #expect(queue.all() == [])
    withExtendedLifetime(vcpu) {}
  }

  @Test("The whole device is read and written in one call, and parts of it")
  func bulk() throws {
    let count = 1 << 18
    let served = try ServedDevice(["--sources", "\(count)"])
    let device = try XIVEDescriptor(served.path)
    let all = LISN(rawValue: 0)..<LISN(rawValue: UInt32(count))
    let records = (0..<UInt32(count)).map { number in
      var record = SourceRecord(pq: PQ(rawValue: UInt8(number % 3)))
      record.route(
        to: Server(rawValue: number % 8), 5, eisn: EISN(rawValue: number &* 2_654_435_761))
      return record
    }
    try device.setSourceRecords(records, from: 0)
    #expect(try device.sourceRecords(all) == records)

    let bytes = try device.readSourceState(from: 5, count: count - 5)
    let words = records.dropFirst(5).flatMap { [$0.configuration, $0.flags] }
    let expected = unsafe words.withUnsafeBytes { unsafe [UInt8]($0) }
    #expect(bytes == expected)
    try device.setSourceRecords([SourceRecord](repeating: .absent, count: 200_000), from: 2)
    try device.writeSourceState(bytes, from: 5)
    let restored = try device.sourceRecords(all)
    #expect(restored[5...] == records[5...] && restored[..<2] == records[..<2])
    #expect(restored[2..<5].allSatisfy { $0 == SourceRecord(pq: .off) })
  }

  @Test("Memory that begins anywhere is filled")
  func unaligned() throws {
    let served = try ServedDevice(["--sources", "131072", "--create", "0-99999"])
    let device = try XIVEDescriptor(served.path)
    let count = 100_000
    let expected = try device.readSourceState(from: 3, count: count)
    for shift in [1, 7, 15, 17, 4_095] {
      var bytes = [UInt8](repeating: 0xee, count: count * 16 + 8_192)
      try fill(&bytes, shift..<shift + count * 16, device)
      #expect(Array(bytes[shift..<shift + count * 16]) == expected)
      #expect(bytes[..<shift].allSatisfy { $0 == 0xee })
      #expect(bytes[(shift + count * 16)...].allSatisfy { $0 == 0xee })
    }
  }

  private func fill(
    _ bytes: inout [UInt8], _ range: Range<Int>, _ device: borrowing XIVEDescriptor
  ) throws {
    try unsafe bytes.withUnsafeMutableBytes { bytes in
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[range])
      var target = unsafe part.mutableBytes
      try device.readSourceState(from: 3, into: &target)
    }
  }

  @Test("A record that does not fit is refused with all of its part, which the error names")
  func refused() throws {
    let served = try ServedDevice(["--sources", "262144", "--phb", "0:8"])
    let device = try XIVEDescriptor(served.path)
    let count = 200_000
    var records = [SourceRecord](repeating: SourceRecord(pq: .reset), count: count)
    records[150_000].route(to: 5, 7, eisn: 0)
    let error = refusal { () throws(XIVEClientError) in
      try device.setSourceRecords(records, from: 0)
    }
    guard case .machine(.sourceState(let first, .invalidArgument)) = error else {
      Issue.record(error ?? .value("records", 150_000), "another refusal, or none")
      return
    }
    #expect((1...150_000).contains(first.rawValue))
    let state = try device.sourceRecords(0..<LISN(rawValue: UInt32(count)))
    #expect(state[..<Int(first.rawValue)].allSatisfy { $0 == SourceRecord(pq: .reset) })
    #expect(state[Int(first.rawValue)...].allSatisfy { $0 == .absent })

    // Not mapped as the record says; and mapped, where it says nothing of it.
    try device.createSource(9)
    let plain = try device.sourceRecord(of: 9)
    try device.map(PassthroughRun(9, to: 0, 3, count: 1))
    let mapped = try device.sourceRecord(of: 9)
    try device.setSourceRecords([mapped], from: 9)
    for (record, lisn) in [(mapped, 10), (plain, 9)] as [(SourceRecord, LISN)] {
      let error = refusal { () throws(XIVEClientError) in
        try device.setSourceRecords([record], from: lisn)
      }
      #expect(error == .machine(.sourceState(from: lisn, .invalidArgument)))
    }
  }

  @Test("A run that is not within the device, and a part of a record, are refused")
  func outside() throws {
    let served = try ServedDevice(["--sources", "64"])
    let device = try XIVEDescriptor(served.path)
    func read(_ first: LISN, _ count: Int) -> XIVEClientError? {
      refusal { () throws(XIVEClientError) in
        try device.readSourceState(from: first, count: count)
      }
    }
    #expect(read(0, 65) == .noSuchSource(64, count: 64))
    #expect(read(64, 1) == .noSuchSource(64, count: 64))
    #expect(read(99, .max) == .noSuchSource(99, count: 64))
    #expect(read(0, -1) == .value("count", .max))
    #expect(read(64, 0) == nil)
    #expect(
      refusal { () throws(XIVEClientError) in
        try device.sourceRecords(0..<LISN(rawValue: .max))
      } == .noSuchSource(64, count: 64))
    #expect(
      refusal { () throws(XIVEClientError) in
        try device.writeSourceState([UInt8](repeating: 0, count: 65 * 16), from: 0)
      } == .noSuchSource(64, count: 64))
    #expect(
      refusal { () throws(XIVEClientError) in
        try device.writeSourceState([UInt8](repeating: 0, count: 17), from: 0)
      } == .value("bytes", 17))
  }
}
