public import XIVEModel

/// All that the interrupt controller of a stopped machine knows: what `xive save` keeps and `xive restore` gives back.
///
/// Machine set-up is not in it: guest memory and its slots, guest-physical addresses, message routes, PHBs and what is
/// mapped to them, irqfds, connections of vCPUs. The VMM that goes on has its own. See <doc:Saved-State>.
public struct MachineState: Hashable, Sendable {
  /// What the device was started with; another device must have been started with the same.
  public var geometry: DeviceGeometry
  /// The number of servers, `NR_SERVERS`.
  public var serverCount: UInt32
  /// The states of vCPUs, by ascending server.
  public var vps: [VPRecord]
  /// The valid event notification descriptors, by ascending number.
  public var ends: [ENDRecord]
  /// The sources, by number: as many as the machine has, `NR_SOURCES`.
  public var sources: [SourceRecord]

  /// Creates a state of its parts.
  /// - Parameters:
  ///   - geometry: what the device was started with.
  ///   - serverCount: the number of servers.
  ///   - vps: the states of vCPUs, by ascending server.
  ///   - ends: the valid event notification descriptors, by ascending number.
  ///   - sources: the sources, from number 0.
  public init(
    geometry: DeviceGeometry, serverCount: UInt32, vps: [VPRecord], ends: [ENDRecord],
    sources: [SourceRecord]
  ) {
    self.geometry = geometry
    self.serverCount = serverCount
    self.vps = vps
    self.ends = ends
    self.sources = sources
  }

  /// The number of sources that were created.
  public var createdSourceCount: Int { sources.count(where: \.isCreated) }
  /// The number of event queues: valid descriptors that enqueue.
  public var queueCount: Int { ends.count { $0.end.queue != nil } }
  /// The number of events that have left their sources and wait for the machine to run.
  public var latchedCount: Int { sources.count(where: \.isLatched) }
}

/// What a server's vCPU has: connected, or kept for the one that will be.
public struct VPRecord: Hashable, Sendable {
  /// Whose it is.
  public var server: Server
  /// Words 0 and 1 of the OS ring with the backlog of its NVT, as `KVM_REG_PPC_VP_STATE` has them.
  public var w01: UInt64

  /// Creates a record.
  /// - Parameters:
  ///   - server: whose it is.
  ///   - w01: words 0 and 1 of the OS ring.
  public init(server: Server, w01: UInt64) {
    self.server = server
    self.w01 = w01
  }
}

/// A valid event notification descriptor with its number.
public struct ENDRecord: Hashable, Sendable {
  /// Its number.
  public var index: ENDIndex
  /// Its words, with the place where the next entry of its queue goes.
  public var end: END

  /// Creates a record.
  /// - Parameters:
  ///   - index: its number.
  ///   - end: its words.
  public init(index: ENDIndex, end: END) {
    self.index = index
    self.end = end
  }
}
