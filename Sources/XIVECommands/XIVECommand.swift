public import ArgumentParser

/// The `xive` command.
public struct XIVECommand: ParsableCommand {
  /// Name, help and subcommands.
  public static let configuration = CommandConfiguration(
    commandName: "xive",
    abstract: "POWER9's XIVE interrupt controller as a device file that any program can map.",
    discussion: """
      Results go to standard output, everything else to standard error.

      Exit status: 0 done; 1 failed; 64 wrong usage; 69 no /dev/fuse, no permission, or no server.
      """,
    version: "0.1.0",
    subcommands: [
      ServeCommand.self, MapCommand.self, PeekCommand.self, PokeCommand.self,
      SaveCommand.self, RestoreCommand.self, ResumeCommand.self, DemoCommand.self,
      HotplugCommand.self, TraceCommand.self,
      BenchCommand.self, ConsumerCommand.self, VMMCommand.self, GuestCommand.self,
    ])

  /// Creates the command.
  public init() {}
}
