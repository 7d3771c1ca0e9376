internal import XIVEModel

/// A machine's state from a device.
extension MachineState {
  /// Reads a machine's state. It is stopped meanwhile, and runs again afterwards if it did.
  ///
  /// The guest's vCPUs must not run until then: the device cannot stop them. Sources are read at memory speed; each
  /// server takes nine requests, so that a device with room for many should be told how many it has (`NR_SERVERS`).
  /// - Parameters:
  ///   - device: writable, unless the machine is stopped.
  ///   - leavingStopped: whether the machine stays stopped, to be moved.
  ///   - progress: told now and then how many servers have been asked, and of how many.
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
    var search = ENDSearch()
    let serverCount = try device.serverCount()
    let last = LISN(rawValue: try device.sourceCount())
    self.init(
      geometry: device.geometry, serverCount: serverCount, vps: [], ends: [],
      sources: try device.sourceRecords(LISN(rawValue: 0)..<last))
    for number in 0..<serverCount {
      let server = Server(rawValue: number)
      if number % 256 == 0 { progress(Int(number), Int(serverCount)) }
      let vp = try device.vpState(of: server)
      if vp.isPresent { vps.append(VPRecord(server: server, w01: vp.ring.w01)) }
      // An END may be valid before its server has a vCPU, and after it had one.
      try search.ask(server, of: device)
    }
    try search.ask(followingSources: sources, beyond: serverCount, of: device)
    ends = search.found.sorted { $0.index.rawValue < $1.index.rawValue }
  }
}
