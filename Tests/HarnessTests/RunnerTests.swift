import FoundationEssentials
import Glibc
import Synchronization
import SystemCalls
import Testing
import XIVETestSupport

@testable import XIVEHarness

@Suite("Running scenarios", .hangGuard)
struct RunnerTests {
  /// What an observer heard.
  private final class Heard: RunObserver {
    let lines = Mutex<[String]>([])
    func began(_ scenario: Scenario, number: Int, of count: Int, seed: UInt64) {
      lines.withLock { $0.append("began \(number) of \(count), seed \(seed)") }
    }
    func made(_ step: Step) { lines.withLock { $0.append("\(step.isMet) \(step.text)") } }
    func progressed(_ progress: Progress) {}
    func ended(_ result: ScenarioResult) { lines.withLock { $0.append("\(result.outcome)") } }
    func gaveUp(after last: String) { lines.withLock { $0.append("gave up") } }
  }

  private func run(
    _ options: HarnessOptions = HarnessOptions(seed: 40),
    _ perform: @escaping @Sendable (Stage) throws -> Void
  ) -> (RunReport, [String]) {
    let heard = Heard()
    let scenario = Scenario("made-up", "A test's.", cycles: 3, perform: perform)
    let report = Runner([scenario], options, heard).run()
    return (report, heard.lines.withLock { $0 })
  }

  @Test("Each repetition has the next seed; steps are numbered; cycles are as many as usual")
  func passes() throws {
    var options = HarnessOptions(seed: 40)
    options.repetitions = 2
    let (report, heard) = run(options) { stage in
      try stage.step("add", expected: "4") { "\(2 + 2)" }
      try stage.cycles("count", expected: "each") { index in try stage.expect("index", index, index)
      }
    }
    #expect(report.results.map(\.seed) == [40, 41])
    #expect(report.passed == 2)
    #expect(report.results.map(\.cycles) == [3, 3])
    #expect(report.results.map(\.checks) == [3, 3])
    #expect(
      heard.prefix(4) == [
        "began 1 of 2, seed 40", "true 1. add: expected 4; saw 4",
        "true 2. count: expected each; saw 3 cycles, 3 checks, nothing stale", "passed",
      ])
  }

  @Test("A failure ends the scenario; it leaves its log and the command that repeats it")
  func fails() throws {
    var options = HarnessOptions(seed: 40)
    options.cycles = 5
    let (report, heard) = run(options) { stage in
      try stage.step("look", expected: "2") {
        stage.note("looking")
        try stage.expect("the sum", 2, 1 + 2)
        return "2"
      }
      Issue.record("a step after a failure")
    }
    let result = try #require(report.results.first)
    #expect(result.outcome == .failed)
    #expect(result.reason == "the sum: expected 2, saw 3")
    #expect(result.repeatCommand == "xive hotplug run made-up --seed 40 --cycles 5")
    let log = try #require(result.log)
    let text = TextFile.contents(of: log)
    unsafe unlink(log)
    #expect(text.contains("] looking\n"))
    #expect(text.contains("NOT as expected: 1. look: expected 2; saw the sum: expected 2, saw 3\n"))
    #expect(heard.last == "failed")
    #expect(!heard.contains { $0.hasPrefix("true") })
  }

  @Test("A scenario in which nothing goes on is a hang; it is told to end")
  func hangs() throws {
    var options = HarnessOptions(seed: 40)
    options.patience = 1
    let (report, _) = run(options) { stage in
      try stage.step("wait for nobody", expected: "an end") {
        while stage.control.ending == nil { MonotonicClock.sleep(nanoseconds: 1_000_000) }
        throw HarnessFailure.silent("somebody")
      }
    }
    let result = try #require(report.results.first)
    #expect(result.reason == "hang: nothing for 1 s after: \(result.lastLine)")
    #expect(result.lastLine.hasSuffix("step 1: wait for nobody"))
    if let log = result.log { unsafe unlink(log) }
  }

  @Test("A place for its files is made for each scenario, and removed")
  func places() throws {
    let place = Mutex<String>("")
    let held = Shared(place)
    _ = run { stage in
      held.value.withLock { $0 = stage.place.path }
      try stage.expect("the place", true, unsafe access(stage.place.path, W_OK) == 0)
      try TextFile.write("x", to: stage.place.path + "/file")
    }
    let path = held.value.withLock { $0 }
    let isThere = unsafe access(path, F_OK) == 0
    #expect(!path.isEmpty && !isThere)
  }

  private final class Shared: Sendable {
    let value: Mutex<String>
    init(_ value: consuming Mutex<String>) { self.value = value }
  }
}

