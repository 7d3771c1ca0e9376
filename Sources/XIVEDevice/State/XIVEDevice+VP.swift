internal import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// What there is of a server's vCPU.
  struct VPState {
    /// The OS ring with the backlog, as ``/XIVEModel/Presenter/savedState(of:)`` gives it.
    var ring: UInt64
    var isConnected: Bool
    /// Whether there is more than a new vCPU has.
    var isPresent: Bool
  }

  /// The state of a server's vCPU, or what is kept for the one that will be connected.
  func vp(of server: Server) throws(DeviceError) -> VPState {
    try delivery.withLock { state throws(DeviceError) in
      guard server.rawValue < state.serverLimit else { throw .noSuchAttribute }
      let backlog = router.presenter.backlog(of: NVTIndex(server))
      guard !connections.isConnected(server) else {
        return VPState(
          ring: router.presenter.savedState(of: server), isConnected: true, isPresent: true)
      }
      let parked = state.parkedVPs[server]
      return VPState(
        ring: (parked ?? Presenter.initialState) | UInt64(backlog) << 40, isConnected: false,
        isPresent: parked != nil || backlog != 0)
    }
  }

  /// How many servers have a vCPU, or something that is kept for one.
  var presentVPCount: Int {
    delivery.withLock { state in
      (0..<state.serverLimit).count { number in
        let server = Server(rawValue: number)
        return connections.isConnected(server) || state.parkedVPs[server] != nil
          || router.presenter.backlog(of: NVTIndex(server)) != 0
      }
    }
  }

  /// Replaces the state of a server's vCPU; while none is connected it is kept for the one that will be, and so are
  /// its events.
  ///
  /// Source: QEMU, "Fix migration of hot-plugged CPUs": a vCPU that is plugged later must not lose its CPPR and IPB.
  func setVP(of server: Server, to ring: UInt64) throws(DeviceError) {
    try delivery.withLock { state throws(DeviceError) in
      guard server.rawValue < state.serverLimit else { throw .noSuchAttribute }
      guard !connections.isConnected(server) else {
        return router.presenter.restore(ring, of: server, keepingBacklog: false)
      }
      router.presenter.accept(server)
      router.presenter.clearBacklog(of: server)
      let saved = Presenter.savedState(restoredFrom: ring)
      state.parkedVPs[server] = saved == Presenter.initialState ? nil : saved
    }
  }

  /// The state of the vCPU that a descriptor is connected to.
  func vp(of opener: Opener) throws(DeviceError) -> UInt64 {
    try delivery.withLock { state throws(DeviceError) in
      guard let server = state.servers[opener.id] else { throw .noSuchAttribute }
      return router.presenter.savedState(of: server)
    }
  }

  /// Replaces it; what the NVT has kept comes on top, as in the kernel.
  func setVP(of opener: Opener, to ring: UInt64) throws(DeviceError) {
    try delivery.withLock { state throws(DeviceError) in
      guard let server = state.servers[opener.id] else { throw .noSuchAttribute }
      router.presenter.restore(ring, of: server, keepingBacklog: true)
    }
  }
}
