// Serves a doorbell and a counter until SIGINT or SIGTERM:
//
//     doorbell PATH
internal import DeviceFile
internal import Glibc
internal import Logging
internal import SystemCalls

guard CommandLine.arguments.count == 2 else {
  print("usage: doorbell PATH")
  exit(64)
}
let path = CommandLine.arguments[1]

// Before the first thread starts: all of them leave the signals to this one.
StopSignals.block()
var options = DeviceFile.Options()
options.name = "doorbell"
do {
  let file = try DeviceFile(
    serving: Doorbell(), at: path, options: options, logger: Logger(label: "doorbell"))
  print("ready \(path)")
  fflush(nil)
  _ = file.waitForStop()
  file.stop()
} catch {
  print("doorbell: \(error)")
  exit(69)
}
