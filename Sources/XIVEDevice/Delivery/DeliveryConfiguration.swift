internal import PagedDevice
internal import XIVEModel

/// Where events go and who takes them, as far as only set-up changes it; one thread at a time.
struct DeliveryConfiguration: Sendable {
  /// Servers are below this: NR_SERVERS.
  var serverLimit: UInt32
  /// Whether the VMM has set that, and the number of sources.
  var hasServerLimit = false
  var hasSourceLimit = false
  /// Guest-physical addresses of the TIMA and of the ESB window.
  var addresses: [UInt64?] = [nil, nil]
  /// What vCPUs begin with that are not connected yet.
  var parkedVPs: [Server: UInt64] = [:]
  /// Whether a vCPU has ever been connected.
  var hasBegun = false
  /// Which descriptor is connected to which vCPU.
  var servers: [UInt64: Server] = [:]
  /// How many sources each END has.
  var sourceCounts: [ENDIndex: Int] = [:]
  var memory = GuestMemory()
  /// Who waits in `poll` on a descriptor that is not connected.
  var waiters: [UInt64: PollWaker] = [:]
}
