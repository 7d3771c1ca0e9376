internal import DeviceClient
internal import SystemCalls
internal import SystemPackage
public import XIVEModel

/// An eventfd that the device waits for and turns into interrupts, as `KVM_IRQFD` has it.
///
/// Assigned until it goes, or until ``deassign()``: nothing comes of its eventfd after that. It holds descriptors of
/// its own, of the device as well: the device, and a vCPU's connection that it was made through, stay as long as it
/// does. Thread rule: safe from several threads at once.
public struct IRQFD: ~Copyable, Sendable {
  /// The source.
  public let lisn: LISN
  private let events: Events
  private var isAssigned = true

  /// Assigns an eventfd, a resample eventfd, or both.
  init(
    _ device: borrowing XIVEDescriptor, _ lisn: LISN, event: CInt?, resample: CInt?
  ) throws(XIVEClientError) {
    try device.requireSource(lisn)
    let events: Events
    do throws(Errno) {
      events = Events(
        device: try DeviceDescriptor(duplicating: device.device),
        event: try Self.duplicate(event), resample: try Self.duplicate(resample))
    } catch { throw .injection(.irqfd(lisn, error)) }
    do { try events.control(lisn, isAssigned: true) } catch {
      throw device.irqfdRefusal(lisn, event: event, resample: resample, error)
    }
    self.lisn = lisn
    self.events = events
  }

  deinit { if isAssigned { try? events.control(lisn, isAssigned: false) } }

  /// Takes the eventfd from the device, and says so when that fails, which the end of the value does not.
  ///
  /// When it returns, nothing more comes of the eventfd.
  /// - Throws: ``XIVEClientError/device(_:)``, such as `ENOTCONN` when the server has gone.
  public consuming func deassign() throws(XIVEClientError) {
    var handle = self
    handle.isAssigned = false
    try wrap { () throws(DeviceClientError) in
      try handle.events.control(handle.lisn, isAssigned: false)
    }
  }

  private static func duplicate(_ descriptor: CInt?) throws(Errno) -> Eventfd? {
    guard let descriptor else { return nil }
    return try Eventfd(duplicating: descriptor)
  }
}

/// The descriptors behind an irqfd, which can be absent.
private struct Events: ~Copyable, Sendable {
  let device: DeviceDescriptor
  let event: Eventfd?
  let resample: Eventfd?

  func control(_ lisn: LISN, isAssigned: Bool) throws(DeviceClientError) {
    let flags = (isAssigned ? 0 : Self.deassigns) | (resample == nil ? 0 : Self.resamples)
    let words = [event.number, lisn.rawValue, flags, resample.number]
    var payload = KVMRequest.bytes(words, byteCount: 32)
    try device.control(KVMRequest.irqfd, &payload)
  }

  /// `KVM_IRQFD_FLAG_DEASSIGN`.
  private static let deassigns: UInt32 = 1
  /// `KVM_IRQFD_FLAG_RESAMPLE`.
  private static let resamples: UInt32 = 2
}

/// An eventfd that somebody else owns, by a descriptor of its own.
private final class Eventfd: Sendable {
  let file: OwnedDescriptor
  init(duplicating descriptor: CInt) throws(Errno) {
    file = try OwnedDescriptor(duplicating: descriptor)
  }
}

extension Eventfd? {
  /// Its descriptor in a request, -1 for none.
  fileprivate var number: UInt32 { UInt32(bitPattern: self?.file.rawValue ?? -1) }
}
