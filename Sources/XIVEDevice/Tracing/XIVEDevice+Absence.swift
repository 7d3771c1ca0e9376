internal import PagedDevice
internal import TraceRecords
internal import XIVEModel

extension XIVEDevice {
  /// Why there was no page, or why an access came to nothing; looked up once more, for nobody needs it otherwise.
  /// - Parameters:
  ///   - offset: byte offset in the file.
  ///   - error: what was counted; nil for a fill.
  /// - Returns: the reason.
  func absence(at offset: UInt64, after error: GuestError?) -> TraceResult.Absence {
    switch error {
    case .esbOperation, .endStore, .timaAccess, .timaStore: return .noOperation
    default: break
    }
    guard let target = map.target(at: offset) else { return absenceOutsideTheMap(offset) }
    // The page is there, but no longer what was stored to.
    if case .image = error, served(target) != nil { return .noPHB }
    switch target {
    case .esb(let lisn, let parity): return absence(of: lisn, parity)
    case .phb(let index, _):
      return gate.pass(stripe: 0) {
        phbs[index]?.isFenced == true && error != nil ? .fenced : .noPHB
      }
    case .connectedTIMA(let view):
      guard error == nil else { return .notConnected }
      return view == .os ? .sharedTIMA : .view
    case .tima(_, let view): return view == .os || error != nil ? .notConnected : .view
    case .end(let index, _):
      return hasBeenConnected(Server(rawValue: index / 8)) ? .notValid : .notConnected
    }
  }

  private func absence(of lisn: LISN, _ parity: ESBHalf) -> TraceResult.Absence {
    gate.pass(stripe: Int(lisn.rawValue)) {
      switch sources.backings[lisn].backing {
      case nil: lisn.rawValue < sourceLimit ? .notCreated : .outOfRange
      // A page that is there by now was not when it was asked for.
      case .ipi: served(.esb(lisn, parity)) == nil ? .noTriggerPage : .notCreated
      case .phb(let index, let irq):
        if let phb = phbs[index], phb.contains(irq) {
          phb.isFenced ? .fenced : .noTriggerPage
        } else {
          .noPHB
        }
      }
    }
  }

  private func absenceOutsideTheMap(_ offset: UInt64) -> TraceResult.Absence {
    switch Region(rawValue: offset >> Region.shift) {
    case .kernel, .esb, .end, .tima: .outOfRange
    case .phb: .noPHB
    case .sourceState, .trace, nil: .noRegion
    }
  }
}
