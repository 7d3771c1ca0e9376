/// What a guest can do wrong on the way of an event, or on a page; hardware drops it, too.
public enum GuestError: Hashable, Sendable {
  /// An access, at a device offset, to a page that does not exist, is fenced, or belongs to an END that is not valid.
  case absentPage(UInt64)
  /// A load or a store, at a device offset, that an ESB page does not know.
  case esbOperation(UInt64)
  /// A store to an END's ESB page.
  case endStore(ENDIndex)
  /// A TIMA access of a size or in a view that its register does not take.
  case timaAccess(Server)
  /// A store to a mapped TIMA page, which is only memory.
  case timaStore(Server)
  /// An event of a source without a valid EAS.
  case easInvalid(LISN)
  /// An event for an END that is not valid, or that does not exist.
  case endInvalid(ENDIndex)
  /// An event for an NVT that is not valid, or that does not exist.
  case nvtInvalid(NVTIndex)
  /// An event for an NVT that more than one thread answers to.
  case camDuplicate(NVTIndex)
  /// An event that was escalated without end.
  case escalationLoop(ENDIndex)
  /// A pull of a context that is not valid.
  case contextInvalid(Server)
  /// A written-back image of a page that is not there, by its device offset.
  case image(UInt64)
}

/// Hears of what the router and the presenter do.
///
/// Thread rule: called on whatever thread performed the access; must not wait, and must not call the controller.
public protocol DeliveryObserver: AnyObject, Sendable {
  /// The first eight bytes of a vCPU's OS ring have changed. Calls for one vCPU come in the order of its changes.
  /// - Parameters:
  ///   - server: the vCPU.
  ///   - ring: what a load in the OS view gives.
  func osRingChanged(_ server: Server, _ ring: UInt64)
  /// A vCPU has an interrupt to take and had none before.
  /// - Parameter server: the vCPU.
  func lineRaised(_ server: Server)
  /// An END has become valid or invalid, or one of its coalescing machines has changed. Calls for one END come in the
  /// order of its changes.
  /// - Parameters:
  ///   - end: the END.
  ///   - states: its two machines; nil while it is not valid.
  func endChanged(_ end: ENDIndex, _ states: ENDStates?)
  /// A guest did something that hardware drops.
  /// - Parameter error: what.
  func guestErred(_ error: GuestError)
}

/// The states of an END's two coalescing machines.
public struct ENDStates: Hashable, Sendable {
  /// ESn: whether the vCPU has been notified.
  public var notification: PQ
  /// ESe: whether an event has been escalated.
  public var escalation: PQ

  /// Creates the states.
  public init(notification: PQ, escalation: PQ) {
    self.notification = notification
    self.escalation = escalation
  }
}

/// What became of the events since the controller was made.
public struct DeliveryCounts: Hashable, Sendable {
  /// Entries written into event queues.
  public var entries: UInt64 = 0
  /// Pending bits given to a vCPU that runs.
  public var notified: UInt64 = 0
  /// Pending bits kept in the NVT of a vCPU that does not.
  public var backlogged: UInt64 = 0
  /// Stopped by ESn or ESe.
  public var coalesced: UInt64 = 0
  /// Passed on to another END.
  public var escalated: UInt64 = 0
  /// Dropped, because the EAS or the END's priority is masked.
  public var masked: UInt64 = 0
  /// Dropped, because the vCPU does not run and its END keeps no backlog.
  public var undelivered: UInt64 = 0

  /// Creates counts of zero.
  public init() {}
}
