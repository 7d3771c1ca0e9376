internal import ArgumentParser
internal import SystemCalls
internal import SystemPackage
internal import XIVEHarness

/// `xive hotplug run`: runs scenarios.
struct HotplugRunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run scenarios, each on devices that it serves itself.",
    discussion: """
      Consumer processes read the signatures of pages without a pause, while devices come and go; a page that \
      is older than an operation that has been answered fails the scenario. A failure leaves its log in a file, \
      and prints its path and the command that runs it once more. What the machine lacks is skipped with the \
      reason; with XIVE_REQUIRE_ALL=1 that is a failure. xive hotplug list shows the scenarios.

      Exit status: 0 everything was as expected; 1 something was not; 64 wrong usage; 69 no /dev/fuse; 130 \
      interrupted.
      """)

  @Argument(help: ArgumentHelp("Scenarios to run, in this order.", valueName: "name"))
  var names: [String] = []
  @Flag(help: "Run all scenarios.") var all = false
  @OptionGroup var options: HotplugOptions
  @Flag(help: "Print a JSON object instead of text.") var json = false
  @Option(help: ArgumentHelp("Write a JUnit report as well.", valueName: "file"))
  var junit: String?

  func validate() throws {
    guard all != !names.isEmpty else {
      throw ValidationError(
        all ? "name scenarios or say --all, not both" : "name a scenario, or say --all")
    }
    for name in names where Scenario.named(name) == nil {
      let near = Scenario.names(near: name)
      let hint =
        near.isEmpty
        ? "xive hotplug list shows them" : "did you mean \(near.joined(separator: " or "))?"
      throw ValidationError("there is no scenario '\(name)': \(hint)")
    }
  }

  func run() throws {
    StopSignals.block()
    if let missing = Need.fuse.whatIsMissing {
      printError("xive: \(missing)")
      throw Exit.unavailable
    }
    let scenarios = all ? Scenario.all : names.compactMap(Scenario.named)
    let console = HotplugConsole(isQuiet: json)
    let report = Runner(scenarios, options.harnessOptions, console).run()
    console.finish(report)
    if json { try printJSON(report) }
    if let junit { try write(report, to: junit) }
    if report.isInterrupted { throw ExitCode(130) }
    if report.failed > 0 { throw Exit.failed }
  }

  private func write(_ report: RunReport, to path: String) throws {
    do { try TextFile.write(report.junit, to: path) } catch {
      printError("xive: \(path): the report cannot be written: \(error)")
      throw Exit.failed
    }
  }
}
