internal import XIVEModel

/// A machine's state from a device.
extension MachineState {
  /// Reads a machine's state. It is stopped meanwhile, and runs again afterwards if it did.
  ///
  /// The guest's vCPUs must not run until then: the device cannot stop them. Sources are read at memory speed; each
  /// vCPU and each event notification descriptor takes a request.
  /// - Parameters:
  ///   - device: writable, unless the machine is stopped.
  ///   - leavingStopped: whether the machine stays stopped, to be moved.
  ///   - progress: told now and then how many vCPUs and descriptors have been read, and of how many.
  /// - Returns: the state.
  /// - Throws: ``MachineStateError/ran`` when somebody else let the machine run, and what the requests are refused
  ///   with; it runs again if it did.
  public static func read(
    from device: borrowing XIVEDescriptor, leavingStopped: Bool = false,
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws(XIVEClientError) -> MachineState {
    let ran = try device.isRunning()
    if ran { try device.stopMachine() }
    let state: MachineState
    do throws(XIVEClientError) {
      state = try MachineState(stopped: device, progress)
      guard try !device.isRunning() else { throw .state(.ran) }
    } catch {
      if ran { try? device.resumeMachine() }
      throw error
    }
    if ran, !leavingStopped { try device.resumeMachine() }
    return state
  }

  /// Reads the state of a machine that is stopped.
  private init(stopped device: borrowing XIVEDescriptor, _ progress: (Int, Int) -> Void)
    throws(XIVEClientError)
  {
    let tables = try DeviceTables(device, progress)
    let last = LISN(rawValue: try device.sourceCount())
    self.init(
      geometry: device.geometry, serverCount: try device.serverCount(),
      vps: tables.vps.map { VPRecord(server: $0.server, w01: $0.state.ring.w01) },
      ends: tables.ends, sources: try device.sourceRecords(LISN(rawValue: 0)..<last))
  }
}
