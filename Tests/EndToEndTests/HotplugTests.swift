import FoundationEssentials
import Glibc
import SystemCalls
import Testing
import XIVEHarness
import XIVETestSupport

@Suite("Hot-plug", .enabled(if: Requirement.canMount), .serialized, .hangGuard)
struct HotplugTests {
  /// Cycles that are enough to see each of them at work; those that start processes in each take few.
  private static let cycles = [
    "pending-unplug": 1, "consumer-overmap": 6, "consumer-killed": 6, "server-killed": 3,
    "many-devices": 8, "random": 1_500,
  ]

  @Test("Each scenario goes as expected", arguments: Scenario.all.map(\.name))
  func scenario(_ name: String) throws {
    let run = try HotplugRun([
      name, "--cycles", "\(Self.cycles[name] ?? 25)", "--seed", "\(Seed.value)",
    ])
    let result = try #require(run.report.results.first)
    if result.outcome == "skipped" { return print("skipped: \(name): \(result.reason ?? "")") }
    #expect(run.exitCode == 0, "\(run.text) \(Seed.comment)")
    #expect(result.outcome == "passed", "\(run.text) \(Seed.comment)")
    #expect(run.report.results.count == 1)
    #expect(result.steps.allSatisfy { $0.isMet && !$0.expected.isEmpty && !$0.seen.isEmpty })
    // Somebody looked: pages by watchers, or values by the operator.
    #expect(result.reads > 1_000 || result.checks > 100, "\(run.text)")
    #expect(run.mountsLeft == 0)
  }

  /// Scenarios whose consumers are no guests.
  private static let plain = Scenario.all.filter {
    $0.needs.allSatisfy { $0 == .trappedWindows }
  }.map(\.name)

  @Test(
    "The scenarios go as expected with trapped consumers, and with both kinds in one process",
    arguments: plain, ["trapped", "both"])
  func trapped(_ name: String, _ access: String) throws {
    let cycles = name == "random" ? 400 : min(10, Self.cycles[name] ?? 10)
    let run = try HotplugRun([
      name, "--access", access, "--cycles", "\(cycles)", "--seed", "\(Seed.value)",
    ])
    #expect(run.exitCode == 0, "\(run.text) \(Seed.comment)")
    let result = try #require(run.report.results.first)
    #expect(result.outcome == "passed", "\(run.text)")
    // Somebody looked, or triggered and was looked for.
    #expect(result.reads > 0 || result.checks > 100, "\(run.text)")
    #expect(run.mountsLeft == 0)
  }

