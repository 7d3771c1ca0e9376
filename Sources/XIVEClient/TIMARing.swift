/// The first two words of a vCPU's ring: what the presenter has for it.
///
/// Source: QEMU `include/hw/ppc/xive_regs.h`, `TM_NSR` to `TM_PIPR`.
public struct TIMARing: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The 8 bytes as one big-endian register.
  public let rawValue: UInt64

  /// Reads a register.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  private subscript(byte: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: rawValue >> (56 - byte * 8))
  }

  /// Notification source: 0x80 while an interrupt waits to be acknowledged.
  public var nsr: UInt8 { self[0] }
  /// The vCPU's own priority: only what is more favored, a lower number, interrupts it. 0xff: everything.
  public var cppr: UInt8 { self[1] }
  /// The pending priorities, 0x80 for priority 0 to 0x01 for priority 7.
  public var ipb: UInt8 { self[2] }
  /// The most favored pending priority, or 0xff.
  public var pipr: UInt8 { self[7] }

  /// Whether an interrupt waits to be acknowledged.
  public var hasInterrupt: Bool { nsr & 0x80 != 0 }

  /// The four bytes as QEMU's `info pic` shows them.
  public var description: String {
    zip(["NSR", "CPPR", "IPB", "PIPR"], [nsr, cppr, ipb, pipr])
      .map { "\($0) \($1 < 16 ? "0" : "")\(String($1, radix: 16))" }.joined(separator: " ")
  }
}

/// What a vCPU's acknowledge gave.
///
/// Source: QEMU `hw/intc/xive.c`, `xive_tctx_accept`.
public struct Acknowledgement: Hashable, Sendable {
  /// The notification source before it.
  public let nsr: UInt8
  /// The vCPU's priority after it.
  public let cppr: UInt8

  /// Takes the register apart.
  init(register: UInt64) {
    nsr = UInt8(truncatingIfNeeded: register >> 8)
    cppr = UInt8(truncatingIfNeeded: register)
  }

  /// The interrupt's priority, which the vCPU now has, or nil when there was no interrupt: the queue of that
  /// priority has the events. All ones, which a TIMA that is not there gives, are no interrupt.
  public var priority: UInt8? { nsr & 0x80 != 0 && cppr <= 7 ? cppr : nil }

  /// Whether there was an interrupt.
  public var hasInterrupt: Bool { priority != nil }
}

/// A connected vCPU as others see it.
public struct VCPUContext: Hashable, Sendable {
  /// Its OS ring; its AGE is not readable.
  public let ring: TIMARing
  /// Word 2: the valid bit and the CAM line.
  public let word2: UInt32

  /// Whether its OS context is pushed: it takes interrupts at once.
  public var isPushed: Bool { word2 & 0x8000_0000 != 0 }
}
