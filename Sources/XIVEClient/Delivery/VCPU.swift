internal import DeviceClient
public import XIVEModel

/// A vCPU: a descriptor of the device file that is connected to a server number, and what a guest's operating
/// system does with it.
///
/// Connected until it goes; its server number is free again a moment later, when the device has heard of it.
/// Queues and what is pending stay. One thread
/// drives it, as on hardware, and others may look at it. Its stores and loads are exact: done when they return.
public struct VCPU: ~Copyable, Sendable {
  /// The device, through the connected descriptor: for IPIs and whatever else the vCPU does.
  public let device: XIVEDescriptor
  /// Its server number.
  public let server: Server

  /// Opens the device once more and connects the descriptor to a server, whose OS context is pushed.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_connect_vcpu`. Differs: there
  /// the context is pushed when the guest is entered.
  /// - Parameters:
  ///   - path: where the device is served.
  ///   - server: a number that no other descriptor is connected to.
  /// - Throws: ``DeliveryError/noSuchServer(_:count:)``, ``DeliveryError/serverTaken(_:)``, and as
  ///   ``XIVEDescriptor/init(_:isWritable:)``.
  public init(_ path: String, server: Server) throws(XIVEClientError) {
    let device = try XIVEDescriptor(path)
    try device.connect(server)
    self.device = device
    self.server = server
  }

  /// The descriptor's number, for a caller that waits by its own `epoll`; valid for as long as this value lives.
  public var rawValue: CInt { device.device.rawValue }

  /// Waits until an interrupt can be acknowledged.
  /// - Parameter milliseconds: the longest wait; forever when negative.
  /// - Returns: whether one can; true also when the server has gone, as the next call will say; false after a
  ///   signal.
  public func wait(milliseconds: CInt = -1) -> Bool {
    device.device.wait(milliseconds: milliseconds)
  }

  // MARK: - TIMA

  /// Acknowledges the most favored pending interrupt: the vCPU takes its priority. A load with an effect.
  /// - Returns: whether there was one, and the priorities.
  /// - Throws: ``XIVEClientError``.
  public func acknowledge() throws(XIVEClientError) -> Acknowledgement {
    Acknowledgement(register: try device.load(at: offset + 0x810, byteCount: 2))
  }

  /// Reads the vCPU's own priority.
  /// - Returns: 0 to 7, or 0xff.
  /// - Throws: ``XIVEClientError``.
  public func cppr() throws(XIVEClientError) -> UInt8 {
    UInt8(truncatingIfNeeded: try device.load(at: offset + 0x11, byteCount: 1))
  }

  /// Sets the vCPU's own priority; what it lets through interrupts at once.
  /// - Parameter priority: only more favored interrupts, of lower numbers, are let through; above 7 it is 0xff,
  ///   everything.
  /// - Throws: ``XIVEClientError``.
  public func setCPPR(_ priority: UInt8) throws(XIVEClientError) {
    try device.store(UInt64(priority), at: offset + 0x11, byteCount: 1)
  }

  /// Reads the OS ring without an effect.
  /// - Returns: the ring's first 8 bytes; its AGE is not readable.
  /// - Throws: ``XIVEClientError``.
  public func ring() throws(XIVEClientError) -> RingState {
    RingState(w01: try device.load(at: offset + 0x10))
  }

  /// Makes a priority pending as if its queue had got an event.
  /// - Parameter priority: which.
  /// - Throws: ``XIVEClientError``.
  public func setPending(_ priority: Priority) throws(XIVEClientError) {
    try device.store(UInt64(priority.rawValue), at: offset + 0x812, byteCount: 1)
  }

  private var offset: UInt64 { device.map.offset(of: .connectedTIMA(.os)) }

  // MARK: - End of interrupt

  /// Ends the interrupt of a source that sends messages: SET_PQ_00, and a trigger when an event came meanwhile.
  ///
  /// Source: Linux `arch/powerpc/sysdev/xive/common.c`, `xive_do_source_eoi`.
  /// - Parameter lisn: the source.
  /// - Returns: whether it was triggered again.
  /// - Throws: ``XIVEClientError``.
  @discardableResult
  public func endOfInterrupt(_ lisn: LISN) throws(XIVEClientError) -> Bool {
    // No state, all ones: the source's PHB is fenced or gone.
    guard let old = try device.setPQ(of: lisn, to: .reset), old.rawValue & 1 != 0 else {
      return false
    }
    try device.trigger(lisn)
    return true
  }

  /// Ends the interrupt of an LSI by a load, which has it come again while its line is held.
  ///
  /// Source: as ``endOfInterrupt(_:)``.
  /// - Parameter lisn: the source.
  /// - Returns: whether a queued event was forwarded.
  /// - Throws: ``XIVEClientError``.
  @discardableResult
  public func endOfLevelInterrupt(_ lisn: LISN) throws(XIVEClientError) -> Bool {
    try device.endOfInterrupt(lisn)
  }
}
