import SystemCalls
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

/// What people do with a page, done in a browser.
@Suite("Reports in a browser", .hangGuard, .enabled(if: ReportTools.canBrowse))
struct ReportBrowserTests {
  @Test(
    "Zoomed, searched, switched, by pointer and by keyboard; no request, no message, enough contrast",
    arguments: [20_000, 1_000_000])
  func used(_ count: Int) throws {
    let trace = SampleTrace.make(records: count)
    let place = try TemporaryPlace("xive-report")
    let path = "\(place.path)/report.html"
    try TextFile.write(TraceReport(trace).html, to: path)
    let wanted = ["17", "0x1302", "esb:0x11", "lisn:4867", "phb:0:3"].map { answer($0, trace) }
    let result = try ReportTools.run("report.py", [path, place.path] + wanted)
    print(result.output.filter { $0.hasPrefix("loaded") }.joined())
    let failures = result.output.filter { $0.hasPrefix("FAILED") }
    #expect(failures == [])
    #expect(result.output.count { $0.hasPrefix("ok:") } > 45)
    #expect(result.exitCode == 0, "\(result.errors)")
    for name in ["light-700", "light-1600", "dark-700", "dark-1600"] {
      #expect(try FileStatus(ofPath: "\(place.path)/\(name).png").isRegularFile)
    }
  }

  /// What a search must answer: its text, the name, faults, and the events that it lists.
  private func answer(_ text: String, _ trace: Trace) -> String {
    let number: UInt32 = text.contains("17") || text.contains("0x11") ? 17 : 0x1302
    let map = trace.device.map
    if text.hasPrefix("phb") { return "\(text)|phb:0:3|1|" }
    if text.contains("4867") { return "\(text)|esb:0x1303|\(faults(0x1303, trace))|" }
    let own = trace.records.filter {
      $0.isEvent && $0.subjects(map)?.contains(ReportSubject(.source, number)) == true
    }
    // All are listed only where none had to be left out.
    let listed = number == 17 ? "\(own.count)" : ""
    let name = number == 17 ? "esb:0x11" : "esb:0x1302"
    return "\(text)|\(name)|\(faults(number, trace))|\(listed)"
  }

  private func faults(_ lisn: UInt32, _ trace: Trace) -> Int {
    trace.records.count { $0.isTouch && $0.number == lisn && $0.offset ?? 0 < Region.end.start }
  }
}
