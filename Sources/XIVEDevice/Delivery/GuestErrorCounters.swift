internal import CXIVE
internal import XIVEModel

/// What guests did wrong, each kind by itself.
struct GuestErrorCounters: ~Copyable, Sendable {
  private let kinds: InlineArray<12, StripedCounter> = .init { _ in StripedCounter() }

  /// Counts one.
  func add(_ error: GuestError) { kinds[error.kind].add(1, stripe: error.kind) }

  /// All of them together.
  var sum: UInt64 {
    var sum: UInt64 = 0
    for kind in kinds.indices { sum &+= kinds[kind].value }
    return sum
  }

  /// The counts as they go to consumers.
  var info: xive_info_guest_errors {
    var info = xive_info_guest_errors()
    info.absent_page = kinds[0].value
    info.esb_operation = kinds[1].value
    info.end_store = kinds[2].value
    info.tima_access = kinds[3].value
    info.tima_store = kinds[4].value
    info.eas_invalid = kinds[5].value
    info.end_invalid = kinds[6].value
    info.nvt_invalid = kinds[7].value
    info.cam_duplicate = kinds[8].value
    info.escalation_loop = kinds[9].value
    info.context = kinds[10].value
    info.image = kinds[11].value
    return info
  }
}

extension GuestError {
  /// Its place in the order of `struct xive_info_guest_errors`.
  var kind: Int {
    switch self {
    case .absentPage: 0
    case .esbOperation: 1
    case .endStore: 2
    case .timaAccess: 3
    case .timaStore: 4
    case .easInvalid: 5
    case .endInvalid: 6
    case .nvtInvalid: 7
    case .camDuplicate: 8
    case .escalationLoop: 9
    case .contextInvalid: 10
    case .image: 11
    }
  }
}
