internal import ArgumentParser
internal import XIVEHarness

/// `xive hotplug`: the scenarios.
struct HotplugCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hotplug",
    abstract: "Plug and unplug devices under consumers, and prove that none sees a stale page.",
    subcommands: [
      HotplugListCommand.self, HotplugRunCommand.self, HotplugConsumeCommand.self,
      HotplugOvermapCommand.self,
    ])
}

/// `xive hotplug list`: what there is to run.
struct HotplugListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the scenarios.")

  @Flag(help: "Print a JSON object.") var json = false

  func run() throws {
    if json { return try printJSON(HotplugList()) }
    let rows = Scenario.all.map { [$0.name, $0.summary] }
    print(table(rows))
    for scenario in Scenario.all {
      if let missing = scenario.needs.lazy.compactMap(\.whatIsMissing).first {
        printError("\(scenario.name) would be skipped: \(missing)")
      }
    }
  }
}

/// What `--json` prints.
private struct HotplugList: Encodable {
  struct Entry: Encodable {
    let name: String
    let summary: String
    let needs: [String]
    let missing: String?
  }
  let schemaVersion = 1
  let scenarios = Scenario.all.map { scenario in
    Entry(
      name: scenario.name, summary: scenario.summary, needs: scenario.needs.map(\.rawValue),
      missing: scenario.needs.lazy.compactMap(\.whatIsMissing).first)
  }
}
