internal import CXIVE
internal import DeviceClient
internal import SystemPackage

/// The machine as a whole: its size, its addresses, whether it runs. Groups 0x44 and 0x52 of the device's ABI,
/// `xive.h`.
///
/// Size and addresses are set-up: each is set once, before it is used, and none of it is migrated.
extension XIVEDescriptor {
  // MARK: - Size

  /// Limits source numbers, once, before a source beyond is created.
  /// - Parameter count: source numbers are below it; at most what the device was started with.
  /// - Throws: ``MachineError/sourceCount(_:limit:_:)``.
  public func setSourceCount(_ count: UInt32) throws(XIVEClientError) {
    let limit = geometry.sourceCount
    try setMachine(XIVE_MACHINE_NR_SOURCES, count) {
      .machine(.sourceCount(count, limit: limit, $0))
    }
  }

  /// Asks for the number of sources: that of ``DeviceGeometry/sourceCount`` until another one is set.
  /// - Returns: source numbers are below it.
  /// - Throws: ``XIVEClientError``.
  public func sourceCount() throws(XIVEClientError) -> UInt32 {
    try device.get(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_NR_SOURCES))
  }

  /// Asks for the number of servers: that of ``DeviceGeometry/serverCount`` until another one is set by
  /// ``setServerCount(_:)``.
  /// - Returns: server numbers are below it.
  /// - Throws: ``XIVEClientError``.
  public func serverCount() throws(XIVEClientError) -> UInt32 {
    try device.get(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_NR_SERVERS))
  }

  // MARK: - Addresses

  /// Tells where a guest sees a part of the controller, once, before the first vCPU connects.
  /// - Parameters:
  ///   - window: which part.
  ///   - address: guest-physical, a multiple of the device page.
  /// - Throws: ``MachineError/address(_:_:_:)``.
  public func setAddress(of window: AddressWindow, to address: UInt64) throws(XIVEClientError) {
    try device.set(XIVE_GROUP_ADDRESS, UInt64(window.rawValue), xive_address(address: address)) {
      .machine(.address(window, address, $0))
    }
  }

  /// Asks where a guest sees a part of the controller.
  /// - Parameter window: which part.
  /// - Returns: its guest-physical address, or nil while it is not set.
  /// - Throws: ``XIVEClientError``.
  public func address(of window: AddressWindow) throws(XIVEClientError) -> UInt64? {
    do {
      let answer: xive_address = try device.attribute(
        XIVE_GROUP_ADDRESS, UInt64(window.rawValue))
      return answer.address
    } catch {
      guard error.errno == .noSuchAddressOrDevice else { throw .device(error) }
      return nil
    }
  }

  // MARK: - Stopping

  /// Stops the machine: events stay at their sources and are delivered, once, when it runs again. When the call
  /// returns none is under way.
  /// - Throws: ``MachineError/running(_:_:)``.
  public func stopMachine() throws(XIVEClientError) { try setRunning(false) }

  /// Lets the machine run again, which delivers what has waited.
  /// - Throws: ``MachineError/running(_:_:)``.
  public func resumeMachine() throws(XIVEClientError) { try setRunning(true) }

  /// Asks whether the machine runs.
  /// - Returns: true until ``stopMachine()``.
  /// - Throws: ``XIVEClientError``.
  public func isRunning() throws(XIVEClientError) -> Bool {
    let value: UInt32 = try device.get(XIVE_GROUP_MACHINE, UInt64(XIVE_MACHINE_RUNNING))
    return value != 0
  }

  private func setRunning(_ isRunning: Bool) throws(XIVEClientError) {
    try setMachine(XIVE_MACHINE_RUNNING, isRunning ? 1 : 0) {
      .machine(.running(isRunning, $0))
    }
  }

  private func setMachine(
    _ attribute: UInt32, _ value: UInt32, _ words: (Errno) -> XIVEClientError?
  ) throws(XIVEClientError) {
    try device.set(XIVE_GROUP_MACHINE, UInt64(attribute), value, words)
  }
}
