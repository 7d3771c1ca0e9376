internal import CXIVE
internal import XIVEModel

/// One source in region 0x1000: where its events go, and its state.
struct SourceRecord {
  static let byteCount = MemoryLayout<xive_source_state>.size

  var config: UInt64
  var flags: UInt64

  init(_ value: xive_source_state) {
    config = value.config
    flags = value.flags
  }

  var value: xive_source_state { xive_source_state(config: config, flags: flags) }

  /// Describes a source.
  /// - Parameters:
  ///   - state: its own state.
  ///   - word: what serves it.
  ///   - servingPQ: PQ of the PHB's interrupt that it is mapped to.
  ///   - eas: where its events go.
  init(_ state: SourceState, _ word: BackingWord, servingPQ: PQ?, _ eas: EAS) {
    guard let backing = word.backing else {
      config = 0
      flags = 0
      return
    }
    config = eas.isValid && !eas.isMasked ? eas.configuration : KVM_XIVE_SOURCE_MASKED_MASK
    flags = UInt64((servingPQ ?? state.pq).rawValue) | UInt64(XIVE_STATE_VALID)
    if state.isLSI { flags |= UInt64(XIVE_STATE_LSI) }
    if state.isAsserted { flags |= UInt64(XIVE_STATE_ASSERTED) }
    if state.isLatched { flags |= UInt64(XIVE_STATE_LATCHED) }
    if state.isRaised { flags |= UInt64(XIVE_STATE_IRQFD) }
    flags |= Self.passthrough(backing)
  }

  private static func passthrough(_ backing: Backing) -> UInt64 {
    guard case .phb(let phb, let irq) = backing else { return 0 }
    return UInt64(XIVE_STATE_PASSTHROUGH) | UInt64(irq.rawValue) << UInt64(XIVE_STATE_HWIRQ_SHIFT)
      | UInt64(phb.rawValue) << UInt64(XIVE_STATE_PHB_SHIFT)
  }

  /// Whether the source exists.
  var isValid: Bool { flags & UInt64(XIVE_STATE_VALID) != 0 }

  /// P and Q.
  var pq: PQ { PQ(rawValue: UInt8(truncatingIfNeeded: flags)) }

  /// The state that the source itself gets.
  var state: SourceState {
    var state = SourceState.absent
    state.pq = pq
    state.isCreated = true
    state.isLSI = flags & UInt64(XIVE_STATE_LSI) != 0
    state.isAsserted = flags & UInt64(XIVE_STATE_ASSERTED) != 0
    state.isLatched = flags & UInt64(XIVE_STATE_LATCHED) != 0
    return state
  }

  /// Whether it says of the hardware behind a source what is so.
  func agrees(with word: BackingWord) -> Bool {
    let mask = ~UInt64(0xff) | UInt64(XIVE_STATE_PASSTHROUGH)
    return flags & mask == word.backing.map(Self.passthrough) ?? 0
  }

  /// Where events go, as long as servers are below a limit; nil for a configuration that is none.
  func eas(serverLimit: UInt32) -> EAS? {
    guard config & KVM_XIVE_SOURCE_MASKED_MASK == 0 else {
      return config == KVM_XIVE_SOURCE_MASKED_MASK ? .masked : nil
    }
    let server = (config & KVM_XIVE_SOURCE_SERVER_MASK) >> UInt64(KVM_XIVE_SOURCE_SERVER_SHIFT)
    let bits = UInt8(config & UInt64(KVM_XIVE_SOURCE_PRIORITY_MASK))
    guard server < UInt64(serverLimit), let priority = Priority(rawValue: bits), bits < 7 else {
      return nil
    }
    return EAS(
      to: ENDIndex(Server(rawValue: UInt32(server)), priority),
      eisn: EISN(rawValue: UInt32(config >> UInt64(KVM_XIVE_SOURCE_EISN_SHIFT))))
  }
}

extension EAS {
  /// As SOURCE_CONFIG has it: an END's number is that of its server and priority.
  var configuration: UInt64 {
    UInt64(end.rawValue) | UInt64(eisn.rawValue) << UInt64(KVM_XIVE_SOURCE_EISN_SHIFT)
  }
}
