import FoundationEssentials
import SystemCalls
import Testing
import XIVETestSupport

@Suite("Benchmark", .enabled(if: Requirement.canMount), .hangGuard)
struct BenchTests {
  static let judgedByBaseline = ["coldFault", "exactLoad", "exactStore", "rangeFillToBaseline"]
  static let judgedAlone = [
    "rangeFill", "pqOperation", "pqSpeedUp", "ready", "memory",
    "readySmall", "memorySmall", "memoryLarge", "deliver", "handle64", "handle1024",
    "handleSpeedUp", "saveState", "restoreState", "traceOn", "traceRead", "traceKept",
    "trappedLoad", "trappedStore",
  ]
  static let notJudged = [
    "handle1", "deliverExact", "handleExact", "attribute", "traceOff", "traceReadingSpeed",
    "traceFollowed", "bareFault", "kvmExit", "pointerExactLoad", "pointerExactStore",
    "loadAfterFault", "storeAfterFault",
  ]
  /// Compared with the same without tracing.
  static let traced = ["traceOff", "traceOn", "traceRead"]
  /// Compared with an eventfd, which needs no other server.
  static let wakeUps = ["wakeUp1", "wakeUp1000", "irqfd", "resample"]
  /// Compared with the parts that they are made of.
  static let trapped = ["trappedLoad", "trappedStore", "loadAfterFault", "storeAfterFault"]
  static let parallel = ["pqSpeedUp", "handleSpeedUp"]

  @Test(
    "Every figure is there and is a number; ratios to a C server that is missing are not judged")
  func quickRun() throws {
    let report = try Report(running: ["bench", "--quick", "--json"])
    #expect(report.schemaVersion == 1)
    #expect(report.machine.processorCount > 0)
    #expect(
      report.figures.map(\.id).sorted()
        == (Self.judgedByBaseline + Self.judgedAlone + Self.notJudged + Self.wakeUps).sorted())
    for figure in report.figures {
      let hasOwn = (Self.wakeUps + Self.traced + Self.trapped).contains(figure.id)
      #expect((figure.baseline != nil) == hasOwn, "\(figure.id)")
      if let reason = figure.skipped {
        // Only the figures that need four processors, or a guest, may be missing.
        let needsGuest = figure.id == "kvmExit" && reason.contains("kvm")
        #expect(needsGuest || Self.parallel.contains(figure.id) && reason.contains("processors"))
        continue
      }
      #expect((figure.met != nil) == Self.judgedAlone.contains(figure.id), "\(figure.id)")
      let spread = try #require(figure.xive, "\(figure.id) was not measured")
      #expect(spread.p50 > 0 && spread.p50.isFinite, "\(figure.id)")
      #expect(spread.p99 >= spread.p50, "\(figure.id)")
      let isShown = (Self.notJudged + Self.wakeUps).contains(figure.id)
      #expect((figure.target == nil) == isShown, "\(figure.id)")
      if let target = figure.target {
        #expect((target.atMost ?? target.atLeast ?? 0) > 0, "\(figure.id)")
      }
    }
  }

  @Test("A server that is none is named, with exit code 69")
  func wrongServer() throws {
    var bench = try ChildProcess(
      Built.path("xive"), ["bench", "--quick", "--baseline", "/bin/true"])
    #expect(bench.exitCode(within: 300_000) == 69)
  }

  @Test("An interrupt ends it and its servers")
  func interrupted() throws {
    let directory = try TemporaryDirectory()
    var bench = try ChildProcess(
      "/usr/bin/env", ["TMPDIR=\(directory.path)", Built.path("xive"), "bench"])
    var patience = 30_000
    while patience > 0, !mounts(below: directory.path) {
      MonotonicClock.sleep(nanoseconds: 10_000_000)
      patience -= 1
    }
    #expect(patience > 0, "no server was started")
    bench.signal(2)
    #expect(bench.exitCode(within: 300_000) == 130)
    #expect(!mounts(below: directory.path))
  }

  private func mounts(below directory: String) -> Bool {
    TextFile.contents(of: "/proc/self/mountinfo").contains(" \(directory)/")
  }
}

/// The report as a program reads it.
private struct Report: Decodable {
  struct Machine: Decodable { let processorCount: Int }
  struct Spread: Decodable { let p50, p99: Double }
  struct Target: Decodable { let atMost, atLeast: Double? }
  struct Figure: Decodable {
    let id: String
    let xive, baseline: Spread?
    let met: Bool?
    let target: Target?
    let skipped: String?
  }
  let schemaVersion: Int
  let machine: Machine
  let figures: [Figure]

  init(running words: [String]) throws {
    var process = try ChildProcess(Built.path("xive"), words)
    var text = ""
    while let line = process.line(within: 600_000) { text += line + "\n" }
    guard process.exitCode(within: 10_000) == 0 else { throw SupportFailure("failed: \(text)") }
    self = try JSONDecoder().decode(Report.self, from: Data(text.utf8))
  }
}
