/// A vCPU's state on its way from one machine to another.
extension Presenter {
  /// What a vCPU that has never run begins with: CPPR 0, nothing pending, no acknowledgement counted.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_connect_vcpu`.
  public static var initialState: UInt64 { 0x0000_0000_ff00_0000 }

  /// What a vCPU that is restored from a state will be saved as.
  /// - Parameter state: as ``savedState(of:)`` gives it, or anything else.
  /// - Returns: the state without what no software can set, or what follows from the rest.
  public static func savedState(restoredFrom state: UInt64) -> UInt64 {
    var ring = RingState()
    ring.restore(state)
    return ring.saved
  }

  /// A vCPU's OS ring as a hypervisor saves it, with what its NVT has kept: bytes NSR, CPPR, IPB, LSMFB, ACK#, INC,
  /// AGE, PIPR, the first one highest.
  ///
  /// LSMFB and AGE are 0 and ACK# is ff, for no software can set them; PIPR is 0, for it follows from IPB.
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_get_vp`; `book3s_xive.c`,
  /// `kvmppc_xive_pull_vcpu`.
  /// - Parameter server: a thread of the table.
  /// - Returns: the register; whether the vCPU runs does not matter.
  public func savedState(of server: Server) -> UInt64 {
    changeContexts(of: server) {
      tima(of: server).os.saved | UInt64(backlog(of: NVTIndex(server))) << 40
    }
  }

  /// Replaces a vCPU's OS ring: it is pulled, replaced, and, if it ran, pushed again, in one step.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_set_vp`. Differs: there a vCPU that runs
  /// is `EBUSY`. NSR and PIPR are what follows from IPB and CPPR.
  /// - Parameters:
  ///   - state: as ``savedState(of:)`` gives it.
  ///   - server: a thread of the table.
  ///   - keepingBacklog: whether what the NVT has kept comes on top of it, as on hardware, or is dropped.
  public func restore(_ state: UInt64, of server: Server, keepingBacklog: Bool) {
    changeContexts(of: server) {
      let place = TIMAPlace(server: server, ring: .os)
      let word = tima(of: server).os.word2
      setWord2(word & ~RingState.valid, of: place)
      if !keepingBacklog { clearBacklog(of: server) }
      update(server) { $0.os.restore(state) }
      if word & RingState.valid != 0 { push(word, to: place) }
    }
  }

  /// Has a vCPU's events kept for it, although it has never been connected.
  /// - Parameter server: a thread of the table.
  public func accept(_ server: Server) { accept(NVTIndex(server)) }

  /// Drops what an NVT has kept.
  /// - Parameter server: whose.
  public func clearBacklog(of server: Server) {
    targets.withLock(Int(NVTIndex(server).rawValue)) { $0.ipb = 0 }
  }

  func accept(_ target: NVTIndex) {
    targets.withLock(Int(target.rawValue)) { $0.isValid = true }
  }
}

extension RingState {
  /// What is worth keeping of an OS ring: NSR, CPPR, IPB and INC; ACK# as it counts nothing yet.
  fileprivate var saved: UInt64 { w01 & 0xffff_ff00_00ff_0000 | Presenter.initialState }

  /// Takes what was kept; what follows from it is computed.
  mutating func restore(_ state: UInt64) {
    w01 = state
    if cppr > 7 { cppr = 0xff }
    pipr = Self.pipr(of: ipb)
    let exception = TIMA.osException
    nsr = pipr < cppr ? exception : 0
  }
}
