/// The registers of one thread's interrupt management area, and what happens to them.
///
/// Source: QEMU `hw/intc/xive.c`, `xive_tctx_reset_handler`, `xive_tctx_accept`, `xive_tctx_notify`,
/// `xive_tctx_ipb_update`. Differs: where CPPR is set to what is as favored as the pending interrupt, or more, NSR
/// and the line drop, as since QEMU 10.1; interrupts of the pool are presented in the physical ring, as there.
public struct TIMA: Hashable, Sendable {
  /// The operating system's ring.
  public internal(set) var os = RingState()
  /// The user's ring.
  public internal(set) var user = RingState()
  /// The pool's ring.
  public internal(set) var pool = RingState()
  /// The physical thread's ring.
  public internal(set) var phys = RingState()

  /// NSR of the OS ring: an exception, EO.
  static let osException: UInt8 = 0x80
  /// NSR of the physical ring: the two bits that tell whose the interrupt is, HE.
  static let hvException: UInt8 = 0xc0
  /// HE: the pool's.
  static let poolException: UInt8 = 0x40
  /// HE: the physical thread's.
  static let physException: UInt8 = 0x80
  /// NSR of the user ring: an event-based branch.
  static let userException: UInt8 = 0x80

  /// Creates the registers as reset leaves them: CPPR 0 lets nothing through.
  public init() {
    os.w01 = 0x0000_00ff_ff00_ffff
    phys.w01 = 0x0000_0000_0000_00ff
  }

  /// One of the rings.
  public internal(set) subscript(ring: TIMARing) -> RingState {
    get {
      switch ring {
      case .user: user
      case .os: os
      case .pool: pool
      case .phys: phys
      }
    }
    set {
      switch ring {
      case .user: user = newValue
      case .os: os = newValue
      case .pool: pool = newValue
      case .phys: phys = newValue
      }
    }
  }

  /// Whether there is an interrupt to take: in the OS ring while its context is there, or in the physical ring.
  public var isLineUp: Bool {
    os.nsr & Self.osException != 0 && os.word2 & RingState.valid != 0
      || phys.nsr & Self.hvException != 0
  }

  /// Adds bits to a ring's pending buffer, and presents what is more favored than its CPPR.
  mutating func deposit(_ ipb: UInt8, in ring: TIMARing) {
    switch ring {
    case .os:
      os.ipb |= ipb
      os.pipr = RingState.pipr(of: os.ipb)
      if os.pipr < os.cppr { os.nsr |= Self.osException }
    case .pool, .phys:
      self[ring].ipb |= ipb
      phys.pipr = RingState.pipr(of: phys.ipb | pool.ipb)
      if phys.pipr < phys.cppr { presentHypervisor() }
    case .user: break
    }
  }

  private mutating func presentHypervisor() {
    let isPool = RingState.pipr(of: pool.ipb) < RingState.pipr(of: phys.ipb)
    phys.nsr = phys.nsr & ~Self.hvException | (isPool ? Self.poolException : Self.physException)
  }

  /// Replaces a CPPR; what is above 7 lets everything through.
  mutating func setCPPR(_ value: UInt8, of ring: TIMARing) {
    let cppr = value > 7 ? 0xff : value
    switch ring {
    case .os:
      os.cppr = cppr
      if os.pipr < cppr { os.nsr |= Self.osException } else { os.nsr = 0 }
    case .phys:
      phys.cppr = cppr
      if phys.pipr < cppr { presentHypervisor() } else { phys.nsr = 0 }
    case .user, .pool: break
    }
  }

  /// Takes the OS interrupt.
  /// - Returns: NSR as it was in the upper byte, CPPR as it is now in the lower.
  mutating func acknowledgeOS() -> UInt16 {
    let nsr = os.nsr
    if nsr & Self.osException != 0 {
      os.cppr = os.pipr
      os.ipb &= ~(Priority(rawValue: os.cppr)?.ipb ?? 0)
      os.pipr = RingState.pipr(of: os.ipb)
      os.nsr &= ~Self.osException
    }
    return UInt16(nsr) << 8 | UInt16(os.cppr)
  }

  /// Takes the hypervisor's interrupt, of the physical ring or of the pool, as NSR says.
  /// - Returns: NSR as it was in the upper byte, CPPR as it is now in the lower.
  mutating func acknowledgeHypervisor() -> UInt16 {
    let nsr = phys.nsr
    if nsr & Self.hvException != 0 {
      phys.cppr = phys.pipr
      let bit = Priority(rawValue: phys.cppr)?.ipb ?? 0
      if nsr & Self.hvException == Self.poolException {
        pool.ipb &= ~bit
      } else {
        phys.ipb &= ~bit
      }
      phys.pipr = RingState.pipr(of: phys.ipb | pool.ipb)
      phys.nsr &= ~Self.hvException
    }
    return UInt16(nsr) << 8 | UInt16(phys.cppr)
  }

  /// Takes the event-based branch.
  /// - Returns: the user ring's NSR as it was.
  mutating func acknowledgeUser() -> UInt8 {
    let nsr = user.nsr
    user.nsr &= ~Self.userException
    return nsr
  }
}
