import Foundation
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

/// Forms for programs, read by parsers of their kind.
@Suite("Forms for programs", .hangGuard)
struct FormTests {
  static var canCheck: Bool { Requirement.has("python3", package: "python3") }

  /// Has a parser check a trace's text.
  /// - Returns: what it counted.
  static func check(_ form: String, _ text: String) throws -> [Int] {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/trace"
    try Data(text.utf8).write(to: URL(filePath: file))
    let script = Built.sourceRoot + "/Tests/TraceForms/check.py"
    let result = try CommandResult(["python3", script, form, file])
    try #require(result.exitCode == 0, "\(result.errors)")
    return (result.output.first ?? "").split(separator: " ").compactMap { Int($0) }
  }

  static func rendered(_ records: [TraceRecord], _ renderer: some TraceRenderer) -> String {
    var renderer = renderer
    var names = TaskNames()
    var text = ""
    renderer.begin(&text)
    for record in records {
      names.note(record)
      renderer.add(TraceEvent(record, Samples.device.map), names, to: &text)
    }
    renderer.end(&text)
    return text
  }

  private var everyKind: [TraceRecord] {
    [Samples.task("qemu \"ppc\"\\é")] + Samples.everyKind.map(\.record)
  }

  @Test("JSON lines have documented members alone, each of its type", .enabled(if: canCheck))
  func json() throws {
    let text = Self.rendered(everyKind, JSONRenderer())
    #expect(try Self.check("json", text) == [everyKind.count])
  }

