internal import SystemPackage
internal import XIVEModel

/// A machine's state to a device.
extension MachineState {
  /// Gives a device the state: afterwards its machine is as the saved one was, and goes on from there.
  ///
  /// Everything is checked before anything is changed: ``check(against:)``. Then the machine is stopped, and
  /// vCPUs, event notification descriptors and sources are set; it runs again if it did. The guest's vCPUs must not run
  /// until then. What the device had and the state does not know is gone; a source that was created stays, off and
  /// masked.
  /// - Parameters:
  ///   - device: writable, set up as the saved one was: started with the same options, with the guest's memory, the
  ///     PHBs, and what is mapped to them.
  ///   - leavingStopped: whether the machine stays stopped.
  /// - Throws: ``StateFileError/inconsistent(_:_:)``, ``MachineStateError/differs(_:expected:found:remedy:)`` and what
  ///   requests are refused with, and nothing was changed; ``MachineStateError/incomplete(applied:refusal:_:)`` when the
  ///   device changed its mind meanwhile.
  public func apply(to device: borrowing XIVEDescriptor, leavingStopped: Bool = false)
    throws(XIVEClientError)
  {
    let target = try target(device)
    let ran = try device.isRunning()
    var applied = Applied()
    do throws(XIVEClientError) {
      if ran { try device.stopMachine() }
      try setCounts(of: device, target, &applied)
      try setVPs(of: device, target, &applied)
      try setENDs(of: device, target, &applied)
      try device.setSourceRecords(sources, from: LISN(rawValue: 0))
    } catch {
      guard applied.isAnything || error.isPartOfSources else {
        if ran { try? device.resumeMachine() }
        throw error
      }
      throw .state(
        .incomplete(applied: applied.words, refusal: error.description, error.errno))
    }
    if ran, !leavingStopped { try device.resumeMachine() }
  }

  /// The numbers are set once, so that they are left alone where they fit. Servers come first: a device does not tell
  /// that a vCPU has been connected and gone, after which it refuses theirs, and nothing is changed by then.
  private func setCounts(
    of device: borrowing XIVEDescriptor, _ target: RestoreTarget, _ applied: inout Applied
  ) throws(XIVEClientError) {
    if target.serverCount != serverCount {
      try device.setServerCount(serverCount)
      applied.counts += 1
    }
    if target.sourceCount != UInt32(sources.count) {
      try device.setSourceCount(UInt32(sources.count))
      applied.counts += 1
    }
  }

  private func setVPs(
    of device: borrowing XIVEDescriptor, _ target: RestoreTarget, _ applied: inout Applied
  ) throws(XIVEClientError) {
    let saved = Set(vps.map(\.server))
    let others = target.servers.filter { !saved.contains($0) }
    for vp in others.map({ VPRecord(server: $0, w01: VPRecord.atRest) }) + vps {
      try device.setVPState(VPState(RingState(w01: vp.w01)), of: vp.server)
      applied.vps += 1
    }
  }

  private func setENDs(
    of device: borrowing XIVEDescriptor, _ target: RestoreTarget, _ applied: inout Applied
  ) throws(XIVEClientError) {
    let saved = Set(ends.map(\.index))
    let others = target.ends.filter { !saved.contains($0) }
    for record in others.map({ ENDRecord(index: $0, end: END()) }) + ends {
      try device.setEND(at: record.index, to: record.end)
      applied.ends += 1
    }
  }
}

extension VPRecord {
  /// What a vCPU begins with. Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`,
  /// `kvmppc_xive_native_connect_vcpu`.
  fileprivate static let atRest: UInt64 = 0xff00_0000
}

/// How far a restore has come.
private struct Applied {
  var counts = 0
  var vps = 0
  var ends = 0

  var isAnything: Bool { counts + vps + ends > 0 }

  /// What the device has by now.
  var words: String {
    "\(vps) vCPUs and \(ends) ENDs of the saved state, and of its sources at most some"
  }
}

extension XIVEClientError {
  /// Whether sources were set before the one that was refused.
  fileprivate var isPartOfSources: Bool {
    guard case .machine(.sourceState(let lisn, _)) = self else { return false }
    return lisn.rawValue > 0
  }
}
