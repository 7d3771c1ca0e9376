/// What one load or store in a TIMA page asks for.
///
/// Source: QEMU `hw/intc/xive.c`, `xive_tm_operations`; Linux `arch/powerpc/include/asm/xive-regs.h`, `TM_SPC_ACK_OS_REG`
/// and its neighbours.
public enum TIMAOperation: Hashable, Sendable {
  /// The plain bytes of two words, of which the view shows (or lets change) some.
  case raw(RawAccess)
  /// A ring's CPPR: read, or replaced with what follows from it.
  case cppr(TIMARing)
  /// Takes the OS interrupt (load).
  case acknowledgeOS
  /// Takes the hypervisor's interrupt (load).
  case acknowledgeHypervisor
  /// Takes the event-based branch (load).
  case acknowledgeUser
  /// Makes a priority pending in the OS ring (store).
  case setPending
  /// Gives a ring a context (store).
  case push(TIMARing)
  /// Takes a ring's context away (load).
  case pull(TIMARing)
  /// Whether the physical thread takes interrupts: read, or replaced.
  case threadValid

  /// Some bytes of a ring's two words.
  public struct RawAccess: Hashable, Sendable {
    /// The ring.
    public let ring: TIMARing
    /// Whether they are words 2 and 3.
    public let isUpperHalf: Bool
    /// The bits that may be seen or changed, in the eight-byte register.
    public let mask: UInt64
    /// Where in that register the access has its lowest bit.
    public let shift: UInt64
  }

  /// Whether it changes something although it is a load.
  public var hasEffect: Bool {
    switch self {
    case .acknowledgeOS, .acknowledgeHypervisor, .acknowledgeUser, .pull: true
    case .raw, .cppr, .setPending, .push, .threadValid: false
    }
  }

  /// Decodes a load.
  /// - Parameters:
  ///   - offset: byte offset in the page; the low 12 bits decode.
  ///   - byteCount: 1, 2, 4 or 8; the offset is a multiple of it.
  ///   - view: the page.
  /// - Returns: what it asks for, or nil where the view has no such register of that size: all ones.
  public static func load(at offset: UInt64, byteCount: Int, view: TIMAView) -> TIMAOperation? {
    if let (leastPrivileged, operation) = specialLoad(offset, byteCount),
      leastPrivileged.rawValue >= view.rawValue
    {
      return operation
    }
    return raw(offset, byteCount, view.readable)
  }

  /// Decodes a store.
  /// - Parameters:
  ///   - offset: byte offset in the page; the low 12 bits decode.
  ///   - byteCount: 1, 2, 4 or 8; the offset is a multiple of it.
  ///   - view: the page.
  /// - Returns: what it asks for, or nil where the view has no such register of that size: dropped.
  public static func store(at offset: UInt64, byteCount: Int, view: TIMAView) -> TIMAOperation? {
    if let (leastPrivileged, operation) = specialStore(offset, byteCount),
      leastPrivileged.rawValue >= view.rawValue
    {
      return operation
    }
    return raw(offset, byteCount, view.writable)
  }

  // Switches, not tables in memory: every acknowledgement and every CPPR comes through here.

  /// The special loads, each with the least privileged view that has it.
  private static func specialLoad(_ offset: UInt64, _ byteCount: Int)
    -> (view: TIMAView, operation: TIMAOperation)?
  {
    switch (offset & 0xfff, byteCount) {
    // Hardware has it; QEMU does not.
    case (0x011, 1): (.os, .cppr(.os))
    case (0x038, 1): (.hv, .threadValid)
    case (0x800, 1): (.user, .acknowledgeUser)
    case (0x808, 4): (.os, .pull(.user))
    case (0x810, 2): (.os, .acknowledgeOS)
    case (0x818, 4), (0x818, 8): (.hv, .pull(.os))
    case (0x828, 4), (0x828, 8): (.hv, .pull(.pool))
    case (0x830, 2): (.hv, .acknowledgeHypervisor)
    default: nil
    }
  }

  /// The special stores.
  ///
  /// What acknowledges or pulls into a reporting cache line (c08, c10, c20, c30) needs a line, and nothing here
  /// can set one: dropped, as a guest error.
  private static func specialStore(_ offset: UInt64, _ byteCount: Int)
    -> (view: TIMAView, operation: TIMAOperation)?
  {
    switch (offset & 0xfff, byteCount) {
    case (0x011, 1): (.os, .cppr(.os))
    case (0x018, 4): (.hv, .push(.os))
    case (0x031, 1): (.hv, .cppr(.phys))
    case (0x038, 1): (.hv, .threadValid)
    case (0x808, 4): (.os, .push(.user))
    case (0x812, 1): (.os, .setPending)
    default: nil
    }
  }

  /// Below 800 the rings repeat every 64 bytes; the user's ring takes no plain access.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_tm_raw_read`, `xive_tm_raw_write`.
  private static func raw(
    _ offset: UInt64, _ byteCount: Int, _ masks: InlineArray<8, UInt64>
  ) -> TIMAOperation? {
    guard offset & 0x800 == 0, byteCount == 4 || byteCount == 8 else { return nil }
    guard let ring = TIMARing(rawValue: UInt32(offset >> 4 & 3)), ring != .user else { return nil }
    let shift = UInt64(8 - byteCount) * 8 - (offset & 7) * 8
    let part: UInt64 = byteCount == 8 ? .max : 0xffff_ffff << shift
    let mask = masks[Int(offset >> 3 & 7)] & part
    guard mask != 0 else { return nil }
    return .raw(
      RawAccess(ring: ring, isUpperHalf: offset & 8 != 0, mask: mask, shift: shift))
  }
}

extension TIMAView {
  /// The bits that loads see, for each of the four rings' two registers.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_tm_hw_view`, `xive_tm_hv_view`, `xive_tm_os_view`.
  fileprivate var readable: InlineArray<8, UInt64> {
    switch self {
    case .hw:
      [
        0xff00_0000_0000_0000, 0xffff_ffff_0000_0000,
        0xffff_ffff_ffff_00ff, 0xffff_ffff_0000_0000,
        0x0000_ffff_0000_0000, 0xffff_ffff_0000_0000,
        0xffff_ffff_00ff_00ff, 0xff00_00ff_ffff_ff00,
      ]
    case .hv:
      [
        0xff00_0000_0000_0000, 0xffff_ffff_0000_0000,
        0xffff_ffff_ffff_00ff, 0xffff_ffff_0000_0000,
        0x0000_ffff_0000_0000, 0x00ff_ffff_0000_0000,
        0xffff_ffff_00ff_00ff, 0xff00_00ff_0000_0000,
      ]
    case .os:
      [
        0xff00_0000_0000_0000, 0xffff_ffff_0000_0000,
        0xffff_ffff_ffff_00ff, 0,
        0, 0,
        0, 0,
      ]
    case .user: [0xff00_0000_0000_0000, 0, 0, 0, 0, 0, 0, 0]
    }
  }

  /// The bits that stores change.
  fileprivate var writable: InlineArray<8, UInt64> {
    var masks = readable
    switch self {
    case .hw, .hv:
      // PIPR follows from the rest.
      masks[2] &= ~0xff
      masks[6] &= ~0xff
    case .os: masks[2] = 0x00ff_0000_0000_0000
    case .user: break
    }
    return masks
  }
}

extension RingState {
  /// What a load of the first eight bytes in the OS view gives.
  public var osView: UInt64 { w01 & TIMAView.os.readable[2] }
}
