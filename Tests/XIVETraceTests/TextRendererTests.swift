import Testing
import TraceRecords
import XIVETestSupport

@testable import XIVETrace

@Suite("Lines for people", .hangGuard)
struct TextRendererTests {
  private func line(
    _ record: TraceRecord, _ clock: TextRenderer.Clock = .relative, zone: Int = 0,
    hasColor: Bool = false
  ) -> String {
    var names = TaskNames()
    names.note(Samples.task("qemu-ppc64"))
    let renderer = TextRenderer(
      start: Samples.device.start, clock: clock, timeZone: zone, hasColor: hasColor)
    var text = ""
    renderer.add(TraceEvent(record, Samples.device.map), names, to: &text)
    return text
  }

  @Test("Each kind has its line", arguments: Samples.everyKind)
  func lines(sample: Samples.Sample) {
    #expect(line(sample.record) == sample.line + "\n")
  }

  @Test("Every kind has a sample") func completeness() {
    let kinds = Set(Samples.everyKind.compactMap(\.record.kind))
    #expect(kinds == Set(TraceKind.allCases))
  }

  @Test("Lines stay readable on 140 columns") func width() {
    for sample in Samples.everyKind where sample.record.cause != .again {
      #expect(sample.line.count <= 140, "\(sample.line)")
    }
  }

  @Test("Times are relative, of the monotonic clock, or of the day") func clocks() {
    let record = Samples.record(.fence, at: 1_500_000)
    #expect(line(record).hasPrefix("    1.500000 qemu-ppc64/4711"))
    #expect(line(record, .monotonic).hasPrefix("    2.500000 qemu-ppc64/4711"))
    // 1,700,000,000 is 22:13:20 UTC.
    #expect(line(record, .wall).hasPrefix("22:13:21.623456 qemu-ppc64/4711"))
    #expect(line(record, .wall, zone: 5_400).hasPrefix("23:43:21.623456 "))
    #expect(line(record, .wall, zone: -3_600).hasPrefix("21:13:21.623456 "))
    var early = record
    early.time = Samples.device.start.monotonic - 250_001_000
    #expect(line(early).hasPrefix("   -0.250001 qemu-ppc64/4711"))
  }

  @Test("Colours stand around refaults and failures, and nowhere else") func colors() {
    var colored = 0
    for sample in Samples.everyKind {
      let text = line(sample.record, hasColor: true)
      #expect(text.contains("\u{1b}[") == sample.isColored, "\(sample.line)")
      if sample.isColored { colored += 1 }
      let plain = text.replacing(/\u{1b}\[[0-9]+m/, with: "")
      #expect(plain == sample.line + "\n")
    }
    #expect(colored > 3)
  }

  @Test("A thread without a known name has its number") func unknownThread() {
    var record = Samples.record(.fence)
    record.threadID = 99
    #expect(line(record).hasPrefix("    0.000000 /99 "))
    record.threadID = 0
    #expect(line(record).hasPrefix("    0.000000 kernel "))
  }
}
