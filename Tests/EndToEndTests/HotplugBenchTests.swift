import FoundationEssentials
import SystemCalls
import Testing
import XIVETestSupport

@Suite(
  "Benchmark of hot-plug", .enabled(if: Requirement.canMount),
  .enabled(if: Requirement.has("cc", package: "gcc")), .hangGuard)
struct HotplugBenchTests {
  static let judged = [
    "hotplug", "hotplugCrowd", "hotplugSize", "prefaultPage", "prefaultPageToOwn",
  ]
  static let shown = ["untouchedOne", "untouchedMany"]

  @Test("Every phase of every case is measured against both servers, and every target is judged")
  func quickRun() throws {
    let directory = try TemporaryDirectory()
    let report = try HotplugReport(baseline: compileBaseline(into: directory))
    #expect(report.schemaVersion == 1)
    #expect(Set(report.figures.map(\.id)) == Set(Self.judged + Self.shown))
    for figure in report.figures {
      #expect((figure.met != nil) == Self.judged.contains(figure.id), "\(figure.id)")
      #expect(figure.xive.isSound && figure.ratio.isSound, "\(figure.id)")
      // What is compared with this program itself has no figure of the C server.
      #expect((figure.baseline?.isSound ?? false) == (figure.id != "hotplugSize"), "\(figure.id)")
    }
    #expect(Set(report.phases.map(\.key)) == expectedKeys)
    #expect(report.phases.count == expectedKeys.count)
    for phase in report.phases {
      let isSound = [phase.xive, phase.xiveLarge, phase.baseline].allSatisfy(\.isSound)
      #expect(isSound && phase.ratio.isSound && phase.sizeRatio.isSound, "\(phase.key)")
      #expect(phase.sources >= phase.vectors * 2 && phase.sources <= 4_096, "\(phase.key)")
    }
  }

  @Test("A server that is none is named, with exit code 69")
  func wrongServer() throws {
    let run = try ProgramRun(
      Built.path("xive"), ["bench", "hotplug", "--quick", "--baseline", "/bin/true"])
    #expect(run.exitCode == 69)
    #expect(run.text.contains("/bin/true"))
  }

  private var expectedKeys: Set<String> {
    var keys: Set<String> = []
    for vectors in [1, 64, 2_048] {
      for consumers in [1, 8] {
        for isPrefaulted in [false, true] {
          for phase in ["map", "touch", "refault", "unmap", "all"] {
            keys.insert("\(vectors) touched by \(consumers), \(isPrefaulted): \(phase)")
          }
          for phase in ["map", "unmap", "all"] {
            keys.insert("\(vectors) untouched by \(consumers), \(isPrefaulted): \(phase)")
          }
        }
      }
    }
    return keys
  }
}

/// Compiles the C server as tools/bench does.
private func compileBaseline(into directory: borrowing TemporaryDirectory) throws -> String {
  let program = directory.path + "/server"
  let compiled = try ProgramRun(
    "/bin/sh",
    [
      "-c", "cc -O2 -Wall -Wextra -Werror -o \"$0\" \"$1\" $(pkg-config --cflags --libs fuse3)",
      program, Built.sourceRoot + "/tools/baseline/server.c",
    ])
  guard compiled.exitCode == 0 else { throw SupportFailure(compiled.text) }
  return program
}

/// The report as a program reads it.
private struct HotplugReport: Decodable {
  struct Spread: Decodable {
    let samples: Int
    let p50, p99: Double
    var isSound: Bool { samples > 0 && p50 > 0 && p50.isFinite && p99 >= p50 }
  }
  struct Ratio: Decodable {
    let ofMedians, medianOfRounds: Double
    var isSound: Bool { ofMedians > 0 && medianOfRounds > 0 && medianOfRounds.isFinite }
  }
  struct Figure: Decodable {
    let id: String
    let xive: Spread
    let baseline: Spread?
    let ratio: Ratio
    let met: Bool?
  }
  struct Phase: Decodable {
    let vectors, consumers, sources: Int
    let isTouched, isPrefaulted: Bool
    let phase: String
    let xive, xiveLarge, baseline: Spread
    let ratio, sizeRatio: Ratio
    var key: String {
      "\(vectors) \(isTouched ? "touched" : "untouched") by \(consumers), \(isPrefaulted): \(phase)"
    }
  }
  let schemaVersion: Int
  let figures: [Figure]
  let phases: [Phase]

  init(baseline: String) throws {
    var process = try ChildProcess(
      Built.path("xive"), ["bench", "hotplug", "--quick", "--json", "--baseline", baseline])
    var text = ""
    while let line = process.line(within: 600_000) { text += line + "\n" }
    guard process.exitCode(within: 10_000) == 0 else { throw SupportFailure("failed: \(text)") }
    self = try JSONDecoder().decode(HotplugReport.self, from: Data(text.utf8))
  }
}
