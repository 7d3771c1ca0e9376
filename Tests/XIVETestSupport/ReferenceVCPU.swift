/// A ring of a TIMA, by the offset of its first byte.
public enum ReferenceRing: Int, Sendable, CaseIterable {
  /// User, for event-based branches.
  case user = 0x00
  /// Operating system.
  case os = 0x10
  /// Hypervisor pool.
  case pool = 0x20
  /// Physical thread.
  case phys = 0x30
}

/// The 64 register bytes of one vCPU's TIMA.
public struct ReferenceVCPU: Hashable, Sendable {
  /// The registers.
  public internal(set) var registers: [UInt8]
  /// Whether the vCPU is connected: only then does it answer to events.
  public internal(set) var isConnected = false
  /// What the physical thread answers to; servers from 128 on have none.
  public let threadCAM: UInt32?

  // Bytes of a ring.
  static let nsr = 0
  static let cppr = 1
  static let ipb = 2
  static let pipr = 7
  static let word2 = 8

  /// The registers after a reset.
  public static let resetRegisters: [UInt8] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0xff, 0xff, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0,
  ]

  init(server: Int) {
    registers = Self.resetRegisters
    threadCAM = server < 128 ? 0x80 | UInt32(server) : nil
  }

  /// The bit of a priority in an IPB.
  /// - Parameter priority: any; above 7 there is none.
  /// - Returns: the bit, or 0.
  public static func pendingBit(of priority: UInt8) -> UInt8 {
    priority > 7 ? 0 : 0x80 >> priority
  }

  /// The most favoured priority of an IPB.
  /// - Parameter bits: the IPB.
  /// - Returns: the index of its first bit, or 0xff.
  public static func priority(of bits: UInt8) -> UInt8 {
    for priority: UInt8 in 0...7 where bits & pendingBit(of: priority) != 0 { return priority }
    return 0xff
  }

  /// Word 2 of a ring: valid bit and CAM.
  /// - Parameter ring: the ring.
  /// - Returns: the word.
  public func word2(_ ring: ReferenceRing) -> UInt32 {
    ReferenceFields.word(registers, at: ring.rawValue + Self.word2)
  }

  mutating func setWord2(_ ring: ReferenceRing, _ word: UInt32) {
    ReferenceFields.setWord(word, in: &registers, at: ring.rawValue + Self.word2)
  }

  /// Whether a line is up: an OS exception while the context is there, or an exception of the hypervisor.
  public var isLineUp: Bool {
    self[.os, Self.nsr] & 0x80 != 0 && isValid(.os) || self[.phys, Self.nsr] & 0xc0 != 0
  }

  func isValid(_ ring: ReferenceRing) -> Bool {
    ReferenceFields.field(0...0, of: word2(ring)) == 1
  }

  subscript(_ ring: ReferenceRing, _ byte: Int) -> UInt8 {
    get { registers[ring.rawValue + byte] }
    set { registers[ring.rawValue + byte] = newValue }
  }

  /// Whether a ring answers to a CAM.
  func answers(to cam: UInt32, _ ring: ReferenceRing) -> Bool {
    guard isConnected, isValid(ring) else { return false }
    return switch ring {
    case .phys: threadCAM == cam
    case .pool, .os: ReferenceFields.field(8...31, of: word2(ring)) == cam
    case .user: false
    }
  }

  /// Makes a priority pending in a ring and notifies the vCPU if it is favoured enough.
  mutating func makePending(_ bit: UInt8, _ ring: ReferenceRing) {
    self[ring, Self.ipb] |= bit
    findMostFavoured(ring)
    raise(ring)
  }

  /// Sets PIPR from IPB; the pool's is in the physical ring, together with that ring's own.
  private mutating func findMostFavoured(_ ring: ReferenceRing) {
    switch ring {
    case .os: self[.os, Self.pipr] = Self.priority(of: self[.os, Self.ipb])
    case .pool, .phys:
      let pool = Self.priority(of: self[.pool, Self.ipb])
      let phys = Self.priority(of: self[.phys, Self.ipb])
      self[.phys, Self.pipr] = pool < phys ? pool : phys
    case .user: break
    }
  }

  /// Sets NSR if what is pending is more favoured than CPPR; true if so.
  @discardableResult
  private mutating func raise(_ ring: ReferenceRing) -> Bool {
    let home = ring == .pool ? .phys : ring
    guard self[home, Self.pipr] < self[home, Self.cppr] else { return false }
    if home == .os {
      self[.os, Self.nsr] |= 0x80
    } else {
      let pool = Self.priority(of: self[.pool, Self.ipb])
      let phys = Self.priority(of: self[.phys, Self.ipb])
      let event: UInt8 = pool < phys ? 0x40 : 0x80
      self[.phys, Self.nsr] = self[.phys, Self.nsr] & 0x3f | event
    }
    return true
  }

  /// Sets CPPR of the OS or PHYS ring; what is pending and no longer favoured enough is taken back.
  mutating func setCPPR(_ ring: ReferenceRing, _ value: UInt8) {
    self[ring, Self.cppr] = value > 7 ? 0xff : value
    if !raise(ring) { self[ring, Self.nsr] = 0 }
  }

  /// Acknowledges what is pending in the OS or PHYS ring; NSR << 8 | CPPR.
  mutating func acknowledge(_ ring: ReferenceRing) -> UInt64 {
    let events: UInt8 = ring == .os ? 0x80 : 0xc0
    let nsr = self[ring, Self.nsr]
    if nsr & events == 0 { return UInt64(nsr) << 8 | UInt64(self[ring, Self.cppr]) }
    let taken = self[ring, Self.pipr]
    let from: ReferenceRing = ring == .phys && nsr & 0xc0 == 0x40 ? .pool : ring
    self[ring, Self.cppr] = taken
    self[from, Self.ipb] &= ~Self.pendingBit(of: taken)
    findMostFavoured(ring)
    self[ring, Self.nsr] &= ~events
    return UInt64(nsr) << 8 | UInt64(taken)
  }
}
