/// What a trace record tells of.
///
/// Source: `xive.h`, `XIVE_TRACE_FILL` and its neighbours.
public enum TraceKind: UInt8, Hashable, Sendable, CaseIterable {
  /// The answer to page faults.
  case fill = 1
  /// An exact load.
  case load = 2
  /// An exact store.
  case store = 3
  /// A store found in a written-back image.
  case writeBack = 4
  /// Pages were dropped.
  case zap = 5
  /// A new backing was published for a run of sources.
  case publish = 6
  /// A run of sources was mapped, and nobody has an old page any more.
  case map = 7
  /// A run of sources was unmapped, and nobody has an old page any more.
  case unmap = 8
  /// A PHB was added.
  case plug = 9
  /// A PHB was removed.
  case unplug = 10
  /// A PHB was fenced, or is no longer.
  case fence = 11
  /// A source, or a PHB's interrupt, was triggered.
  case trigger = 12
  /// An event left a source.
  case forward = 13
  /// An interrupt was ended.
  case eoi = 14
  /// A vCPU has an interrupt to take.
  case notify = 15
  /// A request: an attribute, or another of KVM's.
  case attribute = 16
  /// A guest did what hardware drops.
  case guestError = 17
  /// Bytes were replaced in pages that consumers have mapped.
  case update = 18
  /// A thread's name.
  case task = 19
  /// Records were overwritten before they were read.
  case gap = 20
  /// A page fault as the kernel saw it; made by the tracer, never by a device.
  case kernelFault = 64

  /// The kind's name in every textual form.
  public var name: String {
    switch self {
    case .writeBack: "write-back"
    case .guestError: "guest-error"
    case .kernelFault: "kernel-fault"
    case .fill, .load, .store, .zap, .publish, .map, .unmap, .plug, .unplug, .fence, .trigger,
      .forward, .eoi, .notify,
      .attribute, .update, .task, .gap:
      "\(self)"
    }
  }

  /// Reads a kind's name.
  public init?(name: String) {
    guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = kind
  }
}

/// Why a page was filled, or dropped.
///
/// Source: `xive.h`, `XIVE_TRACE_FIRST` and its neighbours.
public enum TraceCause: UInt8, Hashable, Sendable, CaseIterable {
  /// Nothing to tell.
  case none = 0
  /// The page was never filled before.
  case firstTouch = 1
  /// Dropped because its sources were mapped.
  case map = 2
  /// Dropped because its sources were unmapped.
  case unmap = 3
  /// Dropped because its PHB was removed.
  case unplug = 4
  /// Dropped by the kernel for an exact store to it.
  case store = 5
  /// Dropped because a vCPU was connected or disconnected.
  case vcpu = 6
  /// Dropped by the kernel, which needed the memory or was asked to.
  case reclaim = 7
  /// Nobody touched it: the server filled it.
  case prefault = 8
  /// Not the time that counts, for the kernel asks more than once for one SIGBUS.
  case again = 9
  /// Filled before records were made, or more pages were than are remembered.
  case unknown = 15

  /// The cause's name in every textual form.
  public var name: String {
    switch self {
    case .none: "-"
    case .firstTouch: "first-touch"
    case .map: "zap-map"
    case .unmap: "zap-unmap"
    case .unplug: "zap-unplug"
    case .store: "write"
    case .vcpu: "zap-vcpu"
    case .reclaim, .prefault, .again, .unknown: "\(self)"
    }
  }

  /// Whether a fill with this cause is of a page that had been filled before.
  public var isRefault: Bool {
    switch self {
    case .map, .unmap, .unplug, .store, .vcpu, .reclaim: true
    case .none, .firstTouch, .prefault, .again, .unknown: false
    }
  }
}

/// What became of what a record tells of.
///
/// Source: `xive.h`, `XIVE_TRACE_OK` and its neighbours.
public enum TraceResult: Hashable, Sendable {
  /// Done.
  case ok
  /// There was no page, or no state: `SIGBUS` for a fill; all ones, or nothing, for an access.
  case absent(Absence)
  /// The toucher got an error number.
  case errno(Int32)

  /// Why there was nothing.
  public enum Absence: UInt8, Hashable, Sendable, CaseIterable {
    /// The source was never created.
    case notCreated = 1
    /// A source, an END or a server beyond what the device has.
    case outOfRange = 2
    /// The source has no trigger page.
    case noTriggerPage = 3
    /// A TIMA page other than the OS view's.
    case view = 4
    /// The TIMA at offset 0, while more than one vCPU is connected.
    case sharedTIMA = 5
    /// The server has no vCPU; or, for an END, never had.
    case notConnected = 6
    /// No such PHB or interrupt; or it is being removed.
    case noPHB = 7
    /// A region that cannot be mapped, or that does not exist.
    case noRegion = 8
    /// The PHB is fenced.
    case fenced = 9
    /// The page does not know the operation.
    case noOperation = 10
    /// An image in which nothing had changed.
    case unchanged = 11
    /// The event stays at its source's door, for the machine is stopped.
    case held = 12
    /// The event goes to the host.
    case toHost = 13
    /// An END that is not valid.
    case notValid = 14
    /// A reason that this version does not know.
    case other = 127
  }

  /// Reads the byte of a record.
  public init(rawValue: UInt8) {
    if rawValue == 0 {
      self = .ok
    } else if rawValue & 0x80 != 0 {
      self = .errno(Int32(rawValue & 0x7f))
    } else {
      self = .absent(Absence(rawValue: rawValue) ?? .other)
    }
  }

  /// The byte of a record.
  public var rawValue: UInt8 {
    switch self {
    case .ok: 0
    case .absent(let reason): reason.rawValue
    case .errno(let number): 0x80 | UInt8(truncatingIfNeeded: number) & 0x7f
    }
  }
}
