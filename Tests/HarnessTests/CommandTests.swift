import ArgumentParser
import SystemCalls
import Testing
import XIVEHarness
import XIVETestSupport

@testable import XIVECommands

@Suite("hotplug run's words")
struct HotplugCommandTests {
  private func parse(_ words: String...) throws -> HotplugRunCommand {
    try #require(try XIVECommand.parseAsRoot(["hotplug", "run"] + words) as? HotplugRunCommand)
  }

  private func refusal(_ words: [String]) -> String {
    do {
      _ = try XIVECommand.parseAsRoot(["hotplug", "run"] + words)
      return ""
    } catch {
      #expect(XIVECommand.exitCode(for: error).rawValue == 64)
      return XIVECommand.message(for: error)
    }
  }

  @Test("Every option reaches the harness")
  func options() throws {
    let command = try parse(
      "recycle", "fork", "--seed", "7", "--repeat", "3", "--cycles", "9", "--consumers", "4",
      "--threads", "5", "--access", "both", "--duration", "2m", "--sabotage", "zap-first",
      "--trace",
      "d", "--json",
      "--junit", "x.xml")
    var expected = HarnessOptions(seed: 7)
    expected.repetitions = 3
    expected.cycles = 9
    expected.consumers = 4
    expected.threads = 5
    expected.seconds = 120
    expected.access = .both
    expected.sabotage = .zapFirst
    expected.traceDirectory = "d"
    #expect(command.options.harnessOptions == expected)
    #expect(command.names == ["recycle", "fork"])
    #expect(command.json)
    #expect(command.junit == "x.xml")
  }

  @Test("Without a seed each run draws another")
  func seeds() throws {
    let command = try parse("fork")
    let seeds = Set((0..<8).map { _ in command.options.harnessOptions.seed })
    #expect(seeds.count > 1)
  }

  @Test(
    "What cannot be meant is refused in one line that says why",
    arguments: [
      ([], "name a scenario, or say --all"),
      (["--all", "fork"], "name scenarios or say --all, not both"),
      (["plug-unplugg"], "there is no scenario 'plug-unplugg': did you mean plug-unplug?"),
      (["nothing-like-it"], "there is no scenario 'nothing-like-it': xive hotplug list shows them"),
      (["fork", "--access", "plain"], "--access 'plain': write mapped or trapped or both"),
      (["fork", "--repeat", "0"], "--repeat: 0 is out of range: 1 to 1000000"),
      (["fork", "--consumers", "17"], "--consumers: 17 is out of range: 1 to 16"),
      (["fork", "--threads", "0"], "--threads: 0 is out of range: 1 to 8"),
      (["fork", "--cycles", "0"], "--cycles: 0 is out of range: 1 to 1000000000"),
      (["fork", "--duration", "3d"], "'3d' is invalid for '--duration"),
      (["fork", "--duration", "s"], "'s' is invalid for '--duration"),
      (["fork", "--duration", "0"], "'0' is invalid for '--duration"),
      (["fork", "--sabotage", "all"], "write zap-first or skip-alias"),
      (["fork", "--seed", "-1"], "'--seed"),
    ])
  func refusals(_ words: [String], _ why: String) {
    #expect(refusal(words).contains(why), "\(words)")
  }

  @Test(
    "A time is seconds, or what its letter says",
    arguments: [("30", 30), ("30s", 30), ("5m", 300), ("1h", 3_600)])
  func durations(_ text: String, _ seconds: Int) {
    #expect(HotplugDuration(argument: text)?.seconds == seconds)
  }
}

@Suite("Scenarios")
struct ScenarioNamesTests {
  @Test("Each has a name of its own, and a line about it")
  func names() {
    let names = Scenario.all.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(names.count >= 16)
    for scenario in Scenario.all {
      #expect(Scenario.named(scenario.name)?.summary == scenario.summary)
      #expect(scenario.summary.hasSuffix("."))
      #expect(scenario.name.allSatisfy { $0.isLowercase || $0 == "-" })
    }
  }

  @Test("The documentation's table has them all, in the same order")
  func documentation() {
    let article = Built.sourceRoot + "/Sources/XIVEHarness/XIVEHarness.docc/XIVEHarness.md"
    let rows = TextFile.contents(of: article).split(separator: "\n").filter { $0.hasPrefix("| `") }
    let names = rows.compactMap { $0.split(separator: "`").dropFirst().first.map(String.init) }
    #expect(names == Scenario.all.map(\.name))
  }

  @Test(
    "The names that are meant are found",
    arguments: [
      ("plugunplug", "plug-unplug"), ("Fork", "fork"), ("many", "many-devices"),
      ("server-kill", "server-killed"), ("kvm", "kvm-guest"),
    ])
  func near(_ wrong: String, _ meant: String) {
    #expect(Scenario.names(near: wrong).first == meant)
  }

  @Test("Nothing is offered for a word that is like none of them")
  func far() { #expect(Scenario.names(near: "interrupts").isEmpty) }
}
