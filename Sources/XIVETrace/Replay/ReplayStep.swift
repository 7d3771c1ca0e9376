public import TraceRecords
public import XIVEModel

/// One thing that a consumer did, and what the device recorded of it.
public struct ReplayStep: Hashable, Sendable {
  /// What is done once more.
  public enum Action: Hashable, Sendable {
    /// A page is touched through a mapping.
    case touch(UInt64, ReplayTouch)
    /// An exact load of so many bytes.
    case load(UInt64, byteCount: Int)
    /// An exact store of so many bytes.
    case store(UInt64, UInt64, byteCount: Int)
    /// A store to a mapping, and its write-back.
    case storeMapped(UInt64, UInt64)
    /// A store to a mapping that leaves what is there, and its write-back.
    case dirty(UInt64)
    /// A PHB is added.
    case addPHB(PHBIndex, PHBShape)
    /// A PHB is removed.
    case removePHB(PHBIndex)
    /// A run of sources is mapped.
    case map(PassthroughRun, prefault: Bool)
    /// A run of sources is unmapped.
    case unmap(PassthroughRun, prefault: Bool)
    /// An attribute is set to a value of at most eight bytes.
    case set(group: UInt32, attribute: UInt64, UInt64)
    /// An attribute is asked for.
    case get(group: UInt32, attribute: UInt64)
    /// Whether there is an attribute is asked.
    case has(group: UInt32, attribute: UInt64)
    /// Another request, with the eight bytes that it takes.
    case request(UInt32, UInt64)
  }

  /// What is done.
  public internal(set) var action: Action
  /// What the device recorded, what followed from the request first and the request itself last.
  public internal(set) var recorded: [TraceRecord]
  /// Whether what comes of it must be the same.
  public internal(set) var isCompared = true
  /// Whether why a page was not there is known, and must be the same.
  public internal(set) var hasCause = true

  init(action: Action, recorded: [TraceRecord]) {
    self.action = action
    self.recorded = recorded
  }

}

/// How a page is touched once more.
public struct ReplayTouch: Hashable, Sendable {
  /// Whether the kernel gives the page up before that, as it had.
  public var isReclaimed = false
  /// Whether the kernel is to fill whole ranges at a touch, as a VMM has it do for its guest's memory.
  public var isHuge = false
}

/// Why a record cannot be performed again, or not be compared.
public enum ReplayObstacle: String, Hashable, Sendable, CaseIterable, Encodable {
  /// Only the first eight bytes of a request are in its record.
  case payload = "the request's payload is longer than a record holds"
  /// A request that needs what was outside of the device.
  case outside = "the request names descriptors or memory of its caller"
  /// Records were lost.
  case gap = "records were lost"
  /// A fill or a write-back that met a change; it is done again, and not compared.
  case race = "a page was filled or written back while what it shows changed"
  /// A fill of many pages.
  case range = "the kernel chose which pages it filled along with the touched one"
  /// An event that no request in the trace caused.
  case cause = "no request in the trace caused it: an eventfd, or the server itself"
  /// The page belongs to the vCPU that the descriptor is connected to.
  case vcpu = "the page depends on the vCPU that its descriptor was connected to"
  /// A record of a kind, or of a form, that this version does not know.
  case unknown = "this version does not know the record"
}
