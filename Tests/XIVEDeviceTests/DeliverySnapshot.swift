import XIVEModel

@testable import XIVEDevice

/// Everything that a machine knows, where its events go and what has been set up: what a refused request must leave as
/// it was.
struct DeliverySnapshot: Hashable {
  let sources: Snapshot
  let assignments: [EAS]
  let ends: [END]
  let threads: [TIMA]
  let backlogs: [UInt8]
  let servers: [UInt64: Server]
  let slots: [UInt64?]
  let reservedBytes: UInt64
  let limits: [UInt32]
  let flags: [Bool]
  let addresses: [UInt64?]
  let parkedVPs: [Server: UInt64]
  let routes: String
  let irqfdCount: Int
  let counts: DeliveryCounts

  init(_ rig: Rig, phbCount: UInt16 = 1) {
    let device = rig.device
    let router = device.router
    sources = Snapshot(rig, phbCount: phbCount)
    assignments = (0..<device.configuration.sourceCount).map {
      router.eas(of: LISN(rawValue: $0))
    }
    let servers = 0..<device.configuration.serverCount
    ends = (0..<UInt32(servers.count) * 8).map { router.end(at: ENDIndex(rawValue: $0)) }
    threads = servers.map { router.presenter.tima(of: Server(rawValue: $0)) }
    backlogs = servers.map { router.presenter.backlog(of: NVTIndex(Server(rawValue: $0))) }
    let state = device.delivery.withLock { $0 }
    self.servers = state.servers
    slots = (0..<32).map { state.memory[$0]?.guestAddress }
    reservedBytes = state.memory.byteCount
    limits = [state.serverLimit, device.sourceLimit]
    flags = [state.hasServerLimit, state.hasSourceLimit, state.hasBegun, device.isRunning]
    addresses = state.addresses
    parkedVPs = state.parkedVPs
    // A table that has not changed is described in the same order.
    routes = device.injection.withLock { "\($0.messages)" }
    irqfdCount = device.injection.withLock { $0.count }
    counts = router.counts
  }
}
