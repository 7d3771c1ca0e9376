import Testing
import TraceRecords
import XIVEClient
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

/// Records and devices that nobody has recorded: whole as files, and of any content.
@Suite("Hostile traces", .hangGuard)
struct HostileTraceTests {
  /// Numbers at which arithmetic ends.
  private static let edges: [UInt64] = [
    0, 1, 63, 4_095, 4_096, 1 << 16, 1 << 31, 0xffff_fffe, 0xffff_ffff, 1 << 32, 1 << 40,
    0x1001 << 40, 1 << 58, .max >> 6, 1 << 62, .max >> 1, 1 << 63, .max - 4_095, .max - 1, .max,
  ]

  private static func word(_ generator: inout some RandomNumberGenerator) -> UInt64 {
    switch generator.next() % 3 {
    case 0: generator.next()
    case 1: generator.next() >> (generator.next() % 64)
    default: edges[Int(generator.next() % UInt64(edges.count))]
    }
  }

  /// A record of a kind that there is, any other bits.
  private static func record(_ generator: inout some RandomNumberGenerator) -> TraceRecord {
    let words = (0..<8).map { _ in word(&generator) }
    var record = [TraceRecord](
      words.flatMap { word in
        (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
      })[0]
    if generator.next() % 8 != 0, let kind = TraceKind.allCases.randomElement(using: &generator) {
      record.become(kind, at: record.offset)
    }
    return record
  }

  private static func device(_ generator: inout some RandomNumberGenerator) -> TracedDevice {
    let segments = (0..<generator.next() % 8).map { _ in
      let ends = [word(&generator), word(&generator)].sorted()
      return ends[0]..<ends[1]
    }
    let geometry = DeviceGeometry(
      sourceCount: [1, 8_192, 1 << 20].randomElement(using: &generator) ?? 1,
      serverCount: [0, 1, UInt32(Server.maximumCount)].randomElement(using: &generator) ?? 0,
      pageShift: [12, 16].randomElement(using: &generator) ?? 12,
      pagesPerSource: [1, 2].randomElement(using: &generator) ?? 1, supportsStoreEOI: true)
    return TracedDevice(
      geometry: geometry, segments: segments, path: "\u{1b}[2J</script>\n",
      start: .init(monotonic: word(&generator), realtime: word(&generator)))
  }

  /// The trace that its own file gives.
  private static func trace(_ seed: UInt64) throws -> Trace {
    var generator = Seed.generator(stream: 0x7e57 + seed)
    let device = try #require(TracedDevice(device(&generator).encoded))
    return Trace(device: device, records: (0..<2_000).map { _ in record(&generator) })
  }

  @Test("Every form takes any records of any device", arguments: 0..<24 as Range<UInt64>)
  func forms(seed: UInt64) throws {
    let trace = try Self.trace(seed)
    let renderers: [any TraceRenderer] =
      [JSONRenderer(), PerfRenderer(), ChromeRenderer(trace.device)]
      + [.relative, .monotonic, .wall].map { TextRenderer(start: trace.device.start, clock: $0) }
    for var renderer in renderers {
      var (names, text) = (TaskNames(), "")
      renderer.begin(&text)
      for record in trace.records {
        names.note(record)
        renderer.add(TraceEvent(record, trace.device.map), names, to: &text)
      }
      renderer.end(&text)
      #expect(!text.contains("\u{1b}"), "a terminal would obey it")
    }
  }

  @Test("A summary and a filter take any records of any device", arguments: 0..<24 as Range<UInt64>)
  func summary(seed: UInt64) throws {
    let trace = try Self.trace(seed)
    var filter = TraceFilter()
    try filter.addSources("0-0xffffffff")
    var selection = TraceSelection(filter, trace.device.map)
    var summary = TraceSummary(trace.device.map)
    for record in trace.records {
      _ = selection.take(record)
      summary.add(record)
    }
    #expect(!summary.text().isEmpty && !summary.json().isEmpty)
  }

  @Test("What was lost, and filled in advance, counts to the largest number and no further")
  func largest() {
    var summary = TraceSummary(Samples.geometry.map)
    for _ in 0..<3 { summary.add(Samples.record(.gap) { $0.value = 1 << 63 }) }
    #expect(summary.lost == .max)
  }

  @Test("A report takes any records of any device", arguments: 0..<8 as Range<UInt64>)
  func report(seed: UInt64) throws {
    let report = TraceReport(try Self.trace(seed))
    #expect(report.html.hasSuffix("</html>\n") && report.svg().contains("</svg>"))
  }

  @Test("A live view takes any records", arguments: 0..<8 as Range<UInt64>)
  func top(seed: UInt64) throws {
    let trace = try Self.trace(seed)
    var model = TopModel(trace.device.map, start: trace.device.start.monotonic)
    for record in trace.records { model.take(record) }
    model.turn(at: trace.device.start.monotonic &+ 1_000)
    let lines = TopScreen(model.view(), title: trace.device.path).everything
    #expect(lines.allSatisfy { $0.text == $0.text.printable })
  }

  @Test("A replay of any records is planned", arguments: 0..<8 as Range<UInt64>)
  func plan(seed: UInt64) throws {
    let trace = try Self.trace(seed)
    let plan = ReplayPlan(trace)
    #expect(!plan.steps.isEmpty && !plan.obstacles.isEmpty)
    _ = ReplayStart(trace)
  }
}
