internal import ArgumentParser
internal import SystemCalls
internal import XIVEClient

/// `xive save`: a machine's state to a file.
struct SaveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "save",
    abstract: "Save the state of a device's machine to a file.",
    discussion: """
      The machine is stopped while it is read: events stay at their sources, and go on when it runs again. The guest's \
      vCPUs must not run meanwhile, which is their VMM's to see to. The file has sources, event queues' positions and \
      vCPUs; guest memory, where the queues are, moves by itself. It is written beside FILE first: FILE is replaced \
      by all of it or stays as it was.
      """)

  @Argument(help: "The device file.") var path: String
  @Argument(help: "Where the state goes; a file that is there is replaced.") var file: String
  @Flag(help: "Leave the machine stopped, to be moved elsewhere.") var stop = false
  @Flag(help: "Print a JSON object.") var json = false

  func run() throws {
    // Ended in the middle it would leave the machine stopped.
    StopSignals.block()
    try reporting {
      let device = try XIVEDescriptor(path)
      // A place that cannot be written is found while the machine runs.
      let file = try StateFile(self.file)
      let ran = try device.isRunning()
      let progress = StateProgress()
      let state = try MachineState.read(from: device, leavingStopped: stop, progress: progress.show)
      progress.clear()
      let byteCount: Int
      do { byteCount = try file.write(state) } catch {
        if stop, ran { try? device.resumeMachine() }
        throw error
      }
      let report = StateReport(
        state, device: path, file: self.file, byteCount: byteCount,
        isRunning: try device.isRunning())
      if json { try printJSON(report) } else { print(report.saved) }
    }
  }
}
