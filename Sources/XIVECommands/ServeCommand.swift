internal import ArgumentParser
internal import DeviceFile
internal import Logging
internal import SystemCalls

/// `xive serve`: serves a device file until it is told to stop.
struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve a device file until SIGINT or SIGTERM.",
    discussion: """
      PATH becomes the device: a regular file, created when missing, that is mounted over while the server \
      runs. Prints 'ready PATH' once it can be used, and tells systemd so. SIGINT and SIGTERM deliver what \
      has been stored to mappings, unmount, and exit 0. The mount of a server that was killed is cleaned up.
      """)

  @Argument(help: "The device file.") var path: String
  @OptionGroup var options: ServeOptions
  @Option(
    help: ArgumentHelp(
      "How much is logged: trace, debug (what guests do wrong, too), info, notice, warning, error, "
        + "critical.", valueName: "level"),
    transform: { text in
      guard let level = Logger.Level(rawValue: text) else {
        throw ValidationError("--log-level '\(text)': write one of those that --help lists")
      }
      return level
    })
  var logLevel = Logger.Level.notice
  @Flag(help: "Stop when the process that started the server ends, as tests want it.")
  var exitWithParent = false

  func run() throws {
    StopSignals.block()
    var logger = Logger(label: "xive")
    logger.logLevel = logLevel
    try reporting {
      // First of all: the child is a fork, and the device's tables are large.
      var fileOptions = options.fileOptions
      fileOptions.watchdog = try Watchdog()
      // Each irqfd takes one or two; with the limit that there is, consumers get ENOMEM sooner.
      try? DescriptorLimit.raise()
      if exitWithParent { try StopSignals.raiseWhenParentEnds() }
      let device = try options.makeDevice(
        onGuestError: GuestErrorLog.function(logger),
        onRefusal: RefusalLog(logger).tell)
      let file = try DeviceFile(serving: device, at: path, options: fileOptions, logger: logger)
      print("ready \(path)")
      flushOutput()
      ServiceManager.notify("READY=1")
      if file.waitForStop() == nil {
        logger.notice("unmounted from outside", metadata: ["path": "\(file.path)"])
      }
      ServiceManager.notify("STOPPING=1")
      file.stop()
    }
  }
}
