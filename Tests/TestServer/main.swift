// Serves mailboxes until SIGINT or SIGTERM: TestServer PATH
internal import DeviceFile
internal import Glibc
internal import Logging
internal import SystemCalls

StopSignals.block()
try DescriptorLimit.raise()
var options = DeviceFile.Options()
options.name = "mailboxes"
let file = try DeviceFile(
  serving: Mailboxes(), at: CommandLine.arguments[1], options: options,
  logger: Logger(label: "mailboxes"))
print("ready \(file.path)")
fflush(nil)
_ = file.waitForStop()
file.stop()
