/// Which of a source's two ESB pages: the even one triggers, the odd one manages.
public enum ESBHalf: UInt32, Hashable, Sendable, CaseIterable {
  /// The trigger page: a store anywhere in it is one trigger.
  case trigger = 0
  /// The management page, also called the EOI page.
  case management = 1
}

/// What one 8-byte load or store on an ESB page asks of the source.
public enum ESBOperation: Hashable, Sendable {
  /// Triggers the source.
  case trigger
  /// Ends the interrupt by a load.
  case loadEOI
  /// Ends the interrupt by a store, where StoreEOI is supported.
  case storeEOI
  /// Reads PQ.
  case get
  /// Sets PQ and returns what it was; never forwards an event.
  case set(PQ)
  /// Not architected: a load gives all ones, a store is dropped.
  case none
}

extension ESBOperation {
  /// Decodes a load: the low 12 bits of the offset tell the operation.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_source_esb_read`; offsets from Linux
  /// `arch/powerpc/include/asm/xive-regs.h`, `XIVE_ESB_LOAD_EOI`, `XIVE_ESB_GET`, `XIVE_ESB_SET_PQ_00`.
  /// - Parameters:
  ///   - offset: byte offset in the page.
  ///   - half: the page that is loaded from.
  /// - Returns: the operation; ``none`` on a trigger page.
  public static func load(at offset: UInt64, of half: ESBHalf) -> ESBOperation {
    guard half == .management else { return .none }
    switch offset & 0xfff {
    case 0x000...0x7ff: return .loadEOI
    case 0x800...0xbff: return .get
    default: return .set(PQ(atOffset: offset))
    }
  }

  /// Decodes a store; the data stored never matters.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_source_esb_write`. Differs: a store at 800-bff of the
  /// management page, QEMU's internal "inject", is not architected and does nothing here.
  /// - Parameters:
  ///   - offset: byte offset in the page.
  ///   - half: the page that is stored to.
  /// - Returns: the operation; always ``trigger`` on a trigger page.
  public static func store(at offset: UInt64, of half: ESBHalf) -> ESBOperation {
    guard half == .management else { return .trigger }
    switch offset & 0xfff {
    case 0x000...0x3ff: return .trigger
    case 0x400...0x7ff: return .storeEOI
    case 0x800...0xbff: return .none
    default: return .set(PQ(atOffset: offset))
    }
  }
}

extension PQ {
  /// The state that the SET_PQ window at `offset` (c00, d00, e00, f00) sets.
  fileprivate init(atOffset offset: UInt64) {
    self.init(rawValue: UInt8(truncatingIfNeeded: offset >> 8))
  }
}
