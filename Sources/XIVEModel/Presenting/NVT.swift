/// A notification virtual target: a vCPU as the router knows it, with what is pending while it does not run.
///
/// Source: QEMU `include/hw/ppc/xive_regs.h`, `XiveNVT`, `NVT_W0_VALID`, `NVT_W4_IPB`. The architecture's structure
/// has more; hardware keeps it for itself.
struct NVT: Sendable {
  /// Whether anything may be delivered to it.
  var isValid = false
  /// Priorities that are pending.
  var ipb: UInt8 = 0
  /// The rings that answer to its number; those of more than one thread are a mistake.
  private(set) var rings: RingList = .none

  /// Which rings answer to one number. A list of its own, so that the usual one needs no memory.
  enum RingList: Sendable {
    case none
    case one(TIMAPlace)
    case many([TIMAPlace])
  }

  /// Who takes an event: a thread answers once, with its physical ring before its pool's before its OS ring.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_presenter_tctx_match`; `hw/intc/pnv_xive.c`, `pnv_xive_match_nvt`.
  var taker: Taker {
    switch rings {
    case .none: return .nobody
    case .one(let place): return .ring(place)
    case .many(let places):
      let first = places.max { $0.ring.rawValue < $1.ring.rawValue }
      guard let first, places.allSatisfy({ $0.server == first.server }) else { return .ambiguous }
      return .ring(first)
    }
  }

  /// Who takes an event.
  enum Taker: Sendable {
    case nobody
    case ring(TIMAPlace)
    /// More than one thread answers.
    case ambiguous
  }

  mutating func add(_ place: TIMAPlace) {
    switch rings {
    case .none: rings = .one(place)
    case .one(let other): rings = .many([other, place])
    case .many(let others): rings = .many(others + [place])
    }
  }

  mutating func remove(_ place: TIMAPlace) {
    switch rings {
    case .none: break
    case .one(let other): if other == place { rings = .none }
    case .many(let others):
      let left = others.filter { $0 != place }
      rings = left.count == 1 ? .one(left[0]) : .many(left)
    }
  }
}

/// One ring of one thread.
struct TIMAPlace: Hashable, Sendable {
  let server: Server
  let ring: TIMARing
}
