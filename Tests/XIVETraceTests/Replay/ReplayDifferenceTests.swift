import CXIVE
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("What replays differ in", .hangGuard)
struct ReplayDifferenceTests {
  private static var record: TraceRecord {
    var record = TraceRecord(.load, sequence: 1, time: 2)
    record.offset = 1 << 40 | 0x1800
    record.value = 1
    record.number = 0
    record.half = 1
    record.hardware = (phb: 2, irq: 3)
    record.generation = 4
    record.pq = (before: .off, after: .reset)
    record.cause = .map
    return record
  }

  /// Each changes one thing.
  private static let facts: [@Sendable (inout TraceRecord) -> Void] = [
    { $0.offset = 1 << 40 }, { $0.value = 2 }, { $0.number = 1 }, { $0.half = 0 },
    { $0.hardware = (phb: 1, irq: 3) }, { $0.hardware = (phb: 2, irq: 4) }, { $0.backing = .ipi },
    { $0.generation = 5 }, { $0.pq = nil }, { $0.pq = (before: .reset, after: .reset) },
    { $0.pq = (before: .off, after: .off) }, { $0.result = .absent(.fenced) },
    { $0.cause = .unmap },
  ]

  @Test("Each fact counts", arguments: facts.indices)
  func counting(_ index: Int) {
    var other = Self.record
    Self.facts[index](&other)
    let expected = ReplayDifference(recorded: Self.record, replayed: other)
    #expect(ReplayDifference.find([Self.record], [other]) == [expected])
  }

  @Test("When, by whom and how fast does not")
  func ignoring() {
    var other = Self.record
    other.sequence = 9
    other.time = 9
    other.threadID = 9
    other.processID = 9
    other.queueTime = 9
    other.serviceTime = 9
    #expect(ReplayDifference.find([Self.record], [other]).isEmpty)
  }

  @Test("A cause that the trace did not know is none")
  func unknown() {
    var old = Self.record
    old.cause = .unknown
    #expect(ReplayDifference.find([old], [Self.record], hasCause: false).isEmpty)
    #expect(ReplayDifference.find([old], [Self.record]).count == 1)
  }

  @Test("What an attribute answers may count what was done; what it was set to may not")
  func attributes() {
    for (verb, count) in [(XIVE_TRACE_GET, 0), (XIVE_TRACE_SET, 1)] {
      var old = TraceRecord(.attribute)
      old.half = UInt8(verb)
      var new = old
      new.value = 5
      #expect(ReplayDifference.find([old], [new]).count == count)
    }
  }

  @Test("One that is missing, or too much, does not make all behind it differ")
  func alignment() {
    let records = [TraceKind.publish, .attribute, .zap, .zap, .map].enumerated()
      .map { index, kind in
        var record = TraceRecord(kind)
        record.offset = UInt64(index)
        return record
      }
    var fewer = records
    fewer.remove(at: 2)
    #expect(
      ReplayDifference.find(records, fewer)
        == [ReplayDifference(recorded: records[2], replayed: nil)])
    #expect(
      ReplayDifference.find(fewer, records)
        == [ReplayDifference(recorded: nil, replayed: records[2])])
  }
}
