import Testing
import XIVEClient
import XIVEModel

@Suite("Source record")
struct SourceRecordTests {
  @Test("A record has its bits where the ABI has them")
  func layout() {
    #expect(MemoryLayout<SourceRecord>.size == 16)
    #expect(MemoryLayout<SourceRecord>.stride == 16)
    var record = SourceRecord.absent
    #expect(record.configuration == 0 && record.flags == 0)
    record.route(to: 0x1234, 6, eisn: 0x7fff_fff1)
    #expect(record.configuration == 0xffff_ffe2_0000_91a6)
    #expect(record.server == 0x1234 && record.priority == 6 && record.eisn == 0x7fff_fff1)
    #expect(!record.isMasked)
    record.mask()
    #expect(record.configuration == 1 << 32 && record.isMasked)

    let bits: [(WritableKeyPath<SourceRecord, Bool>, UInt64)] = [
      (\.isLSI, 0x4), (\.isAsserted, 0x8), (\.isCreated, 0x10), (\.isLatched, 0x20),
    ]
    for (property, bit) in bits {
      var record = SourceRecord(configuration: 0, flags: 0x300_0000_00c3)
      #expect(!record[keyPath: property])
      record[keyPath: property] = true
      #expect(record[keyPath: property] && record.flags == 0x300_0000_00c3 | bit)
      record[keyPath: property] = false
      #expect(record.flags == 0x300_0000_00c3)
    }
  }

  @Test("PQ is the low two bits", arguments: PQ.allCases)
  func pq(_ pq: PQ) {
    var record = SourceRecord(configuration: 0, flags: ~0)
    record.pq = pq
    #expect(record.pq == pq && record.flags == ~0 << 2 | UInt64(pq.rawValue))
    #expect(SourceRecord(pq: pq).pq == pq)
    #expect(SourceRecord(pq: pq).isCreated && SourceRecord(pq: pq).isMasked)
    #expect(!SourceRecord(pq: pq).isLSI && SourceRecord(pq: pq, isLSI: true).isLSI)
  }

  @Test("Hardware and what irqfds hold are told, not set")
  func told() {
    #expect(SourceRecord(configuration: 0, flags: 0x40).isHeldByIRQFDs)
    #expect(!SourceRecord(configuration: 0, flags: ~0x40).isHeldByIRQFDs)
    let mapped = SourceRecord(configuration: 0, flags: 0x3fe_fff0_0000_0080)
    #expect(mapped.passthrough == PassthroughTarget(1_022, 0xfff0))
    #expect(SourceRecord(configuration: 0, flags: ~0x80).passthrough == nil)
  }
}
