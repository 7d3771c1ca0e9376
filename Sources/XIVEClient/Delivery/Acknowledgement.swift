public import XIVEModel

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
  public var priority: Priority? { nsr & 0x80 != 0 ? Priority(rawValue: cppr) : nil }

  /// Whether there was an interrupt.
  public var hasInterrupt: Bool { priority != nil }
}

/// A connected vCPU as others see it.
public struct VCPUContext: Hashable, Sendable {
  /// Its OS ring; its AGE is not readable.
  public let ring: RingState
  /// Word 2: the valid bit and the CAM line.
  public let word2: UInt32

  /// Whether its OS context is pushed: it takes interrupts at once.
  public var isPushed: Bool { word2 & RingState.valid != 0 }
}