extension ScenarioResult {
  /// The log's line that a hang names.
  fileprivate var lastLine: String {
    (reason ?? "").split(separator: ":", maxSplits: 2).last.map { String($0.dropFirst()) } ?? ""
  }
}

@Suite("Reports")
struct ReportTests {
  private var report: RunReport {
    var report = RunReport(seed: 9)
    let scenario = Scenario("a-b", "One.", cycles: 1) { _ in }
    var passed = ScenarioResult(scenario, seed: 9, .passed)
    passed.seconds = 1.25
    passed.steps = [Step(number: 1, title: "x < y", expected: "&", seen: "\"z\"\u{1}", isMet: true)]
    var failed = ScenarioResult(scenario, seed: 10, .failed, reason: "a <b> & \"c\"\nd")
    failed.log = "/tmp/log"
    failed.trace = "/tmp/trace"
    failed.lastRecords = ["0.1 watch/7 fill <x>"]
    failed.repeatCommand = "xive hotplug run a-b --seed 10"
    let skipped = ScenarioResult(scenario, seed: 11, .skipped, reason: "no 'kvm'")
    report.results = [passed, failed, skipped]
    return report
  }

  @Test("JSON has the counts beside the results")
  func json() throws {
    let text = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
    for part in [
      #""schemaVersion":1"#, #""passed":1"#, #""failed":1"#, #""skipped":1"#, #""seed":9"#,
      #""isInterrupted":false"#, #""outcome":"failed""#, #""scenario":"a-b""#,
    ] {
      #expect(text.contains(part), "\(part) in \(text)")
    }
  }

  @Test("JUnit's form is well-formed whatever steps and reasons say")
  func junit() throws {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/report.xml"
    try TextFile.write(report.junit, to: file)
    let script = """
      import sys, xml.etree.ElementTree as tree
      suite = tree.parse(sys.argv[1]).getroot()
      print(suite.get("tests"), suite.get("failures"), suite.get("skipped"), suite.get("time"))
      for case in suite.findall("testcase"):
          print(case.get("name"), case.get("time"), [c.tag for c in case])
      print(repr(suite.find("testcase/failure").get("message")))
      print([out.text for out in suite.iter("system-out")], suite.find("testcase/failure").text)
      """
    let result = try CommandResult(["python3", "-c", script, file])
    #expect(result.errors == [])
    #expect(
      result.output == [
        "3 1 1 1.250", "a-b 1.250 ['system-out']", "a-b 0.000 ['failure', 'system-out']",
        "a-b 0.000 ['skipped']",
        #"'a <b> & "c"\nd'"#,
        #"['seed 9\n1. x < y: expected &; saw "z"?', 'seed 10\n0.1 watch/7 fill <x>'] "#
          + "xive hotplug run a-b --seed 10", "log: /tmp/log", "trace: /tmp/trace",
      ])
  }

  @Test("The log keeps its last lines, in order, and says how many it dropped")
  func log() {
    let log = RunLog()
    for number in 0..<4_010 { log.add("line \(number)") }
    let lines = log.text.split(separator: "\n")
    #expect(lines.count == 4_001)
    #expect(lines.first == "(10 lines before these were dropped)")
    #expect(lines[1].hasSuffix(" line 10"))
    #expect(lines.last?.hasSuffix(" line 4009") == true)
    #expect(log.last.hasSuffix(" line 4009"))
  }

  @Test("What is left is told by the number of cycles or by the time, whichever ends first")
  func progress() {
    var progress = Progress()
    #expect(progress.remainingSeconds == nil)
    progress.cycles = 100
    progress.nanoseconds = 2_000_000_000
    progress.allCycles = 300
    progress.reads = 5_000
    #expect(progress.cycleRate == 50)
    #expect(progress.readRate == 2_500)
    #expect(progress.remainingSeconds == 4)
    progress.allNanoseconds = 3_000_000_000
    #expect(progress.remainingSeconds == 1)
  }
}
