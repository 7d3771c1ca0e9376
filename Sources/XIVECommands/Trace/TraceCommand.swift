internal import ArgumentParser

/// `xive trace`: who touched which page, what it got, why it faulted again, and what it cost.
struct TraceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace",
    abstract: "Show who touches which page, what they get, and why a page faults again.",
    discussion: """
      xive trace PATH shows what the device keeps, as xive trace live does. While nobody reads, and the server was not \
      started with --trace, nothing is kept, and nothing is paid.
      """,
    subcommands: [
      TraceLiveCommand.self, TopCommand.self, TraceSummaryCommand.self, TraceConvertCommand.self,
      TraceReportCommand.self, DecodeCommand.self, ReplayCommand.self,
    ],
    defaultSubcommand: TraceLiveCommand.self)
}