  @Test("A JSON line says everything that is known, and nothing else") func jsonLine() {
    let fill = Samples.everyKind[0].record
    let text = Self.rendered([Samples.task("qemu"), fill], JSONRenderer())
    let expected = #"""
      {"sequence":1,"time_ns":1000100000,"kind":"fill","tid":4711,"pid":4700,"comm":"qemu",\#
      "offset":1099511771136,"offset_hex":"0x10000023000","region":"esb","name":"esb:0x11:management",\#
      "lisn":17,"half":"management","backing":"ipi","generation":3,"result":"ok","cause":"first-touch",\#
      "queue_ns":1250,"service_ns":13400,"pq_before":"01","pq_after":"01","bytes":4096,"pages":1}
      """#
    #expect(text.split(separator: "\n").last.map(String.init) == expected)
  }

  @Test("A gap has no thread, and a failed fill says why") func jsonSpecial() {
    let lines = Self.rendered(everyKind, JSONRenderer()).split(separator: "\n")
    #expect(lines.last == #"{"sequence":27,"time_ns":1002700000,"kind":"gap","lost":1234}"#)
    let failed = lines.filter { $0.contains(#""sigbus":true"#) }
    #expect(failed.count == 1 && failed.first?.contains(#""result":"not-created""#) == true)
    #expect(lines.contains { $0.contains(#""result":"E2BIG","errno":7"#) })
  }

  @Test("Names with control characters break no form") func escapes() throws {
    let records = [Samples.task("a\nb\u{1b}[2J\u{7f}"), Samples.everyKind[0].record]
    for text in [
      Self.rendered(records, JSONRenderer()), Self.rendered(records, PerfRenderer()),
      Self.rendered(records, TextRenderer(start: Samples.device.start)),
    ] { #expect(text.contains("a?b?[2J?") && !text.contains("\u{1b}")) }
    var json = JSONText()
    json.add("a", "\u{1}\"\\\t")
    #expect(json.closed == #"{"a":"\u0001\"\\\u0009"}"#)
  }

  @Test("Chrome's form follows its format", .enabled(if: canCheck))
  func chrome() throws {
    let text = Self.rendered(everyKind, ChromeRenderer(Samples.device))
    #expect(try Self.check("chrome", text) == [everyKind.count, 0])
    #expect(try Self.check("chrome", Self.rendered([], ChromeRenderer(Samples.device))) == [0, 0])
  }

  @Test("perf script's form has its lines and frames", .enabled(if: canCheck))
  func perf() throws {
    let text = Self.rendered(everyKind, PerfRenderer())
    #expect(try Self.check("perf", text) == [everyKind.count])
  }

  @Test("A line of perf script, and what stands for its call chain") func perfLine() {
    let records = [Samples.task("qemu"), Samples.everyKind[1].record]
    let block = Self.rendered(records, PerfRenderer()).components(separatedBy: "\n\n")[1]
    #expect(
      block == """
        qemu 4700/4711 [000] 1.000200000: xive:fill: offset=0x26000 name=kernel:0x11:trigger \
        backing=PHB_0:4_gen_2 value=0x2000 result=ok cause=zap-unmap queue_ns=0 service_ns=900
        \t           26000 kernel:0x11:trigger (xive)
        \t               0 zap-unmap (xive)
        \t               0 fill (xive)
        """)
  }
}

@Suite("Arrows from a new backing to the fault that it caused", .hangGuard)
struct ChromeFlowTests {
  private func publish(_ sequence: UInt64, at time: UInt64, _ cause: TraceCause = .map)
    -> TraceRecord
  {
    Samples.record(.publish, sequence, at: time) {
      $0.number = 16
      $0.value = 4
      $0.cause = cause
    }
  }

  private func zap(_ sequence: UInt64, at time: UInt64, _ cause: TraceCause = .map) -> TraceRecord {
    Samples.record(.zap, sequence, at: time) {
      $0.offset = 1 << 40 | 0x2_0000
      $0.value = 0x8000
      $0.cause = cause
      $0.threadID = 99
      $0.serviceTime = 50_000
    }
  }

  private func fill(
    _ sequence: UInt64, at time: UInt64, _ cause: TraceCause = .map, page: UInt64 = 0x2_3000
  ) -> TraceRecord {
    Samples.record(.fill, sequence, at: time) {
      $0.offset = 1 << 40 | page
      $0.value = 4_096
      $0.cause = cause
      $0.serviceTime = 9_000
    }
  }

  /// For each flow the sequence numbers of its events.
  private func flows(_ records: [TraceRecord]) -> [[UInt64?]] {
    var flows = ChromeFlows()
    return records.flatMap { record -> [ChromeFlows.Flow] in
      let event = TraceEvent(record, Samples.device.map)
      return flows.add(ChromeSlice(event: event, start: record.time, end: event.end))
    }
    .map { [$0.publish, $0.zap, $0.fill].map { $0?.event.record.sequence } }
  }

  @Test("A refault follows its zap, which follows its new backing") func usual() {
    #expect(flows([publish(1, at: 10), zap(2, at: 20), fill(3, at: 90)]) == [[1, 2, 3]])
  }

  @Test("A fill that was done before its zap was done waits for it") func early() {
    #expect(flows([publish(1, at: 10), fill(2, at: 40), zap(3, at: 20)]) == [[1, 3, 2]])
  }

  @Test("Each page of a zap has its own, once") func pages() {
    let records = [
      publish(1, at: 10), zap(2, at: 20), fill(3, at: 90), fill(4, at: 95, page: 0x2_1000),
      fill(5, at: 99),
    ]
    #expect(flows(records) == [[1, 2, 3], [1, 2, 4]])
  }

  @Test("Operations that follow each other are told apart") func cycles() {
    let records = [
      publish(1, at: 10), zap(2, at: 20), fill(3, at: 90), publish(4, at: 100, .unmap),
      zap(5, at: 110, .unmap), fill(6, at: 200, .unmap), publish(7, at: 210), fill(8, at: 230),
      zap(9, at: 220),
    ]
    #expect(flows(records) == [[1, 2, 3], [4, 5, 6], [7, 9, 8]])
  }

  @Test("Other pages, other causes, and other reasons have none") func others() {
    #expect(flows([zap(1, at: 10), fill(2, at: 90, page: 0x2_8000)]).isEmpty)
    #expect(flows([zap(1, at: 10), fill(2, at: 90, page: 0x1_f000)]).isEmpty)
    #expect(flows([zap(1, at: 10), fill(2, at: 90, .unmap)]).isEmpty)
    #expect(flows([zap(1, at: 10), fill(2, at: 90, .firstTouch)]).isEmpty)
    #expect(flows([zap(1, at: 10, .reclaim), fill(2, at: 90, .reclaim)]).isEmpty)
  }

  @Test("A zap without a new backing begins the arrow") func withoutPublish() {
    #expect(flows([zap(1, at: 10, .vcpu), fill(2, at: 90, .vcpu)]) == [[nil, 1, 2]])
    var other = publish(1, at: 5)
    other.number = 20
    #expect(flows([other, zap(2, at: 10), fill(3, at: 90)]) == [[nil, 2, 3]])
  }

  @Test("The written arrows are matched, and bind to slices", .enabled(if: FormTests.canCheck))
  func written() throws {
    let records = [
      publish(1, at: 10), zap(2, at: 20), fill(3, at: 90), publish(4, at: 100),
      zap(5, at: 110, .vcpu), fill(6, at: 200, .vcpu),
    ]
    let text = FormTests.rendered(records, ChromeRenderer(Samples.device))
    #expect(try FormTests.check("chrome-real", text) == [6, 2])
  }
}
