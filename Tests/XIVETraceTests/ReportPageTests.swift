import SystemCalls
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("Pages and pictures of reports", .hangGuard)
struct ReportPageTests {
  static let long = TraceReport(SampleTrace.make(records: 20_000))
  static let empty = TraceReport(
    Trace(device: TracedDevice(geometry: SampleTrace.geometry, path: "/run/xive")))

  @Test("The same trace gives the same bytes")
  func deterministic() {
    let again = TraceReport(SampleTrace.make(records: 20_000))
    #expect(again.html == Self.long.html)
    #expect(again.svg() == Self.long.svg())
  }

  @Test(
    "Strict parsers take every page and every picture", .enabled(if: ReportTools.canParse),
    arguments: [long, empty])
  func parsers(_ report: TraceReport) throws {
    let place = try TemporaryPlace("xive-report")
    let result = try ReportTools.run(
      "report_markup.py", try ReportTools.write(report, to: place.path))
    #expect(result.exitCode == 0, "\(result.errors)")
  }

  @Test(
    "A validator finds nothing but what it does not know of SVG",
    .enabled(if: Requirement.has("tidy", package: "tidy")), arguments: [long, empty])
  func validator(_ report: TraceReport) throws {
    let place = try TemporaryPlace("xive-report")
    let paths = try ReportTools.write(report, to: place.path)
    let result = try CommandResult(["tidy", "-quiet", "-errors", paths[0]])
    let found = result.errors.filter {
      !$0.contains("<svg> proprietary attribute")
        && !$0.contains("<input> proprietary attribute \"aria-keyshortcuts\"")
    }
    #expect(result.exitCode < 2)
    #expect(found == [])
  }

  @Test("Text from outside gets in as text")
  func escaping() {
    var task = TraceRecord(.task)
    task.threadID = 7
    task.processID = 7
    task.offset = UInt64(littleEndian: 0x3e74_7069_7263_733c)  // <script>
    task.value = UInt64(littleEndian: 0x0000_0000_0022_2601)  // 01 & "
    var device = ReportRecords.device
    device.path = "/tmp/\u{1}</title><script>alert(1)</script>"
    let html = TraceReport(Trace(device: device, records: [task, ReportRecords.fill(1)])).html
    #expect(html.contains("&lt;script&gt;?&amp;&quot;/7"))
    #expect(html.contains(#""\u003cscript>?&\"/7""#))
    #expect(html.contains("/tmp/\u{fffd}&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;"))
    #expect(html.split(separator: "<script").count == 3)
  }

  @Test("Data is JSON that no element's end can be in")
  func data() {
    let json = ReportJSON.object([
      ("a", .list([.number(.max), .text("</script>\u{1}\n\\\"\u{2028}é")])), ("b", .list([])),
    ])
    #expect(
      json.source
        == #"{"a":[18446744073709551615,"\u003c/script>\u0001\u000a\\\"\u2028é"],"b":[]}"#)
  }

  @Test("A page without a script says what the figures are")
  func summary() {
    let html = TraceReport(
      ReportRecords.trace([
        ReportRecords.fill(1), ReportRecords.fill(1, .management, .unmap),
        ReportRecords.fill(1, .management, .unmap),
        ReportRecords.fill(60, .management, .none, .absent(.notCreated)),
      ])
    ).html
    #expect(
      html.contains(
        "50.0 % of 4 faults were of pages that had been filled before. The most common reason to "
          + "fault again was zap-unmap (2). 1 fault ended with SIGBUS."))
    #expect(html.contains("SIGBUS: source never created"))
    #expect(html.contains("LISN 0x1: 3 faults, 2 refaults, 0 SIGBUS, 300 ns"))
    #expect(html.contains("LISN 0x2: not touched"))
    #expect(html.contains("LISN 0x3b: did not exist"))
  }

  @Test("What is empty says so")
  func nothing() {
    let html = Self.empty.html
    for text in [
      "Nobody touched a page in this trace.", "No page existed, and none was touched.",
      "none in this trace", "No consumer touched the device in this trace.",
    ] {
      #expect(html.contains(text), "\(text)")
    }
  }

  @Test("A picture alone needs nothing else, in light and dark")
  func alone() {
    let svg = Self.long.svg([.map])
    #expect(svg.contains("@media(prefers-color-scheme:dark)"))
    #expect(!svg.contains("var(") && !svg.contains("href"))
    #expect(svg.contains(">Device map: faults<") && !svg.contains(">Zaps<"))
    #expect(Self.long.svg().contains(">Zaps<"))
  }

  @Test("A million records give a page of less than 3 MB")
  func million() {
    let trace = SampleTrace.make(records: 1_000_000)
    let begun = MonotonicClock.nanoseconds
    let page = TraceReport(trace).html
    print(
      "page of \(trace.records.count) records: \(page.utf8.count) bytes,"
        + " made in \((MonotonicClock.nanoseconds - begun) / 1_000_000) ms")
    #expect(page.utf8.count < 3_000_000)
  }

  @Test("A page of more pages than it holds says so, and stays small")
  func manyPages() {
    let records = (0..<8_192 as Range<UInt32>).flatMap { lisn in
      [ReportRecords.fill(lisn), ReportRecords.fill(lisn, .trigger)]
    }
    let page = TraceReport(ReportRecords.trace(records)).html
    #expect(
      page.contains("the 5,000 hottest of 16,384; all count in the map&#39;s cells.")
        || page.contains("the 5,000 hottest of 16,384; all count in the map's cells."))
    #expect(page.utf8.count < 3_000_000)
  }
}
