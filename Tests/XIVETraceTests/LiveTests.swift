import Foundation
import Glibc
import SystemCalls
import Testing
import TraceRecords
import XIVEClient
import XIVETestSupport

@testable import XIVETrace

/// `xive trace` on real mounts. Consumers are processes of their own.
@Suite("The trace command", .hangGuard, .enabled(if: Requirement.canMount))
struct LiveTests {
  private static let create = ["--create", "0-0x3f"]

  /// Lets consumers load, store and miss a page.
  private func use(_ path: String) throws {
    for words in [
      ["peek", path, "esb:17:management+0x800"], ["poke", path, "esb:17:trigger", "0"],
      ["peek", path, "esb:0x500:management"],
    ] {
      let result = try CommandResult([Built.path("xive")] + words)
      try #require(result.exitCode == 0, "\(result.errors)")
    }
  }

  /// Starts `xive trace` and waits until it has begun to read: before that a signal would just end it.
  private func start(_ path: String, _ options: [String], errors: String) throws -> ChildProcess {
    let child = try ChildProcess(Built.path("xive"), ["trace", path] + options, errors: errors)
    let device = try DeviceTraceSource(path)
    let deadline = MonotonicClock.nanoseconds + 60_000_000_000
    while try device.info().readers == 0 {
      try #require(MonotonicClock.nanoseconds < deadline, "tracing does not begin")
      MonotonicClock.sleep(nanoseconds: 10_000_000)
    }
    return child
  }

  private func kinds(_ lines: [String]) -> [String] {
    lines.compactMap { line in
      (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["kind"]
        as? String
    }
  }

  @Test("While tracing is off there is nothing, and one line says what to do") func off() throws {
    let device = try ServedDevice(Self.create)
    try use(device.path)
    let result = try CommandResult.xive("trace", device.path)
    #expect(result.exitCode == 1 && result.output.isEmpty && result.errors.count == 1)
    #expect(result.errors.first?.contains("--follow") == true)
  }

  @Test("--count ends after so many events, with a summary") func count() throws {
    let device = try ServedDevice(Self.create)
    let directory = try TemporaryDirectory()
    let errors = directory.path + "/errors"
    var child = try start(
      device.path, ["--count", "2", "--kind", "load", "--json"], errors: errors)
    for _ in 0..<3 { try use(device.path) }
    var lines: [String] = []
    while let line = child.line(within: 60_000) { lines.append(line) }
    #expect(child.exitCode(within: 60_000) == 0)
    #expect(kinds(lines) == ["load", "load"])
    #expect(lines.first?.contains(#""name":"esb:0x11:management+0x800""#) == true)
    #expect(lines.last?.contains(#""result":"not-created""#) == true)
    let text = try String(contentsOfFile: errors, encoding: .utf8)
    #expect(text.hasPrefix("2 events in ") && text.contains("events by kind: load 2"))
  }

  @Test("--follow goes on until SIGINT, and ends with a summary", arguments: [SIGINT, SIGTERM])
  func follow(signal: Int32) throws {
    let device = try ServedDevice(Self.create + ["--trace"])
    let directory = try TemporaryDirectory()
    let errors = directory.path + "/errors"
    var child = try start(device.path, ["--follow"], errors: errors)
    try use(device.path)
    child.signal(signal)
    var lines: [String] = []
    while let line = child.line(within: 60_000) { lines.append(line) }
    #expect(child.exitCode(within: 60_000) == 0)
    // All that had happened by then, and nothing that the tracer itself asked.
    #expect(
      lines.count { $0.contains(" load ") } == 2 && lines.count { $0.contains(" store ") } == 1)
    #expect(lines.allSatisfy { !$0.contains("/\(child.id) ") })
    #expect(lines.contains { $0.contains("all ones (source never created)") })
    let text = try String(contentsOfFile: errors, encoding: .utf8)
    #expect(text.hasPrefix("\(lines.count) events in ") && !text.contains("xive:"))
  }

  @Test("--duration ends by itself; --new leaves out what was kept") func duration() throws {
    let device = try ServedDevice(Self.create + ["--trace"])
    try use(device.path)
    let begun = MonotonicClock.nanoseconds
    let all = try CommandResult.xive(
      "trace", device.path, "--duration", "300ms", "--json", "--kind", "exact")
    #expect(MonotonicClock.nanoseconds - begun >= 300_000_000)
    #expect(all.exitCode == 0 && kinds(all.output) == ["load", "store", "load"])
    let new = try CommandResult.xive(
      "trace", device.path, "--duration", "300ms", "--new", "--json", "--kind", "exact")
    #expect(new.exitCode == 0 && new.output.isEmpty)
    #expect(new.errors.first == "0 events in 0.000 s")
  }

