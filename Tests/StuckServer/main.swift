internal import DeviceFile
internal import Glibc
internal import Logging
internal import PagedDevice
internal import SystemCalls

/// A device whose second page is never filled, while its server tries to change that very page: the moment at
/// which killing a server would leave its consumers hanging. `StuckServer PATH [no-watchdog] [stuck-main]`.
private final class StuckDevice: PagedDevice {
  private let page = PageBody(repeating: 0)
  // nonisolated(unsafe): set by `attach` alone, before the device is served.
  private nonisolated(unsafe) var host: (any DeviceHost)?

  func attach(to host: any DeviceHost) { unsafe self.host = host }

  func image(at offset: UInt64) throws(PageFault) -> PageImage {
    if offset == 4_096 {
      unsafe host?.updatesAreReady()
      while true { MonotonicClock.sleep(nanoseconds: 1_000_000_000) }
    }
    return PageImage(body: page)
  }

  func takeUpdates(_ deliver: (PageUpdate) -> Void) {
    MonotonicClock.sleep(nanoseconds: 50_000_000)
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: page.bytes[..<8])
    deliver(unsafe PageUpdate(offset: 4_096, unsafeBytes: bytes))
  }

  func writeBack(_ image: RawSpan, at offset: UInt64) {}
}

private func serve(_ path: String, isWatched: Bool) throws {
  StopSignals.block()
  var options = DeviceFile.Options()
  if isWatched { options.watchdog = try Watchdog() }
  let file = try DeviceFile(
    serving: StuckDevice(), at: path, options: options, logger: Logger(label: "stuck"))
  print("ready \(path)")
  fflush(nil)
  if CommandLine.arguments.contains("stuck-main") {
    // A fill that nobody answers: the very thread that all others were started by waits in the kernel.
    let own = try OwnedDescriptor(opening: path, [])
    var bytes = [UInt8](repeating: 0, count: 8)
    _ = try unsafe bytes.withUnsafeMutableBytes { try unsafe own.read(into: $0, at: 4_096) }
  }
  _ = file.waitForStop()
}

try serve(CommandLine.arguments[1], isWatched: !CommandLine.arguments.contains("no-watchdog"))