  @Test("The detector proves itself: a server that errs is found out", arguments: Sabotage.allCases)
  func sabotage(_ mistake: Sabotage) throws {
    let run = try HotplugRun([
      "plug-unplug", "--sabotage", mistake.rawValue, "--seed", "5", "--cycles", "20000",
    ])
    #expect(run.exitCode == 1)
    let result = try #require(run.report.results.first)
    #expect(result.outcome == "failed")
    #expect(result.reason?.hasPrefix("stale page: ") == true, "\(run.text)")
    #expect(
      result.repeatCommand
        == "xive hotplug run plug-unplug --seed 5 --cycles 20000 --sabotage \(mistake.rawValue)")
    let log = try #require(result.log)
    let text = TextFile.contents(of: log)
    #expect(text.contains("NOT as expected: 2. plug, map, unmap, unplug"))
    // What the server did just before is there, and shows its mistake once more when a right one does the same.
    let last = try #require(result.lastRecords)
    #expect(last.count > 20 && last.allSatisfy { text.contains($0) })
    #expect(last.contains { $0.contains("/") && $0.contains(" zap ") }, "\(last)")
    let trace = try #require(result.trace)
    let replay = try CommandResult.xive("trace", "replay", trace, "--differences", "1000")
    #expect(replay.exitCode == 1, "\(replay.errors)")
    let missing =
      mistake == .skipAlias ? "replayed: zap  kernel:0x10:" : "replayed: publish  LISN 0x10-"
    #expect(replay.output.contains { $0.hasPrefix(missing) }, "\(replay.output)")
    #expect(run.mountsLeft == 0)
  }

  @Test("A scenario's trace gives the same when it is performed again, record by record")
  func replay() throws {
    let directory = try TemporaryDirectory()
    let run = try HotplugRun([
      "pending-unplug", "--cycles", "1", "--seed", "7", "--trace", directory.path,
    ])
    #expect(run.exitCode == 0, "\(run.text)")
    let trace = try #require(run.report.results.first?.trace)
    #expect(trace == directory.path + "/xive-hotplug-pending-unplug-7.xivetrace")
    let replay = try CommandResult.xive("trace", "replay", trace, "--json")
    let text = replay.output.joined(separator: "\n")
    #expect(replay.exitCode == 0 && replay.errors == [], "\(text)")
    let report = try JSONDecoder().decode(Replay.self, from: Data(text.utf8))
    #expect(report.isFromTheStart && report.differenceCount == 0, "\(text)")
    // Of fills that met a change of their page, more on a busy machine, nothing is compared.
    #expect(report.requests > 200 && report.records > 200, "\(text)")
  }

  /// What a program reads of a replay.
  private struct Replay: Decodable {
    let requests, records, differenceCount: Int
    let isFromTheStart: Bool
  }

  @Test(
    "On a terminal it tells how far it is, how fast, and how long it will take",
    .enabled(if: Requirement.has("script", package: "bsdutils")))
  func progress() throws {
    let directory = try TemporaryDirectory()
    let words = HotplugRun.words(
      ["plug-unplug", "--cycles", "150", "--seed", "3"], in: directory.path)
    let run = try ProgramRun(
      "/usr/bin/script", ["-qec", (["/usr/bin/env"] + words).joined(separator: " "), "/dev/null"])
    #expect(run.exitCode == 0, "\(run.text)")
    let line = run.text.split { $0 == "\r" || $0 == "\n" }.last { $0.contains("of 150 cycles") }
    let text = try #require(line)
    #expect(text.contains("1/1 plug-unplug: ") && text.contains(" cycles/s, "), "\(text)")
    #expect(text.contains(" reads/s, ") && text.hasSuffix(" s left"), "\(text)")
  }

  @Test("The text states what was expected and what was seen; JUnit's report holds the same")
  func text() throws {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/junit.xml"
    let run = try CommandResult(
      ["/usr/bin/env"]
        + HotplugRun.words(
          ["pending-unplug", "--cycles", "1", "--seed", "77", "--junit", file],
          in: directory.path), within: 60_000)
    #expect(run.exitCode == 0)
    #expect(run.output.first == "pending-unplug, seed 77")
    #expect(run.output.last == "1 passed; seed 77")
    #expect(run.output.count { $0.hasPrefix("  ok  ") } == 2)
    #expect(run.output.count { $0.hasPrefix("        expected ") } == 2)
    #expect(run.output.count { $0.hasPrefix("        saw      ") } == 2)
    #expect(run.errors == [])
    let junit = TextFile.contents(of: file)
    #expect(junit.contains(#"<testcase classname="xive.hotplug" name="pending-unplug""#))
    #expect(junit.contains(#"<property name="seed" value="77"/>"#))
  }

  @Test(
    "What the machine lacks is skipped with the reason; nothing may be skipped where all is required"
  )
  func lacking() throws {
    for (variable, code, outcome) in [("", Int32(0), "skipped"), ("1", 1, "failed")] {
      let run = try HotplugRun(["qemu"], ["PATH=/nonexistent", "XIVE_REQUIRE_ALL=\(variable)"])
      #expect(run.exitCode == code)
      #expect(run.report.results.map(\.outcome) == [outcome])
      #expect(
        run.report.results.first?.reason?.hasPrefix("qemu-system-x86_64 is not installed") == true)
    }
  }

  @Test(
    "Without /dev/fuse it is exit 69 and one line",
    .enabled(if: Requirement.has("unshare", package: "util-linux")))
  func unavailable() throws {
    // A mount namespace of its own, with an empty /dev.
    let run = try CommandResult([
      "unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev && exec \"$0\" \"$@\"",
      Built.path("xive"), "hotplug", "run", "fork",
    ])
    #expect(run.exitCode == 69)
    #expect(run.output == [])
    #expect(run.errors == ["xive: /dev/fuse cannot be opened: run as root with fuse loaded"])
  }

  @Test("An interrupt ends it with its servers and consumers, and no mount is left")
  func interrupted() throws {
    let directory = try TemporaryDirectory()
    var run = try ChildProcess(
      "/usr/bin/env",
      HotplugRun.words(["random", "--duration", "1m"], in: directory.path))
    while let line = run.line(within: 20_000), !line.contains("1. watch") {}
    #expect(HotplugRun.mounts(below: directory.path) == 1)
    run.signal(2)
    #expect(run.exitCode(within: 20_000) == 130)
    #expect(HotplugRun.mounts(below: directory.path) == 0)
  }

  @Test("A server that stops answering is a hang, which is ended")
  func hang() throws {
    let directory = try TemporaryDirectory()
    var run = try ChildProcess(
      "/usr/bin/env",
      HotplugRun.words(["random", "--duration", "1m", "--patience", "2"], in: directory.path))
    while let line = run.line(within: 20_000), !line.contains("1. watch") {}
    // The first child is the server.
    let children = TextFile.contents(of: "/proc/\(run.id)/task/\(run.id)/children")
    let server = try #require(children.split(separator: " ").compactMap { Int32($0) }.min())
    kill(server, SIGSTOP)
    var lines: [String] = []
    while let line = run.line(within: 40_000) { lines.append(line) }
    #expect(run.exitCode(within: 20_000) == 1)
    #expect(lines.contains { $0.contains("FAILED: hang: nothing for 2 s after: ") }, "\(lines)")
    #expect(HotplugRun.mounts(below: directory.path) == 0)
  }
}