  @Test("A recording gives the same events as the device, in every form") func recording() throws {
    let device = try ServedDevice(Self.create + ["--trace"])
    let directory = try TemporaryDirectory()
    let file = directory.path + "/recorded.xivetrace"
    try use(device.path)
    let recorded = try CommandResult.xive("trace", device.path, "-o", file)
    #expect(recorded.exitCode == 0 && recorded.output.isEmpty, "\(recorded.errors)")
    let live = try CommandResult.xive("trace", device.path, "--json")
    let converted = try CommandResult.xive("trace", "convert", file, "--json")
    #expect(live.exitCode == 0 && converted.exitCode == 0)
    #expect(kinds(converted.output).filter { $0 == "load" }.count == 2)
    // The recorder's own questions came between the two.
    #expect(Array(live.output.prefix(converted.output.count)) == converted.output)
    for form in ["--chrome", "--perf", "--json"] {
      let output = directory.path + "/form"
      let result = try CommandResult.xive("trace", "convert", file, form, "-o", output)
      #expect(result.exitCode == 0 && result.output.isEmpty, "\(result.errors)")
      let text = try String(contentsOfFile: output, encoding: .utf8)
      let name = form == "--chrome" ? "chrome-real" : String(form.dropFirst(2))
      #expect(try FormTests.check(name, text).first == converted.output.count)
    }
    let summary = try CommandResult.xive("trace", "summary", file)
    #expect(summary.output.first == recorded.errors.first && recorded.errors == summary.output)
    let trace = try Trace(contentsOf: file)
    #expect(trace.device.geometry.sourceCount == 8_192 && !trace.device.segments.isEmpty)
  }

  @Test("A filter holds for recordings and conversions alike") func filters() throws {
    let device = try ServedDevice(Self.create + ["--trace"])
    let directory = try TemporaryDirectory()
    let file = directory.path + "/recorded.xivetrace"
    try use(device.path)
    let words = ["trace", device.path, "-o", file, "--kind", "exact", "--result", "failed"]
    #expect(try CommandResult([Built.path("xive")] + words).exitCode == 0)
    let all = try CommandResult.xive("trace", "convert", file)
    #expect(all.output.count == 1 && all.output.first?.contains(" xive/") == true)
    let none = try CommandResult.xive("trace", "convert", file, "--kind", "store")
    #expect(none.exitCode == 0 && none.output.isEmpty)
  }

  @Test("When the server is killed, what was seen is shown, and one line says so") func killed()
    throws
  {
    let device = try ServedDevice(Self.create)
    let directory = try TemporaryDirectory()
    let errors = directory.path + "/errors"
    var child = try start(device.path, ["--follow", "--kind", "exact"], errors: errors)
    try use(device.path)
    for _ in 0..<3 { #expect(child.line(within: 60_000) != nil) }
    device.signal(SIGKILL)
    #expect(child.exitCode(within: 60_000) == 1)
    let lines = try String(contentsOfFile: errors, encoding: .utf8).split(separator: "\n")
    #expect(lines.first?.hasPrefix("3 events in ") == true)
    #expect(lines.last?.hasPrefix("xive: \(device.path): its server has ended") == true)
    #expect(lines.count { $0.hasPrefix("xive:") } == 1)
  }

  @Test("When the server ends before anything was read, nothing was served") func endedAtOnce()
    throws
  {
    let device = try ServedDevice(Self.create)
    let directory = try TemporaryDirectory()
    let errors = directory.path + "/errors"
    var child = try start(device.path, ["--follow"], errors: errors)
    device.signal(SIGKILL)
    #expect(child.exitCode(within: 60_000) == 69)
    let text = try String(contentsOfFile: errors, encoding: .utf8)
    #expect(text.split(separator: "\n").count == 1 && text.contains("its server has ended"))
  }

  @Test("When nobody reads its lines any more, it ends, and nothing is wrong") func unread() throws
  {
    let device = try ServedDevice(Self.create + ["--trace"])
    try use(device.path)
    let directory = try TemporaryDirectory()
    let code = directory.path + "/code"
    let script = #"{ "$1" trace "$2" --follow; echo "exit $?" >"$3"; } | head -n 1"#
    var child = try ChildProcess(
      "/bin/sh", ["-c", script, "sh", Built.path("xive"), device.path, code])
    _ = child.line(within: 60_000)
    let deadline = MonotonicClock.nanoseconds + 60_000_000_000
    while child.exitCode(within: 10) == nil, MonotonicClock.nanoseconds < deadline {
      try use(device.path)
    }
    #expect(TextFile.contents(of: code) == "exit 0\n")
  }

  @Test("Wrong words are usage, with the word in the line") func usage() throws {
    let device = try ServedDevice(Self.create)
    for (words, part) in [
      (["--count", "0"], "--count 0"), (["--new"], "--new"),
      (["--duration", "x"], "--duration 'x'"),
      (["--kind", "fils"], "--kind 'fils'"), (["-o", device.path], "is the device itself"),
      (["--json", "--perf"], "--perf"),
    ] {
      let result = try CommandResult([Built.path("xive"), "trace", device.path] + words)
      #expect(result.exitCode == 64, "\(words)")
      #expect(result.errors.contains { $0.contains(part) }, "\(words) \(result.errors)")
    }
    let absent = try CommandResult.xive("trace", "/no/such/device")
    #expect(absent.exitCode == 69 && absent.errors.count == 1)
    let file = try CommandResult.xive("trace", "summary", "/dev/null")
    #expect(file.exitCode == 1 && file.errors.count == 1)
  }

  @Test("A damaged recording is used as far as it goes") func damaged() throws {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/damaged"
    var writer = try TraceWriter(file, Samples.device)
    try writer.append([Samples.record(.fence)])
    try writer.append([Samples.record(.fence, 1)])
    unsafe truncate(file, off_t(writer.byteCount) - 1)
    for command in ["summary", "convert"] {
      let result = try CommandResult.xive("trace", command, file)
      #expect(result.exitCode == 0 && !result.output.isEmpty)
      #expect(result.errors.count == 1 && result.errors[0].contains("ends inside a block"))
    }
    let same = try CommandResult.xive("trace", "convert", file, "-o", file)
    #expect(same.exitCode == 64)
  }
}
