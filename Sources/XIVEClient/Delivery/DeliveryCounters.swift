internal import CXIVE
internal import DeviceClient

/// What became of the events since a device was started.
public struct DeliveryCounters: Hashable, Sendable {
  /// Entries written into event queues.
  public let entries: UInt64
  /// Pending bits given to a vCPU that runs.
  public let notified: UInt64
  /// Pending bits kept in the NVT of a vCPU that does not run.
  public let backlogged: UInt64
  /// Events that were stopped by ESn or ESe.
  public let coalesced: UInt64
  /// Events that were passed on to another END.
  public let escalated: UInt64
  /// Events that were dropped: the source's EAS, or the END's priority, is masked.
  public let masked: UInt64
  /// Events that were dropped: the vCPU does not run and its END keeps no backlog.
  public let undelivered: UInt64
  /// vCPUs that are connected now.
  public let vcpus: UInt64
  /// Event notification descriptors that are valid now.
  public let ends: UInt64
  /// Servers that have a vCPU now, or something that is kept for one.
  public let vps: UInt64

  init(_ info: xive_info_delivery) {
    entries = info.entries
    notified = info.notified
    backlogged = info.backlogged
    coalesced = info.coalesced
    escalated = info.escalated
    masked = info.masked
    undelivered = info.undelivered
    vcpus = info.vcpus
    ends = info.ends
    vps = info.vps
  }
}

/// What guests did wrong since a device was started, each kind by itself; hardware drops it, too.
public struct GuestErrors: Hashable, Sendable {
  /// Accesses to pages that do not exist, are fenced, or belong to an END that is not valid.
  public let absentPage: UInt64
  /// Loads or stores that an ESB page does not know.
  public let esbOperation: UInt64
  /// Stores to an END's ESB page.
  public let endStore: UInt64
  /// TIMA accesses of a size or in a view that the register does not take.
  public let timaAccess: UInt64
  /// Stores to mapped TIMA pages, which are only memory.
  public let timaStore: UInt64
  /// Events of sources without a valid EAS.
  public let easInvalid: UInt64
  /// Events for an END that is not valid, or that the device does not have.
  public let endInvalid: UInt64
  /// Events for an NVT that is not valid.
  public let nvtInvalid: UInt64
  /// Events for an NVT that more than one ring answers to.
  public let camDuplicate: UInt64
  /// Events that were escalated without end.
  public let escalationLoop: UInt64
  /// Pulls of contexts that are not valid.
  public let context: UInt64
  /// Written-back images of pages that are not there.
  public let image: UInt64

  init(_ info: xive_info_guest_errors) {
    absentPage = info.absent_page
    esbOperation = info.esb_operation
    endStore = info.end_store
    timaAccess = info.tima_access
    timaStore = info.tima_store
    easInvalid = info.eas_invalid
    endInvalid = info.end_invalid
    nvtInvalid = info.nvt_invalid
    camDuplicate = info.cam_duplicate
    escalationLoop = info.escalation_loop
    context = info.context
    image = info.image
  }
}

extension XIVEDescriptor {
  /// Asks what became of the events.
  /// - Returns: the device's counts.
  /// - Throws: ``XIVEClientError``.
  public func deliveryCounters() throws(XIVEClientError) -> DeliveryCounters {
    DeliveryCounters(try deliveryInfo())
  }

  /// Asks what guests did wrong.
  /// - Returns: the device's counts.
  /// - Throws: ``XIVEClientError``.
  public func guestErrors() throws(XIVEClientError) -> GuestErrors {
    GuestErrors(try guestErrorInfo())
  }

  func deliveryInfo() throws(XIVEClientError) -> xive_info_delivery {
    try device.get(XIVE_GROUP_INFO, UInt64(XIVE_INFO_DELIVERY))
  }

  func guestErrorInfo() throws(XIVEClientError) -> xive_info_guest_errors {
    try device.get(XIVE_GROUP_INFO, UInt64(XIVE_INFO_GUEST_ERRORS))
  }
}
