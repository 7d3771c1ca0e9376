public import XIVEModel

/// A PHB that a device has.
public struct PHBStatus: Hashable, Sendable {
  /// What it was added with.
  public let shape: PHBShape
  /// How many of its interrupts are mapped.
  public let mappedCount: UInt32
}

/// The interrupt of a PHB that serves a source.
public struct PassthroughTarget: Hashable, Sendable {
  /// The PHB.
  public let phb: PHBIndex
  /// Its interrupt.
  public let irq: HardwareIRQ

  /// Names an interrupt.
  /// - Parameters:
  ///   - phb: the PHB.
  ///   - irq: its interrupt.
  public init(_ phb: PHBIndex, _ irq: HardwareIRQ) {
    self.phb = phb
    self.irq = irq
  }
}

/// What serves a source.
public struct PassthroughStatus: Hashable, Sendable {
  /// The interrupt, or nil while the source is on its own pages.
  public let target: PassthroughTarget?
  /// Grows with each map and unmap.
  public let generation: UInt64
}

/// The state of one interrupt of a PHB.
public struct HardwareState: Hashable, Sendable {
  /// PQ of its ESB page.
  public let pq: PQ
  /// Whether the line of an LSI is high.
  public let isAsserted: Bool
}
