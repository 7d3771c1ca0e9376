internal import ArgumentParser
internal import SystemCalls
internal import XIVEClient

/// `xive restore`: a machine's state from a file.
struct RestoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Give a device's machine the state that is in a file.",
    discussion: """
      File and device are checked before anything is changed. The device must have been started with the same options, \
      and have the guest's memory where the queues are, and the same PHBs mapped. The machine is stopped meanwhile, and \
      runs again if it did; the guest's vCPUs must not run until then.
      """)

  @Argument(help: "The device file.") var path: String
  @Argument(help: "What xive save has written.") var file: String
  @Flag(help: "Leave the machine stopped.") var keepStopped = false
  @Flag(help: "Only check whether it could be done.") var dryRun = false
  @Flag(help: "Print a JSON object.") var json = false

  func run() throws {
    // Ended in the middle it would leave half a machine.
    StopSignals.block()
    try reporting {
      let state = try MachineState(contentsOf: file)
      let device = try XIVEDescriptor(path, isWritable: !dryRun)
      if dryRun {
        try state.check(against: device)
      } else {
        try state.apply(to: device, leavingStopped: keepStopped)
      }
      let report = StateReport(
        state, device: path, file: file, byteCount: state.fileByteCount,
        isRunning: try device.isRunning())
      if json { try printJSON(report) } else { print(report.restored(isDryRun: dryRun)) }
    }
  }
}
