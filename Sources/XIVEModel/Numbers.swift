/// A logical interrupt source number: what a guest calls an interrupt.
///
/// The kernel calls it the guest irq; with direct mapping it equals the GSI.
/// Source: Linux `arch/powerpc/kvm/book3s_xive.h`, `KVMPPC_XIVE_NR_IRQS`.
public struct LISN: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The architecture's limit of sources that one device file serves.
  public static let maximumCount = 1_048_576

  /// The plain number, from 0.
  public let rawValue: UInt32

  /// Creates a source number; a table checks it against its own size when it is used.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Orders by number.
  public static func < (a: LISN, b: LISN) -> Bool { a.rawValue < b.rawValue }

  /// The number in hexadecimal, as QEMU prints it.
  public var description: String { "0x" + String(rawValue, radix: 16) }
}

/// The index of a passed-through PHB, from 0 to 1,023.
public struct PHBIndex: RawRepresentable, Hashable, Sendable {
  /// The number of PHBs that one device file has room for.
  public static let maximumCount = 1_024

  /// The plain index.
  public let rawValue: UInt16

  /// Creates an index, or nil beyond ``maximumCount``.
  public init?(rawValue: UInt16) {
    guard rawValue < Self.maximumCount else { return nil }
    self.rawValue = rawValue
  }
}

/// An interrupt number of a PHB: its MSIs from 0, then its LSIs.
public struct HardwareIRQ: RawRepresentable, Hashable, Sendable {
  /// The most interrupts that one PHB may have.
  public static let maximumCount = 65_536

  /// The plain number.
  public let rawValue: UInt16

  /// Creates a hardware interrupt number.
  public init(rawValue: UInt16) { self.rawValue = rawValue }
}

/// A server number: the interrupt controller's name for a vCPU.
public struct Server: RawRepresentable, Hashable, Sendable {
  /// The most servers that one device file has room for.
  ///
  /// Source: Linux `KVM_MAX_VCPU_IDS` on Book3S HV is of this order; the file's region 3 sets no
  /// tighter bound.
  public static let maximumCount = 16_384

  /// The plain number.
  public let rawValue: UInt32

  /// Creates a server number.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}
