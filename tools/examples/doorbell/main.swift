// Serves a doorbell and a counter until SIGINT or SIGTERM:
//
//     doorbell PATH [MILLISECONDS]
//
// It looks for stores to mappings every so many milliseconds (1); with 0 only msync delivers them.
internal import DeviceFile
internal import Glibc
internal import Logging
internal import SystemCalls

let words = CommandLine.arguments
guard (2...3).contains(words.count), let tick = words.count == 3 ? Int(words[2]) : 1 else {
  print("usage: doorbell PATH [MILLISECONDS]")
  exit(64)
}
let path = words[1]

// Before the first thread starts: all of them leave the signals to this one.
StopSignals.block()
var options = DeviceFile.Options()
options.name = "doorbell"
options.tickMilliseconds = tick
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
