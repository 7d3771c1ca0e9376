import CXIVE
import Testing
import XIVEModel

@testable import TraceRecords

@Suite("Trace records")
struct TraceRecordTests {
  @Test("A record's bytes give the record again, every field")
  func roundTrip() {
    var record = TraceRecord(.writeBack, sequence: 7, time: 1 << 40)
    record.offset = 1 << 40 | 0x2c00
    record.value = 0x0123_4567_89ab_cdef
    record.threadID = 4_711
    record.processID = 4_700
    record.number = 17
    record.generation = 3
    record.queueTime = 5
    record.serviceTime = 9
    record.hardware = (phb: 1_023, irq: 65_535)
    record.half = 1
    record.pq = (before: .pending, after: .queued)
    record.result = .errno(22)
    record.cause = .unplug
    record.accessByteCount = 8
    let copy = record.withBytes { TraceRecord($0) }
    #expect(copy.kind == .writeBack && copy.sequence == 7 && copy.time == 1 << 40)
    #expect(copy.offset == 1 << 40 | 0x2c00 && copy.value == 0x0123_4567_89ab_cdef)
    #expect(copy.threadID == 4_711 && copy.processID == 4_700 && copy.number == 17)
    #expect(copy.generation == 3 && copy.queueTime == 5 && copy.serviceTime == 9)
    #expect(copy.hardware?.phb == 1_023 && copy.hardware?.irq == 65_535 && copy.backing == .phb)
    #expect(copy.half == 1 && copy.pq?.before == .pending && copy.pq?.after == .queued)
    #expect(copy.result == .errno(22) && copy.cause == .unplug && copy.accessByteCount == 8)
    #expect(copy.version == TraceRecord.version)
  }

  @Test("C's structure has each field where the record has it")
  func layout() {
    var record = TraceRecord(.eoi, sequence: 1, time: 2)
    record.offset = 3
    record.value = 4
    record.threadID = 5
    record.processID = 6
    record.number = 7
    record.generation = 8
    record.queueTime = 9
    record.serviceTime = 10
    record.hardware = (phb: 0x2a5, irq: 0x1234)
    record.half = 2
    record.pq = (before: .pending, after: .off)
    record.result = .errno(5)
    record.cause = .reclaim
    record.accessByteCount = 4
    let raw = unsafe unsafeBitCast(record, to: xive_trace_record.self)
    #expect(raw.sequence == 1 && raw.time == 2 && raw.offset == 3 && raw.value == 4)
    #expect(raw.tid == 5 && raw.pid == 6 && raw.number == 7 && raw.generation == 8)
    #expect(raw.queue_time == 9 && raw.service_time == 10)
    #expect(raw.hwirq == 0x1234 && raw.phb == 0x2a5 && raw.half == 2 && raw.has_pq == 1)
    #expect(raw.backing == XIVE_BACKING_PHB && raw.kind == XIVE_TRACE_EOI)
    #expect(raw.result == 0x85 && raw.cause == XIVE_TRACE_RECLAIM)
    #expect(raw.version == XIVE_TRACE_VERSION && raw.pq_before == 2 && raw.pq_after == 1)
    #expect(raw.log2_size == 2 && raw.zero == 0)
  }

  @Test("A new record has no offset, number, backing or PQ")
  func empty() {
    let record = TraceRecord(.gap)
    #expect(record.offset == nil && record.number == nil && record.backing == nil)
    #expect(record.hardware == nil && record.pq == nil && record.result == .ok)
  }

  @Test("Results keep their byte", arguments: UInt8.min...UInt8.max)
  func results(byte: UInt8) {
    let result = TraceResult(rawValue: byte)
    let isKnown = byte == 0 || byte & 0x80 != 0 || TraceResult.Absence(rawValue: byte) != nil
    #expect(isKnown ? result.rawValue == byte : result == .absent(.other))
  }
}
