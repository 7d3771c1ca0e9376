internal import ArgumentParser
internal import XIVEClient

/// `xive resume`: lets a machine run that was left stopped.
struct ResumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume",
    abstract: "Let a machine run that save or restore has left stopped.",
    discussion: """
      What has left its sources meanwhile is delivered, once. A machine that runs goes on.
      """)

  @Argument(help: "The device file.") var path: String

  func run() throws {
    try reporting {
      let device = try XIVEDescriptor(path)
      let ran = try device.isRunning()
      try device.resumeMachine()
      print(ran ? "\(path): runs already" : "\(path): runs")
    }
  }
}
