internal import PagedDevice

/// Whoever serves the device, for all that has to wake it.
final class HostLink: Sendable {
  // nonisolated(unsafe): written by `attach` alone, before the device is served.
  private nonisolated(unsafe) var host: (any DeviceHost)?

  func attach(to host: any DeviceHost) { unsafe self.host = host }

  func wake() { unsafe host?.updatesAreReady() }
}
