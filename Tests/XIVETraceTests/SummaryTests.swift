import Foundation
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("Summaries", .hangGuard)
struct SummaryTests {
  private func summary(_ records: [TraceRecord]) -> TraceSummary {
    var summary = TraceSummary(Samples.device.map)
    for record in records { summary.add(record) }
    return summary
  }

  private func fill(_ page: UInt64, _ cause: TraceCause, _ nanoseconds: UInt32 = 1_000)
    -> TraceRecord
  {
    Samples.record(.fill) {
      $0.offset = page
      $0.value = 4_096
      $0.cause = cause
      $0.serviceTime = nanoseconds
    }
  }

  private var records: [TraceRecord] {
    [
      fill(1 << 40 | 0x2_3000, .firstTouch), fill(4 << 12 | 0x2_3000, .firstTouch),
      fill(1 << 40 | 0x2_3000, .map, 3_000), fill(1 << 40 | 0x2_2000, .reclaim),
      fill(3 << 40 | 0x2000, .firstTouch), fill(1 << 40 | 0x2_3000, .again),
      fill(1 << 40 | 0x2_5000, .prefault), fill(1 << 40 | 0x2_7000, .unknown),
    ] + Samples.everyKind.map(\.record)
  }

  @Test("It says everything in lines") func text() {
    #expect(
      summary(records).text(top: 3) == """
        32 events in 0.003 s
        8 faults served, 3 of them again, refault ratio 37.5 %; 1 ended in SIGBUS; pages prefaulted: 1
            served     again    SIGBUS  place                 causes
                 6         3         0  LISN 0x11             first-touch 3, reclaim 1, zap-map 1, zap-unmap 1
                 0         0         1  LISN 0x4
                 1         0         0  LISN 0x13             unknown 1
          and 1 places more: --top 4 shows them all
        microseconds      count       p50       p90       p99       max
          fill                8       1.0      14.6      14.6      14.6
          exact               4       0.0      17.0      17.0      17.0
          zap                 1      14.6      14.6      14.6      14.6
        events by kind: fill 10, attribute 2, forward 2, load 2, store 2, eoi 1, fence 1, guest-error 1, kernel-fault 1, \
        map 1, notify 1, plug 1, publish 1, trigger 1, unmap 1, unplug 1, update 1, write-back 1, zap 1
        SIGBUS by reason: source never created 1
        guest errors: endInvalid 1
        1234 records lost: overwritten before they were read

        """)
  }

  @Test("It says the same in JSON", .enabled(if: FormTests.canCheck)) func json() throws {
    let text = summary(records).json(top: 2)
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let faults = try #require(object["faults"] as? [String: Any])
    #expect(faults["served"] as? Int == 8 && faults["refaults"] as? Int == 3)
    #expect(faults["sigbus"] as? Int == 1 && faults["prefaultedPages"] as? Int == 1)
    #expect(faults["refaultRatio"] as? Double == 0.375)
    let causes = ["first-touch": 4, "reclaim": 1, "unknown": 1, "zap-map": 1, "zap-unmap": 1]
    #expect(faults["causes"] as? [String: Int] == causes)
    let places = try #require(object["places"] as? [[String: Any]])
    #expect(places.map { $0["name"] as? String } == ["LISN 0x11", "LISN 0x4"])
    #expect(places.map { $0["lisn"] as? Int } == [17, 4] && object["placeCount"] as? Int == 4)
    #expect(object["lost"] as? Int == 1_234)
    #expect(object["sigbus"] as? [String: Int] == ["not-created": 1])
    #expect(object["guestErrors"] as? [String: Int] == ["endInvalid": 1])
    let zap = ["count": 1, "p50_ns": 14_650, "p90_ns": 14_650, "p99_ns": 14_650, "max_ns": 14_650]
    #expect(object["zap"] as? [String: Int] == zap)
    #expect((object["kinds"] as? [String: Int])?["fill"] == 10)
    #expect(object["start_ns"] as? Int == 1_000_000_000)
  }

  @Test("Of nothing there is nothing to say") func empty() {
    #expect(summary([]).text() == "0 events in 0.000 s\n")
    #expect(summary([]).refaultRatio == nil && summary([]).span == nil)
    #expect(!summary([]).json().contains("p50_ns"))
  }

  @Test("Percentiles are those of the sorted times, a 64th too large at most") func percentiles() {
    var generator = Seed.generator()
    for count in [1, 2, 10, 999, 10_000] {
      var latencies = Latencies()
      var times: [UInt64] = []
      for _ in 0..<count {
        let time = generator.next() >> UInt64.random(in: 20..<64, using: &generator)
        latencies.add(time)
        times.append(time)
      }
      times.sort()
      for percent in [1, 50, 90, 99, 100] as [UInt64] {
        let exact = times[(count * Int(percent) + 99) / 100 - 1]
        let found = latencies.percentile(percent) ?? 0
        #expect(found >= exact && found <= exact + exact / 64, "\(percent) \(Seed.comment)")
      }
      #expect(latencies.largest == times.last && latencies.percentile(100) == times.last)
    }
    var extremes = Latencies()
    extremes.add(.max)
    extremes.add(0)
    #expect(extremes.percentile(50) == 0 && extremes.percentile(99) == .max)
    #expect(Latencies().percentile(50) == nil)
  }
}
