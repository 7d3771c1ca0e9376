/// Everything that one interrupt source remembers, in the byte that its cell holds.
///
/// PQ in bits 0-1, LSI in bit 2, asserted in bit 3, created in bit 4, latched in bit 5, raised in bit 6, shared in
/// bit 7.
public struct SourceState: RawRepresentable, Hashable, Sendable {
  /// The byte as it lies in memory.
  public private(set) var rawValue: UInt8

  /// Creates the state from a cell's byte.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// A source nobody has created: off, edge-triggered.
  public static let absent = SourceState(rawValue: PQ.off.rawValue)

  /// The P and Q bits.
  public var pq: PQ {
    get { PQ(rawValue: rawValue) }
    set { rawValue = rawValue & ~0b11 | newValue.rawValue }
  }

  /// Whether the source is level-sensitive (LSI) rather than a message (MSI).
  public var isLSI: Bool {
    get { rawValue & 0b100 != 0 }
    set { set(0b100, newValue) }
  }

  /// Whether the device holds the line of a level-sensitive source, until it lets go.
  public var isAsserted: Bool {
    get { rawValue & 0b1000 != 0 }
    set { set(0b1000, newValue) }
  }

  /// Whether the source exists.
  public var isCreated: Bool {
    get { rawValue & 0b1_0000 != 0 }
    set { set(0b1_0000, newValue) }
  }

  /// Whether an event has left the source and waits at its door until the machine runs.
  public var isLatched: Bool {
    get { rawValue & 0b10_0000 != 0 }
    set { set(0b10_0000, newValue) }
  }

  /// Whether the line is held by those who share it, until the guest ends the interrupt.
  public var isRaised: Bool {
    get { rawValue & 0b100_0000 != 0 }
    set { set(0b100_0000, newValue) }
  }

  /// Whether somebody shares the line, or waits for the end of its interrupts.
  public var isShared: Bool {
    get { rawValue & 0b1000_0000 != 0 }
    set { set(0b1000_0000, newValue) }
  }

  /// Whether anybody holds the line.
  public var isLineHigh: Bool { isAsserted || isRaised }

  private mutating func set(_ bit: UInt8, _ value: Bool) {
    rawValue = value ? rawValue | bit : rawValue & ~bit
  }
}

/// What can happen to a source.
public enum SourceEvent: Hashable, Sendable {
  /// A trigger: a store on its trigger page, or a message from its device.
  case trigger
  /// The end of the interrupt, by a load or by a store.
  case endOfInterrupt
  /// PQ is read.
  case get
  /// PQ is replaced.
  case set(PQ)
  /// The device raises its line (on a message source: sends one message).
  case assert
  /// The device lowers its line.
  case deassert
  /// The device raises its line while its PHB is fenced: remembered, and nobody is told.
  case hold
  /// The PHB's fence is lifted: a line that is held is told, where nobody knows of it.
  case resume
  /// A PHB's interrupt is handed to a guest: pending, so that the guest must end it first; queued where one was
  /// pending, so that the guest then gets it.
  case passThrough
  /// A source gets its own pages back: pending, so that the guest must end it first; queued where it still is.
  case restore
  /// The source is created or created again: off, keeping what it was told before.
  case create(isLSI: Bool, isAsserted: Bool)
  /// Those who share the line raise it; or none of them holds it any more.
  case raise, lower
  /// Somebody begins, or the last one ends, to share the line.
  case share, unshare
  /// An event of the source stays at its door.
  case latch
  /// What stayed there goes on; the value is 1 where there was something.
  case unlatch
  /// The source is switched off, and what stayed at its door is dropped.
  case disable
  /// As that, and it is a message source again whose line nobody holds.
  case startOver
  /// The source gets the state that another one had; who shares its line is not part of that.
  case replace(SourceState)
}

/// What an event did.
public struct SourceOutcome: Hashable, Sendable {
  /// The value that a load returns.
  public var value: UInt64
  /// Whether an event goes to the router.
  public var forwards: Bool

