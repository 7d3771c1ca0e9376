import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("Scales and figures of reports", .hangGuard)
struct ReportScaleTests {
  @Test("Steps of a colour scale are powers of one number")
  func bounds() {
    #expect(ReportScale(greatest: 128).bounds == [1, 2, 4, 8, 16, 32, 64])
    #expect(ReportScale(greatest: 2_187).bounds == [1, 3, 9, 27, 81, 243, 729])
    #expect(ReportScale(greatest: 3).bounds == [1, 2, 3])
    #expect(ReportScale(greatest: 1).bounds == [1])
    #expect(ReportScale(greatest: 0).bounds == [])
  }

  @Test("A value has the step of the last bound that it reaches; short scales use strong colours")
  func steps() {
    let scale = ReportScale(greatest: 128)
    #expect([0, 1, 3, 4, 63, 64, 128].map(scale.step) == [0, 1, 2, 3, 6, 7, 7])
    #expect(ReportScale(greatest: 1).step(1) == 7)
    #expect([1, 2, 3].map(ReportScale(greatest: 3).step) == [5, 6, 7])
    #expect(ReportScale(greatest: 0).step(0) == 0)
  }

  @Test("Four bins to a doubling, each value in the bin that holds it")
  func bins() {
    #expect([0, 3, 4, 7, 8, 9, 10, 1_000].map(ReportLatency.bin) == [0, 3, 4, 7, 8, 8, 9, 35])
    let corners = (3..<63 as Range<UInt64>).flatMap { shift -> [UInt64] in
      let power: UInt64 = 1 << shift
      return [power - 1, power, power + 1, power + power / 2]
    }
    for value in Array(0..<5_000 as Range<UInt64>) + corners {
      let bin = ReportLatency.bin(value)
      #expect(ReportLatency.lowerBound(bin) <= value)
      #expect(value < ReportLatency.lowerBound(bin + 1))
    }
  }

  @Test("A percentile is a value that was measured")
  func percentiles() {
    var latency = ReportLatency(.fill)
    for value in (1...1_000).reversed() { latency.add(UInt64(value)) }
    latency.finish()
    #expect([500, 900, 990, 999, 1_000].map(latency.percentile) == [500, 900, 990, 999, 1_000])
    var two = ReportLatency(.zap)
    two.add(8)
    two.add(4)
    two.finish()
    #expect([0, 500, 501, 1_000].map(two.percentile) == [4, 4, 8, 8])
  }

  @Test("Figures are written the same everywhere")
  func texts() {
    #expect(
      [0, 999, 1_000, 1_234_567].map { ReportText.number(UInt64($0)) } == [
        "0", "999", "1,000", "1,234,567",
      ])
    let durations: [(UInt64, String)] = [
      (0, "0 ns"), (999, "999 ns"), (1_000, "1.00 µs"), (1_059, "1.05 µs"), (12_340, "12.3 µs"),
      (999_999, "999 µs"), (1_000_000, "1.00 ms"), (61_000_000_000, "61.0 s"),
      (7_200_000_000_000, "7,200 s"),
    ]
    for (value, text) in durations { #expect(ReportText.duration(value) == text) }
    #expect(ReportText.microseconds(1_234_567) == "1,234.5")
    #expect(ReportText.milliseconds(1_234_567) == "1.234")
    #expect(ReportText.seconds(1_000_002_999) == "1.000002")
    #expect(
      [0, 1_023, 4_096, 3 << 20].map { ReportText.bytes($0) } == [
        "0 bytes", "1,023 bytes", "4 KiB", "3 MiB",
      ])
    #expect(ReportText.percent(1, of: 3) == "33.3 %")
    #expect(ReportText.percent(0, of: 0) == "-")
  }

  @Test("Dates, leap days among them")
  func dates() {
    let dates: [(UInt64, String)] = [
      (0, "1970-01-01 00:00:00 UTC"), (951_782_400, "2000-02-29 00:00:00 UTC"),
      (1_709_251_199, "2024-02-29 23:59:59 UTC"), (1_735_689_599, "2024-12-31 23:59:59 UTC"),
      (4_107_542_400, "2100-03-01 00:00:00 UTC"),
    ]
    for (seconds, text) in dates {
      #expect(ReportText.date(seconds * 1_000_000_000) == text)
    }
  }
}
