internal import CXIVE
public import XIVEModel

/// The state of one source as the device reads and writes it in bulk: `struct xive_source_state`, 16 bytes.
///
/// Two words that mean something together; the properties take them apart. An array of records is what a transfer
/// moves, with nothing converted.
public struct SourceRecord: Hashable, Sendable, BitwiseCopyable {
  /// Where events go: the kernel's layout of a source's configuration.
  public private(set) var configuration: UInt64
  /// The other word: PQ and what holds the line; `XIVE_STATE_` of `xive.h`.
  public private(set) var flags: UInt64

  /// Creates a record of its words.
  /// - Parameters:
  ///   - configuration: where events go.
  ///   - flags: everything else.
  public init(configuration: UInt64, flags: UInt64) {
    self.configuration = configuration
    self.flags = flags
  }

  /// A source that was never created. When it is set: one that is off and masked.
  public static let absent = SourceRecord(configuration: 0, flags: 0)

  /// Creates the record of a source that exists and is masked.
  /// - Parameters:
  ///   - pq: its state.
  ///   - isLSI: whether it is level-sensitive.
  public init(pq: PQ, isLSI: Bool = false) {
    self.init(
      configuration: UInt64(KVM_XIVE_SOURCE_MASKED_MASK),
      flags: XIVE_STATE_VALID | UInt64(pq.rawValue) | (isLSI ? XIVE_STATE_LSI : 0))
  }

  // MARK: - Where events go

  /// Whether events are dropped; the rest of the route means nothing then.
  public var isMasked: Bool { configuration & UInt64(KVM_XIVE_SOURCE_MASKED_MASK) != 0 }

  /// The server.
  public var server: Server {
    Server(rawValue: UInt32((configuration & UInt64(KVM_XIVE_SOURCE_SERVER_MASK)) >> 3))
  }

  /// The priority.
  public var priority: Priority {
    // Three bits are always one.
    Priority(rawValue: UInt8(configuration & 7)) ?? .allCases[0]
  }

  /// What the entries of the queue say.
  public var eisn: EISN { EISN(rawValue: UInt32(configuration >> 33)) }

  /// Has events go to a server's queue.
  /// - Parameters:
  ///   - server: the server.
  ///   - priority: 0 to 6.
  ///   - eisn: what the entries of its queue will say.
  public mutating func route(to server: Server, _ priority: Priority, eisn: EISN) {
    configuration = xive_source_config(
      server.rawValue, UInt32(priority.rawValue), eisn.rawValue, 0)
  }

  /// Has events dropped.
  public mutating func mask() { configuration = UInt64(KVM_XIVE_SOURCE_MASKED_MASK) }

  // MARK: - The source

  /// P and Q; of a source that is mapped to hardware, those of the PHB's interrupt.
  public var pq: PQ {
    get { PQ(rawValue: UInt8(flags & XIVE_STATE_PQ)) }
    set { flags = flags & ~XIVE_STATE_PQ | UInt64(newValue.rawValue) }
  }

  /// Whether the source was created.
  public var isCreated: Bool {
    get { flags & XIVE_STATE_VALID != 0 }
    set { set(XIVE_STATE_VALID, newValue) }
  }

  /// Whether it is level-sensitive.
  public var isLSI: Bool {
    get { flags & XIVE_STATE_LSI != 0 }
    set { set(XIVE_STATE_LSI, newValue) }
  }

  /// Whether its line is held by a level that was set, not by an irqfd.
  public var isAsserted: Bool {
    get { flags & XIVE_STATE_ASSERTED != 0 }
    set { set(XIVE_STATE_ASSERTED, newValue) }
  }

  /// Whether an event has left it and waits for the machine to run.
  public var isLatched: Bool {
    get { flags & XIVE_STATE_LATCHED != 0 }
    set { set(XIVE_STATE_LATCHED, newValue) }
  }

  /// Whether its line is held by irqfds; that belongs to them and is not set.
  public var isHeldByIRQFDs: Bool { flags & XIVE_STATE_IRQFD != 0 }

  /// The interrupt of a PHB that serves it, or nil while it is on its own pages. Not set either: it must be mapped
  /// so when the record is.
  public var passthrough: PassthroughTarget? {
    let number = UInt16((flags & XIVE_STATE_PHB_MASK) >> XIVE_STATE_PHB_SHIFT)
    guard flags & XIVE_STATE_PASSTHROUGH != 0, let phb = PHBIndex(rawValue: number) else {
      return nil
    }
    let irq = UInt16((flags & XIVE_STATE_HWIRQ_MASK) >> XIVE_STATE_HWIRQ_SHIFT)
    return PassthroughTarget(phb, HardwareIRQ(rawValue: irq))
  }

  private mutating func set(_ bit: UInt64, _ value: Bool) {
    flags = value ? flags | bit : flags & ~bit
  }
}