/// A run of `xive hotplug run --json`, its logs and mounts in a directory of its own.
private final class HotplugRun {
  let exitCode: Int32
  let text: String
  let report: Report
  private let directory: TemporaryDirectory

  init(_ words: [String], _ variables: [String] = []) throws {
    let directory = try TemporaryDirectory()
    let run = try CommandResult(
      ["/usr/bin/env"] + variables + Self.words(words + ["--json"], in: directory.path),
      within: 100_000)
    exitCode = run.exitCode
    text = (run.output + run.errors).joined(separator: "\n")
    report = try JSONDecoder().decode(
      Report.self, from: Data(run.output.joined(separator: "\n").utf8))
    self.directory = directory
  }

  /// The words of `env` for a run; `XIVE_TEST_PROGRAM` names a program for its consumers that was built without the
  /// sanitizer that this one has, for consumers handle their own faults.
  static func words(_ words: [String], in directory: String) -> [String] {
    let consumer =
      Requirement.environment("XIVE_TEST_PROGRAM").map { ["--consumer-program", $0] } ?? []
    return ["TMPDIR=\(directory)", Built.path("xive"), "hotplug", "run"] + words + consumer
  }

  var mountsLeft: Int { Self.mounts(below: directory.path) }

  static func mounts(below directory: String) -> Int {
    TextFile.contents(of: "/proc/self/mountinfo").split(separator: "\n")
      .count { $0.contains(" \(directory)/") }
  }

  /// The report as a program reads it.
  struct Report: Decodable {
    struct Step: Decodable {
      let number: Int
      let title, expected, seen: String
      let isMet: Bool
    }
    struct Result: Decodable {
      let scenario, outcome: String
      let seed, reads: UInt64
      let cycles, checks: Int
      let seconds: Double
      let steps: [Step]
      let reason, log, trace, repeatCommand: String?
      let lastRecords: [String]?
    }
    let schemaVersion, passed, failed, skipped: Int
    let seed: UInt64
    let results: [Result]
  }
}
