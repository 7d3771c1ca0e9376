internal import PagedDevice
internal import TraceRecords
internal import XIVEModel

/// Who began something, and when.
struct TraceOrigin: Sendable {
  let task: TraceTask
  /// In nanoseconds of `CLOCK_MONOTONIC`.
  let time: UInt64
  /// Nanoseconds for which the request is known to have waited before that.
  let queueTime: UInt32
}

extension DropReason {
  /// The pages' sources were mapped.
  static let map = DropReason(.map)
  /// The pages' sources were unmapped.
  static let unmap = DropReason(.unmap)
  /// The pages' PHB was removed.
  static let unplug = DropReason(.unplug)
  /// A vCPU was connected or disconnected.
  static let vcpu = DropReason(.vcpu)

  private init(_ cause: TraceCause) { self.init(rawValue: cause.rawValue) }

  /// What records say of it.
  var cause: TraceCause {
    self == .cachedStore ? .store : TraceCause(rawValue: rawValue) ?? .unknown
  }
}

extension TraceRecord {
  /// Says which page it is about, and what serves it.
  mutating func place(_ signature: PageSignature) {
    backing = signature.backing
    half = UInt8(truncatingIfNeeded: signature.half)
    generation = UInt32(truncatingIfNeeded: signature.generation)
    switch signature.backing {
    case .ipi, .phb: number = signature.lisn == PageSignature.noSource ? nil : signature.lisn
    // Nobody is behind the page of a TIMA that was never connected.
    case .tima: number = signature.generation == 0 ? nil : signature.hardwareIRQ
    case .end: number = signature.hardwareIRQ
    }
    if signature.backing == .phb {
      hardware = (
        UInt16(truncatingIfNeeded: signature.phb), UInt16(truncatingIfNeeded: signature.hardwareIRQ)
      )
    }
  }

  /// Says which page it is about, whatever serves it.
  mutating func place(_ target: PageTarget) {
    switch target {
    case .connectedTIMA(let view): half = UInt8(view.rawValue)
    case .esb(let lisn, let parity): (number, half) = (lisn.rawValue, UInt8(parity.rawValue))
    case .end(let index, let parity): (number, half) = (index, UInt8(parity.rawValue))
    case .tima(let server, let view): (number, half) = (server.rawValue, UInt8(view.rawValue))
    case .phb(let phb, let irq): hardware = (phb.rawValue, irq.rawValue)
    }
  }
}
