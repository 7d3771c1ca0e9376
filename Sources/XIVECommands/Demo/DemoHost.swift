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
  private let directory: String
  private let file: DeviceFile
  private let finished: SharedEvent
  private let threads = ThreadGroup()

  init(_ device: XIVEDevice, _ observer: any RequestObserver) throws {
    StopSignals.block()
    directory = try TemporaryPlace.make()
    path = directory + "/xive"
    var options = DeviceFile.Options()
    options.name = "xive"
    options.observer = observer
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
    TemporaryPlace.remove(directory)
  }
}

private final class SharedEvent: Sendable {
  let event: Event
  init(_ event: consuming Event) { self.event = event }
}

/// A directory for one device file.
enum TemporaryPlace {
  static func make() throws -> String {
    var template = Array("/tmp/xive-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      printError("xive: /tmp: no directory can be created there: errno \(errno)")
      throw Exit.failed
    }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  static func remove(_ directory: String) {
    unsafe unlink(directory + "/xive")
    unsafe rmdir(directory)
  }
}

/// Programs to run.
enum Program {
  /// This very program.
  static var own: String {
    (try? MountTable.realPath("/proc/self/exe")) ?? CommandLine.arguments[0]
  }

  /// Finds a program in `PATH`.
  static func find(_ name: String) -> String? {
    let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { "\($0)/\(name)" }.first { unsafe access($0, X_OK) == 0 }
  }
}
