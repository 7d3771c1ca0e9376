import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("Counting for reports", .hangGuard)
struct ReportCountingTests {
  private typealias R = ReportRecords

  private func analysis(_ records: TraceRecord...) -> ReportAnalysis {
    ReportAnalysis(R.trace(records))
  }

  @Test("A SIGBUS counts once though the kernel asks twice; it is no refault")
  func sigbus() {
    let counted = analysis(
      R.fill(5, .management, took: 100, .map, .absent(.notCreated)),
      R.fill(5, .management, took: 60, .again, .absent(.notCreated)))
    #expect(
      counted.totals.counts == ReportCounts(faults: 1, refaults: 0, sigbus: 1, time: 100))
    #expect(counted.totals.byAbsence[.absent(.notCreated)]?.count == 1)
    #expect(counted.pages.figures[R.key(5)]?.counts == counted.totals.counts)
    #expect(counted.latencies[0].values == [100])
  }

  @Test("What the server fills by itself and refused ranges are no faults")
  func noFaults() {
    let counted = analysis(
      R.fill(0, .trigger, .prefault, bytes: 65_536),
      R.fill(0, .trigger, .firstTouch, .absent(.notCreated), bytes: 8_192))
    #expect(counted.totals.counts == ReportCounts())
    #expect(counted.totals.refusedRanges == 1)
    #expect(counted.totals.prefaultedBytes == 65_536)
    #expect(counted.pages.figures.isEmpty)
    #expect(counted.consumers.lanes.isEmpty)
    #expect(counted.timeline.fills[0][Int(ReportOrigin.prefault.rawValue)] == 1)
    #expect(counted.timeline.fills.flatMap { $0 }.reduce(0, +) == 1)
  }

  @Test("A fill of several pages counts for each, and they share its time")
  func severalPages() {
    let counted = analysis(R.fill(2, .trigger, took: 103, .unmap, bytes: 4 * 4_096))
    #expect(counted.totals.counts == ReportCounts(faults: 1, refaults: 1, sigbus: 0, time: 103))
    let pages: [(UInt32, ESBHalf, UInt64)] = [
      (2, .trigger, 28), (2, .management, 25), (3, .trigger, 25), (3, .management, 25),
    ]
    #expect(counted.pages.figures.count == 4)
    for (lisn, half, time) in pages {
      #expect(
        counted.pages.figures[R.key(lisn, half)]?.counts
          == ReportCounts(faults: 1, refaults: 1, sigbus: 0, time: time))
    }
  }

  @Test("The kernel's window is another way to the same pages")
  func window() {
    var record = R.fill(9)
    record.offset = R.map.kernelOffset(of: LISN(rawValue: 9), .management)
    let counted = analysis(record, R.fill(9))
    #expect(counted.pages.figures.count == 1)
    #expect(counted.pages.figures[R.key(9)]?.counts.faults == 2)
  }

  @Test("Faults where no page can be are counted, and so is a fill longer than there is")
  func outside() {
    var hole = R.fill(0, .trigger, .none, .absent(.noRegion))
    hole.offset = 0x7 << 40
    var damaged = R.fill(0)
    damaged.value = .max
    let counted = analysis(hole, damaged)
    #expect(counted.pages.outside.faults == 2)
    #expect(counted.pages.outside.sigbus == 1)
    #expect(counted.pages.figures.isEmpty)
  }

  @Test("Losses add up, and stop at the end of numbers")
  func losses() {
    var gap = TraceRecord(.gap)
    gap.value = 17
    #expect(analysis(gap, gap).totals.lost == 34)
    gap.value = .max
    #expect(analysis(gap, gap).totals.lost == .max)
  }

  @Test("Causes are told apart, and the hottest pages come first")
  func causes() {
    let counted = analysis(
      R.fill(1), R.fill(1, .management, .reclaim), R.fill(1, .management, .store),
      R.fill(2, .management, took: 900, .unknown), R.fill(3))
    #expect(counted.pages.figures[R.key(1)]?.origins == [1, 0, 1, 1, 0, 0, 0])
    #expect(counted.totals.byCause[.reclaim] == ReportTotals.Line(count: 1, time: 100))
    #expect(counted.pages.hottest(2).map(\.key) == [R.key(1), R.key(2)])
    #expect(counted.pages.hottest(9).map(\.key) == [R.key(1), R.key(2), R.key(3)])
  }

  @Test("The span reaches from the first beginning to the last end")
  func span() {
    var name = TraceRecord(.task, time: 1)
    name.serviceTime = 9
    let counted = analysis(name, R.fill(1, at: 5_000, took: 100), R.fill(1, at: 4_000, took: 1_900))
    #expect(counted.span.start == 4_000)
    // Half of the time was waiting, which lies before an event's own.
    #expect(counted.span.duration == 1_050)
    #expect(counted.span.binWidth == 6)
    #expect([4_000, 4_005, 4_006, 5_049, 9_999].map(counted.span.bin) == [0, 0, 1, 174, 199])
  }

  @Test("A thread has its latest name, from both halves of the record")
  func names() {
    var record = TraceRecord(.task)
    record.threadID = 7
    record.offset = UInt64(littleEndian: 0x6867_6665_6463_6261)
    record.value = UInt64(littleEndian: 0x0000_0000_0000_6a69)
    let counted = analysis(record, R.fill(1))
    #expect(counted.consumers.name(7) == "abcdefghij/7")
    #expect(counted.consumers.name(8) == "?/8")
    #expect(counted.consumers.name(0) == "kernel")
  }

  @Test("Each subject has its share of the events that are kept; what is rare keeps all")
  func shares() {
    let busy = (0..<400 as Range<UInt32>).flatMap { lisn in
      (0..<50 as Range<UInt64>).map { R.fill(lisn, at: 1_000 + $0) }
    }
    let kept = ReportAnalysis(R.trace([R.fill(1_000)] + busy)).events
    #expect(kept.share == 39)
    #expect(kept.events.count == 400 * 39 + 1)
    #expect(kept.totals.count == 401)
    let many = (0..<20_000 as Range<UInt32>).map { lisn in
      var record = TraceRecord(.eoi, time: 1)
      record.number = lisn
      return record
    }
    let hottest = ReportAnalysis(R.trace(many + [R.fill(1_000)])).events
    #expect(hottest.share == 1)
    #expect(hottest.events.count == ReportEvents.limit)
    #expect(hottest.totals[ReportSubject(.source, 1_000)] == 2)
    #expect(hottest.totals[ReportSubject(.source, 15_999)] == 1)
    #expect(hottest.totals[ReportSubject(.source, 16_000)] == nil)
  }

  @Test("An empty trace counts nothing")
  func nothing() {
    let counted = analysis()
    #expect(counted.totals.eventCount == 0)
    #expect(counted.span.duration == 0)
    #expect(counted.latencies.allSatisfy { $0.percentile(500) == nil })
    #expect(counted.areas.drawn.map(\.name) == ["IPI"])
  }
}