  /// Creates an outcome.
  public init(value: UInt64 = 0, forwards: Bool = false) {
    self.value = value
    self.forwards = forwards
  }
}

extension SourceState {
  /// Performs one event.
  ///
  /// A level-sensitive source that is still asserted when its interrupt ends fires again.
  /// Source: QEMU `hw/intc/xive.c`, `xive_source_esb_eoi`, `xive_source_lsi_trigger`,
  /// `xive_source_set_irq`; creation from Linux `book3s_xive_native.c`,
  /// `kvmppc_xive_native_set_source`, which never clears what an earlier call set.
  /// Differs: when a queued (11) level interrupt ends while its line is held, the queued event is forwarded
  /// as for any source; QEMU forgets it and answers 0. Q has no meaning for an LSI on hardware.
  /// Handing over from Linux `arch/powerpc/sysdev/xive/common.c`, `xive_irq_set_vcpu_affinity`.
  /// - Parameter event: what happens.
  /// - Returns: the loaded value and whether the router hears of it.
  public mutating func perform(_ event: SourceEvent) -> SourceOutcome {
    switch event {
    case .trigger: return trigger()
    case .endOfInterrupt: return endOfInterrupt()
    case .get: return SourceOutcome(value: UInt64(pq.rawValue))
    case .set(let new):
      let old = pq
      pq = new
      // Nobody else would ever say again that those who share the line wait for its interrupt to end.
      return SourceOutcome(value: UInt64(old.rawValue), forwards: isRaised && isLSI && fireLevel())
    case .assert:
      guard isLSI else { return trigger() }
      isAsserted = true
      return SourceOutcome(forwards: fireLevel())
    case .deassert:
      isAsserted = false
      return SourceOutcome()
    case .hold:
      isAsserted = isLSI
      return SourceOutcome()
    case .resume:
      return SourceOutcome(forwards: isLineHigh && fireLevel())
    case .passThrough:
      let old = pq
      pq = old == .pending || old == .queued ? .queued : .pending
      return SourceOutcome(value: UInt64(old.rawValue))
    case .restore:
      let old = pq
      pq = old == .queued ? .queued : .pending
      return SourceOutcome(value: UInt64(old.rawValue))
    case .create(let lsi, let asserted):
      isLSI = isLSI || lsi
      isAsserted = isAsserted || (lsi && asserted)
      isCreated = true
      switchOff()
      return SourceOutcome()
    case .raise:
      isRaised = true
      return SourceOutcome(forwards: isLSI && fireLevel())
    case .lower:
      isRaised = false
      return SourceOutcome()
    case .share, .unshare:
      isShared = event == .share
      return SourceOutcome()
    case .latch:
      isLatched = true
      return SourceOutcome()
    case .unlatch:
      let was = isLatched
      isLatched = false
      return SourceOutcome(value: was ? 1 : 0)
    case .disable:
      switchOff()
      return SourceOutcome()
    case .startOver:
      switchOff()
      isLSI = false
      isAsserted = false
      isRaised = false
      return SourceOutcome()
    case .replace(let new):
      let old = self
      self = new
      isRaised = old.isRaised
      isShared = old.isShared
      return SourceOutcome(forwards: isRaised && isLSI && fireLevel())
    }
  }

  private mutating func switchOff() {
    pq = .off
    isLatched = false
  }

  private mutating func trigger() -> SourceOutcome {
    var bits = pq
    let forwards = bits.trigger()
    pq = bits
    return SourceOutcome(forwards: forwards)
  }

  private mutating func endOfInterrupt() -> SourceOutcome {
    var bits = pq
    var forwards = bits.endOfInterrupt()
    pq = bits
    if isLineHigh, fireLevel() { forwards = true }
    return SourceOutcome(value: forwards ? 1 : 0, forwards: forwards)
  }

  /// Forwards a level that nobody has been told of: only from reset, never over a pending one.
  private mutating func fireLevel() -> Bool {
    guard pq == .reset else { return false }
    pq = .pending
    return true
  }
}
