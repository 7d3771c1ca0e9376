import Testing
import TraceRecords
import XIVEClient
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

/// The figures of a long trace, against a second way to count them, slow and plain.
@Suite("Figures of reports", .hangGuard)
struct ReportReferenceTests {
  static let trace = SampleTrace.make(records: 8_000)
  static let counted = ReportAnalysis(trace)
  /// Faults as the format's words define them.
  static let faults = trace.records.filter {
    $0.kind == .fill && ![.again, .prefault].contains($0.cause)
      && !($0.result != .ok && $0.value > 4_096)
  }

  private let map = SampleTrace.geometry.map

  private func refaults(_ records: [TraceRecord]) -> Int {
    records.count {
      [.map, .unmap, .unplug, .store, .vcpu, .reclaim].contains($0.cause) && $0.result == .ok
    }
  }

  @Test("Totals, and what they are of")
  func totals() {
    let totals = Self.counted.totals
    #expect(Int(totals.counts.faults) == Self.faults.count)
    #expect(Int(totals.counts.refaults) == refaults(Self.faults))
    #expect(Int(totals.counts.sigbus) == Self.faults.count { $0.result != .ok })
    #expect(
      totals.counts.time
        == Self.faults.reduce(0) { $0 + UInt64($1.queueTime) + UInt64($1.serviceTime) })
    #expect(totals.counts.sigbus > 10 && totals.counts.refaults > 100)
    #expect(totals.lost > 0 && totals.lost % 17 == 0)
  }

  @Test("Every page, every cell")
  func pages() {
    for (key, figures) in Self.counted.pages.figures {
      let own = Self.faults.filter { record in
        guard let offset = record.offset, let target = map.target(at: offset) else { return false }
        return ReportPageKey(target) == key
      }
      #expect(Int(figures.counts.faults) == own.count)
      #expect(Int(figures.counts.refaults) == refaults(own))
      #expect(figures.origins.reduce(0, +) == figures.counts.faults)
      #expect(figures.backing == own.last { $0.result == .ok }?.backingText ?? "")
    }
    for area in Self.counted.areas.drawn {
      for cell in area.cells.indices {
        let numbers = area.numbers(ofCell: cell)
        let sum = Self.counted.pages.figures.reduce(into: ReportCounts()) { sum, page in
          let subject = page.key.subject
          guard subject.sort == area.sort, numbers.contains(subject.number) else { return }
          sum += page.value.counts
        }
        #expect(area.cells[cell] == sum)
      }
    }
    let all = Self.counted.areas.drawn.reduce(into: ReportCounts()) { $0 += $1.counts }
    #expect(all == Self.counted.totals.counts)
  }

  @Test("Every bin of the timeline and of the lanes")
  func bins() {
    let counted = Self.counted
    for bin in 0..<ReportSpan.binCount {
      let from = counted.span.start + counted.span.start(ofBin: bin)
      let within = from..<from + counted.span.binWidth
      let fills = Self.faults.filter { within.contains($0.time) }
      let prefaults = Self.trace.records.count {
        $0.kind == .fill && $0.cause == .prefault && within.contains($0.time)
      }
      #expect(Int(counted.timeline.fills[bin].reduce(0, +)) == fills.count + prefaults)
      let sigbus = counted.timeline.fills[bin][Int(ReportOrigin.sigbus.rawValue)]
      #expect(Int(sigbus) == fills.count { $0.result != .ok })
      for (row, kind) in ReportTimeline.operations.enumerated() {
        let found = Self.trace.records.filter { $0.kind == kind && within.contains($0.time) }
        #expect(Int(counted.timeline.rows[row][bin].count) == found.count)
        #expect(counted.timeline.rows[row][bin].first == found.first)
      }
      for lane in counted.consumers.lanes {
        #expect(Int(lane.faults[bin]) == fills.count { $0.threadID == lane.threadID })
      }
    }
  }

  @Test("Latencies and the slowest events")
  func latencies() {
    let zaps = Self.trace.records.filter { $0.kind == .zap }
    let exact = Self.trace.records.filter { $0.kind == .load || $0.kind == .store }
    for (latency, records) in zip(Self.counted.latencies, [Self.faults, exact, zaps]) {
      #expect(latency.values == records.map(\.duration).sorted())
      #expect(latency.bins.values.reduce(0, +) == UInt64(records.count))
    }
    let timed = Self.trace.records.filter {
      $0.kind != .task && $0.kind != .gap && !($0.kind == .fill && $0.cause == .again)
    }
    let sorted = timed.sorted { ($1.duration, $0.sequence) < ($0.duration, $1.sequence) }
    #expect(Self.counted.slowest == Array(sorted.prefix(200)))
  }

  @Test("Of each subject the latest events are kept, and all are counted")
  func events() {
    let kept = Self.counted.events
    let single = kept.events.filter { $0.subjects.lowerBound == $0.subjects.upperBound }
    #expect(single.count <= ReportEvents.limit)
    #expect(kept.totals.count > 100)
    for (subject, total) in kept.totals {
      let all = Self.trace.records.filter { $0.isEvent && $0.subjects(map) == subject...subject }
      #expect(Int(total) == all.count)
      let own = single.filter { $0.subjects.lowerBound == subject }.map(\.record)
      #expect(own == Array(all.suffix(kept.share)))
    }
    let runs = kept.events.count - single.count
    #expect(runs == min(kept.runCount, ReportEvents.runLimit) && runs > 0)
  }
}
