/// The four rings of a TIMA; the raw value is where each begins, over 16.
public enum TIMARing: UInt32, Hashable, Sendable, CaseIterable {
  /// The user's ring.
  case user = 0
  /// The operating system's ring.
  case os = 1
  /// The hypervisor's ring for a pool of virtual processors. It has no NSR, CPPR and PIPR of its own: its interrupts
  /// are presented in the physical ring.
  case pool = 2
  /// The physical thread's ring.
  case phys = 3
}

/// One ring as two big-endian registers: NSR, CPPR, IPB, LSMFB, ACK#, INC, AGE, PIPR; then words 2 and 3.
///
/// Source: QEMU `include/hw/ppc/xive_regs.h`, `TM_NSR` and its neighbours, `TM_WORD2`.
public struct RingState: Hashable, Sendable, CustomStringConvertible {
  /// The first eight bytes.
  public var w01: UInt64 = 0
  /// The other eight.
  public var w23: UInt64 = 0

  /// Creates a ring of its registers.
  /// - Parameters:
  ///   - w01: the first eight bytes.
  ///   - w23: the other eight.
  public init(w01: UInt64 = 0, w23: UInt64 = 0) {
    self.w01 = w01
    self.w23 = w23
  }

  /// Notification source: whether there is an interrupt to take, and of which kind.
  public var nsr: UInt8 {
    get { UInt8(truncatingIfNeeded: w01 >> 56) }
    set { w01 = w01 & ~(0xff << 56) | UInt64(newValue) << 56 }
  }
  /// Current processor priority: what is less favored, or as much, waits.
  public var cppr: UInt8 {
    get { UInt8(truncatingIfNeeded: w01 >> 48) }
    set { w01 = w01 & ~(0xff << 48) | UInt64(newValue) << 48 }
  }
  /// Interrupt pending buffer: a bit for each priority, the most favored highest.
  public var ipb: UInt8 {
    get { UInt8(truncatingIfNeeded: w01 >> 40) }
    set { w01 = w01 & ~(0xff << 40) | UInt64(newValue) << 40 }
  }
  /// Pending interrupt priority: the most favored in the IPB, 0xff for none.
  public var pipr: UInt8 {
    get { UInt8(truncatingIfNeeded: w01) }
    set { w01 = w01 & ~0xff | UInt64(newValue) }
  }
  /// Word 2: whether the context is valid, and its CAM line.
  public var word2: UInt32 {
    get { UInt32(truncatingIfNeeded: w23 >> 32) }
    set { w23 = w23 & 0xffff_ffff | UInt64(newValue) << 32 }
  }

  /// Whether the ring has an interrupt to take.
  public var hasInterrupt: Bool { nsr & 0x80 != 0 }

  /// NSR, CPPR, IPB and PIPR as QEMU's `info pic` shows them.
  public var description: String {
    zip(["NSR", "CPPR", "IPB", "PIPR"], [nsr, cppr, ipb, pipr])
      .map { "\($0) \($1 < 16 ? "0" : "")\(String($1, radix: 16))" }.joined(separator: " ")
  }

  /// The bit of word 2 that makes a context valid: VU, VO, VP, VT.
  public static let valid: UInt32 = 1 << 31

  /// The priority of the most favored bit of a pending buffer, 0xff for none.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `ipb_to_pipr`.
  static func pipr(of ipb: UInt8) -> UInt8 {
    ipb == 0 ? 0xff : UInt8(ipb.leadingZeroBitCount)
  }
}
