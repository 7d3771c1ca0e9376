public import PagedDevice
internal import Synchronization
internal import XIVEModel

extension XIVEDevice {
  /// Connects a descriptor to a vCPU, whose OS context is pushed: it takes interrupts at once.
  ///
  /// Source: Linux `arch/powerpc/kvm/book3s_xive_native.c`, `kvmppc_xive_native_connect_vcpu`. Differs: the kernel
  /// pushes the context when the guest is entered.
  /// - Returns: what must be carried out before anybody is told.
  /// - Throws: ``/PagedDevice/DeviceError/busy`` for a descriptor that is connected,
  ///   ``/PagedDevice/DeviceError/invalid`` for a server beyond NR_SERVERS, ``/PagedDevice/DeviceError/exists`` for one
  ///   that has a vCPU.
  func connect(_ opener: Opener, to server: Server) throws(DeviceError) -> Invalidation {
    let waker = try delivery.withLock { state throws(DeviceError) in
      guard state.servers[opener.id] == nil else { throw .busy }
      guard server.rawValue < state.serverLimit else { throw .invalid }
      guard !connections.isConnected(server) else { throw .exists }
      state.hasBegun = true
      state.servers[opener.id] = server
      router.presenter.connect(
        server, restoring: state.parkedVPs.removeValue(forKey: server))
      connectCounts[Int(server.rawValue)].wrappingAdd(1, ordering: .sequentiallyConsistent)
      connections.publish(state.servers, server, isConnected: true, draining: gate)
      return state.waiters.removeValue(forKey: opener.id)
    }
    // Whoever waits asks again, and then waits for the vCPU.
    waker?.wake()
    return timaInvalidation(server)
  }

  /// Takes away what hangs on a descriptor: its vCPU does not run any more, and its server is free.
  /// - Parameter opener: the descriptor that has gone.
  /// - Returns: the TIMA pages of its vCPU; nil when it had none.
  public func closed(_ opener: Opener) -> Invalidation? {
    deassignAll(of: opener)
    closeTrace(of: opener)
    let server = delivery.withLock { state -> Server? in
      state.waiters[opener.id] = nil
      guard let server = state.servers.removeValue(forKey: opener.id) else { return nil }
      connections.publish(state.servers, server, isConnected: false, draining: gate)
      router.presenter.disconnect(server)
      watch.waiters.withLock(Int(server.rawValue)) { $0 = nil }
      return server
    }
    return server.map { timaInvalidation($0) }
  }

  /// Whether the connected vCPU has an interrupt to take; on a descriptor that is not connected, whether there are
  /// trace records that it has not read.
  /// - Parameters:
  ///   - opener: the descriptor.
  ///   - waker: woken when there is something.
  /// - Returns: whether it has now.
  public func isReadable(_ opener: Opener, orWake waker: PollWaker) -> Bool {
    if let server = gate.pass(stripe: Int(opener.id & 15), { connections[opener] }) {
      return isReadable(server, orWake: waker)
    }
    let server = delivery.withLock { state -> Server? in
      // Connected meanwhile?
      guard let server = state.servers[opener.id] else {
        state.waiters[opener.id] = waker
        return nil
      }
      return server
    }
    return server.map { isReadable($0, orWake: waker) } ?? hasTrace(for: opener, orWake: waker)
  }

  private func isReadable(_ server: Server, orWake waker: PollWaker) -> Bool {
    // Kept before the look: an interrupt that comes in between finds it.
    watch.waiters.withLock(Int(server.rawValue)) { $0 = waker }
    return router.presenter.tima(of: server).isLineUp
  }

  /// The pages that show a vCPU's TIMA, and the one that shows whoever is the only vCPU.
  private func timaInvalidation(_ server: Server) -> Invalidation {
    let pages = [PageTarget.connectedTIMA(.os), .tima(server, .os)].map { map.offset(of: $0) }
    counters.zaps.add(UInt64(pages.count), stripe: 0)
    return Invalidation(pages.map { $0..<$0 + map.pageByteCount }, reason: .vcpu)
  }
}
