import Testing
import TraceRecords
import XIVEClient
import XIVETestSupport

@testable import XIVETrace

@Suite("When an event ends", .hangGuard)
struct RecordTimeTests {
  @Test("Waiting lies before an event's time, wherever its end is asked for") func end() {
    let record = Samples.record(.fill, at: 7) {
      $0.queueTime = 5_000
      $0.serviceTime = 1_000
    }
    #expect(record.end == record.time + 1_000)
    #expect(TraceEvent(record, Samples.geometry.map).end == record.time + 1_000)
    let span = ReportSpan([record])
    #expect(span.start == record.time && span.duration == 1_000)
  }
}
