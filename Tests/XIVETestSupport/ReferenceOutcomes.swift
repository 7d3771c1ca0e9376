/// What guests do wrong, by the names of `struct xive_info_guest_errors`.
public enum ReferenceGuestError: String, Hashable, Sendable, CaseIterable {
  /// An access to a page of an END that is not valid.
  case absentPage
  /// A load or a store that an ESB page does not know.
  case esbOperation
  /// A store to an END's ESB page.
  case endStore
  /// A TIMA access that its register does not take.
  case timaAccess
  /// An event of a source without a valid EAS.
  case easInvalid
  /// An event for an END that is not valid or not there.
  case endInvalid
  /// An event for an NVT that is not valid.
  case nvtInvalid
  /// An event for an NVT that more than one ring answers to.
  case camDuplicate
  /// An event that was escalated without end.
  case escalationLoop
  /// A pull of a context that is not valid.
  case context
}

/// What becomes of events, by the names of `struct xive_info_delivery`.
public enum ReferenceOutcome: String, Hashable, Sendable, CaseIterable {
  /// Written into a queue.
  case entries
  /// A pending bit given to a vCPU that runs.
  case notified
  /// A pending bit kept in the NVT of a vCPU that does not run.
  case backlogged
  /// Stopped by ESn or ESe.
  case coalesced
  /// Passed on to another END.
  case escalated
  /// Dropped: the EAS or the END's priority is masked.
  case masked
  /// Dropped: the vCPU does not run and its END keeps no backlog.
  case undelivered
}
