/// What a PHB brings along: its interrupts and whether its pages take StoreEOI.
public struct PHBShape: Hashable, Sendable {
  /// Message-signalled interrupts: hardware irqs from 0.
  public let msiCount: UInt32
  /// Level-sensitive interrupts: hardware irqs behind the messages.
  public let lsiCount: UInt32
  /// Whether a store at 400-7ff of its pages ends the interrupt.
  public let supportsStoreEOI: Bool

  /// Creates the shape of a PHB; a device checks it when the PHB is added.
  /// - Parameters:
  ///   - msiCount: message-signalled interrupts.
  ///   - lsiCount: level-sensitive interrupts.
  ///   - supportsStoreEOI: whether StoreEOI works on its pages.
  public init(msiCount: UInt32, lsiCount: UInt32 = 0, supportsStoreEOI: Bool = false) {
    self.msiCount = msiCount
    self.lsiCount = lsiCount
    self.supportsStoreEOI = supportsStoreEOI
  }

  /// All of its interrupts.
  public var irqCount: UInt64 { UInt64(msiCount) + UInt64(lsiCount) }

  /// Whether an interrupt is level-sensitive.
  /// - Parameter irq: an interrupt of the PHB.
  /// - Returns: false for a message.
  public func isLSI(_ irq: HardwareIRQ) -> Bool { UInt32(irq.rawValue) >= msiCount }
}

/// A run of sources and the run of a PHB's interrupts that serves them, in the same order.
public struct PassthroughRun: Hashable, Sendable {
  /// The first source.
  public let firstLISN: LISN
  /// The PHB.
  public let phb: PHBIndex
  /// The PHB's interrupt behind the first source; a device checks the last one when the run is used.
  public let firstIRQ: HardwareIRQ
  /// How many of both.
  public let count: UInt32

  /// Creates a run.
  /// - Parameters:
  ///   - firstLISN: the first source.
  ///   - phb: the PHB.
  ///   - firstIRQ: its interrupt behind the first source.
  ///   - count: how many of both.
  public init(_ firstLISN: LISN, to phb: PHBIndex, _ firstIRQ: HardwareIRQ, count: UInt32 = 1) {
    self.firstLISN = firstLISN
    self.phb = phb
    self.firstIRQ = firstIRQ
    self.count = count
  }
}

/// What a physical device does with one of its interrupts; the raw values are the ABI's `XIVE_HWIRQ_`.
public enum HardwareOperation: UInt32, Hashable, Sendable, CaseIterable {
  /// Sends one message.
  case trigger = 1
  /// Raises the line of a level-sensitive interrupt.
  case assert = 2
  /// Lowers it.
  case deassert = 3
  /// Fences the whole PHB: its pages give all ones and take nothing.
  case fence = 4
  /// Lets it work again, in the state that it had.
  case unfence = 5
}
