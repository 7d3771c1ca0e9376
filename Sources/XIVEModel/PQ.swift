/// The two state bits of an interrupt source: P (pending) and Q (queued).
///
/// Source: QEMU `hw/intc/xive.c`, `xive_esb_trigger`, `xive_esb_eoi`, `xive_esb_set`.
public struct PQ: RawRepresentable, Hashable, Sendable, CaseIterable, CustomStringConvertible {
  /// P in bit 1, Q in bit 0.
  public let rawValue: UInt8

  /// Creates the state from its two bits; all others are dropped.
  public init(rawValue: UInt8) { self.rawValue = rawValue & 0b11 }

  /// Ready: the next trigger is forwarded.
  public static let reset = PQ(rawValue: 0b00)
  /// Off: triggers are dropped.
  public static let off = PQ(rawValue: 0b01)
  /// An event was forwarded and not yet ended.
  public static let pending = PQ(rawValue: 0b10)
  /// Pending, and at least one more trigger arrived since.
  public static let queued = PQ(rawValue: 0b11)

  /// All four states, in numeric order.
  public static let allCases: [PQ] = [.reset, .off, .pending, .queued]

  /// The two bits as they are written in the architecture: `00`, `01`, `10`, `11`.
  public var description: String { ["00", "01", "10", "11"][Int(rawValue)] }

  /// Takes a trigger.
  /// - Returns: whether the event is forwarded to the router.
  public mutating func trigger() -> Bool {
    switch self {
    case .reset:
      self = .pending
      return true
    case .pending, .queued:
      self = .queued
      return false
    default:
      return false
    }
  }

  /// Ends the interrupt (EOI).
  /// - Returns: whether a queued event is forwarded now; it is also the value of an EOI load.
  public mutating func endOfInterrupt() -> Bool {
    switch self {
    case .queued:
      self = .pending
      return true
    case .pending:
      self = .reset
      return false
    default:
      return false
    }
  }
}
