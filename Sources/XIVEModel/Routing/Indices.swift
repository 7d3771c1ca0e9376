/// One of the eight priorities of an interrupt; 0 is the most favored.
public struct Priority: RawRepresentable, Hashable, Sendable, Comparable, CaseIterable {
  /// The plain number, 0 to 7.
  public let rawValue: UInt8

  /// Creates a priority, or nil for a number that is none.
  public init?(rawValue: UInt8) {
    guard rawValue < 8 else { return nil }
    self.rawValue = rawValue
  }

  /// All priorities, the most favored first.
  public static let allCases: [Priority] = (0..<8).compactMap { Priority(rawValue: $0) }

  /// Orders by number: a more favored priority is less.
  public static func < (a: Priority, b: Priority) -> Bool { a.rawValue < b.rawValue }

  /// Its bit in an interrupt pending buffer.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_priority_to_ipb`.
  public var ipb: UInt8 { 0x80 >> rawValue }
}

/// The number that a guest finds in its queue: the EISN, or END data. 31 bits.
public struct EISN: RawRepresentable, Hashable, Sendable {
  /// The plain number; the highest bit is never set.
  public let rawValue: UInt32

  /// Creates a number of the low 31 bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue & 0x7fff_ffff }
}

/// The number of an event notification descriptor: its block in bits 27-24, its index in 23-0.
///
/// In this controller block 0 alone has ENDs, eight for each server.
/// Source: QEMU `include/hw/ppc/xive_regs.h`, `EAS_END_BLOCK`, `EAS_END_INDEX`; `hw/intc/spapr_xive.c`,
/// `spapr_xive_cpu_to_end`.
public struct ENDIndex: RawRepresentable, Hashable, Sendable {
  /// Block and index.
  public let rawValue: UInt32

  /// Creates a number of the low 28 bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue & 0x0fff_ffff }

  /// Creates the number of a server's END.
  /// - Parameters:
  ///   - server: the server.
  ///   - priority: which of its eight.
  public init(_ server: Server, _ priority: Priority) {
    self.init(rawValue: server.rawValue * 8 + UInt32(priority.rawValue))
  }
}

/// The number of a notification virtual target: its block in bits 22-19, its index in 18-0. It is also the CAM line by
/// which a ring of a TIMA is found.
///
/// Source: QEMU `include/hw/ppc/xive_regs.h`, `xive_nvt_cam_line`; the base of the servers' NVTs from
/// `hw/intc/spapr_xive.c`, `SPAPR_XIVE_NVT_BASE`: below are the numbers of physical threads.
public struct NVTIndex: RawRepresentable, Hashable, Sendable {
  /// Block and index.
  public let rawValue: UInt32

  /// Creates a number of the low 23 bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue & 0x7f_ffff }

  /// The index of server 0.
  public static let base: UInt32 = 0x400

  /// Creates the number of a server's vCPU.
  /// - Parameter server: the server.
  public init(_ server: Server) { self.init(rawValue: Self.base + server.rawValue) }

  /// Creates the number of the physical thread that a server's TIMA belongs to; nil beyond the 128 that a chip has
  /// numbers for.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_tctx_hw_cam_line`.
  /// - Parameter server: the server.
  public init?(physicalThreadOf server: Server) {
    guard server.rawValue < 0x80 else { return nil }
    self.init(rawValue: 0x80 | server.rawValue)
  }
}
