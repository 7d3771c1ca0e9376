import Synchronization
import XIVEModel
import XIVETestSupport

/// Remembers all that the router and the presenter tell.
final class RecordingObserver: DeliveryObserver {
  /// What was told so far.
  struct Record: Sendable {
    var rings: [Server: UInt64] = [:]
    var raised: [Server] = []
    var ends: [ENDIndex: ENDStates?] = [:]
    var errors: [ReferenceGuestError: UInt64] = [:]
  }
  private let mutex = Mutex(Record())

  /// A copy of it.
  var record: Record { mutex.withLock { $0 } }

  /// The lines that were raised since this was asked last.
  func takeRaised() -> [Server] {
    mutex.withLock { record in
      defer { record.raised = [] }
      return record.raised
    }
  }

  func osRingChanged(_ server: Server, _ ring: UInt64) {
    mutex.withLock { $0.rings[server] = ring }
  }

  func lineRaised(_ server: Server) { mutex.withLock { $0.raised.append(server) } }

  func endChanged(_ end: ENDIndex, _ states: ENDStates?) {
    mutex.withLock { $0.ends[end] = .some(states) }
  }

  func guestErred(_ error: GuestError) {
    let kind = ReferenceGuestError(error)
    mutex.withLock { $0.errors[kind, default: 0] += 1 }
  }
}

extension ReferenceGuestError {
  init(_ error: GuestError) {
    switch error {
    case .absentPage: self = .absentPage
    case .esbOperation: self = .esbOperation
    case .endStore: self = .endStore
    case .timaAccess: self = .timaAccess
    case .easInvalid: self = .easInvalid
    case .endInvalid: self = .endInvalid
    case .nvtInvalid: self = .nvtInvalid
    case .camDuplicate: self = .camDuplicate
    case .escalationLoop: self = .escalationLoop
    case .contextInvalid: self = .context
    case .timaStore, .image: preconditionFailure("the model has no mapped pages")
    }
  }
}
