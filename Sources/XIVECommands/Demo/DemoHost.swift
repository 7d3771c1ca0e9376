internal import DeviceFile
internal import Glibc
internal import Logging
internal import SystemCalls
internal import XIVEDevice

/// A device served by this process, in a temporary place.
///
/// This process never maps its own file, and touches it only from threads that serve no requests.
final class DemoHost {
  let path: String
  private let place: TemporaryPlace
  private let file: DeviceFile
  private let finished: SharedEvent
  private let threads = ThreadGroup()

  init(_ device: XIVEDevice) throws {
    StopSignals.block()
    place = try TemporaryPlace("xive")
    let directory = place.path
    path = directory + "/xive"
    var options = DeviceFile.Options()
    options.name = "xive"
    options.watchdog = try Watchdog()
    file = try DeviceFile(
      serving: device, at: path, options: options, logger: Logger(label: "xive"))
    finished = SharedEvent(try Event())
    try threads.start("signals") { [finished, path, directory] in
      // Interrupted: the mount must not outlive us.
      guard let signal = StopSignals.wait(or: finished.event) else { return }
      try? MountTable.unmountLazily(path)
      TemporaryPlace.remove(directory)
      exit(128 + signal)
    }
  }

  func stop() {
    finished.event.raise()
    threads.join()
    file.stop()
  }
}

private final class SharedEvent: Sendable {
  let event: Event
  init(_ event: consuming Event) { self.event = event }
}
