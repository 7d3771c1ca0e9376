public import TraceRecords
internal import XIVEModel

/// What is shown of an event, in words.
extension TraceEvent {
  /// What it happened to: `esb:0x11:management`, with `+0x800` for an access, `LISN 0x11`, `PHB 3`, `vCPU 0`.
  public var name: String {
    switch record.kind {
    case .publish, .map, .unmap: sourceWords
    case .trigger, .forward, .eoi: sources == nil ? interruptWords : sourceWords
    case .plug, .unplug, .fence: record.hardware.map { "PHB \($0.phb)" } ?? "-"
    case .notify: record.number.map { "vCPU \($0)" } ?? "-"
    case .attribute: RequestName(record).description
    case .guestError: offset == nil ? GuestErrorName.object(of: record) : placeWords
    case .task, .gap, nil: "-"
    case .fill, .load, .store, .writeBack, .zap, .update, .kernelFault: placeWords
    }
  }

  /// The sources: `LISN 0x11`, `LISN 0x1300-0x133f`.
  private var sourceWords: String {
    guard let sources else { return "-" }
    let ends = [sources.lowerBound, sources.upperBound].map { "0x" + String($0, radix: 16) }
    return sources.count == 1 ? "LISN \(ends[0])" : "LISN \(ends[0])-\(ends[1])"
  }

  private var interruptWords: String {
    record.hardware.map { "PHB \($0.phb):\($0.irq)" } ?? "-"
  }

  /// The place, as ``XIVEModel/OffsetName`` reads it.
  private var placeWords: String {
    guard let offset else { return "-" }
    guard let page = pageWords else { return "0x" + String(offset, radix: 16) }
    let within = offset % map.pageByteCount
    return isAccess || within != 0 ? "\(page)+0x\(String(within, radix: 16))" : page
  }

  /// The page: `esb:0x11:management`; in the kernel's window `kernel:0x11:management`.
  public var pageWords: String? {
    guard let target else { return nil }
    if region == .kernel, case .esb(let lisn, let half) = target {
      return "kernel:\(lisn):\(half.name)"
    }
    return "\(target)"
  }

  private var isAccess: Bool {
    switch record.kind {
    case .load, .store, .writeBack, .guestError: true
    default: false
    }
  }

  /// The region: `kernel`, `esb`, `end`, `tima`, `phb:3`, `state`, `trace`.
  public var regionName: String? { region.map(Self.name) }

  /// A region's name.
  static func name(_ region: Region) -> String {
    switch region {
    case .phb(let index): "phb:\(index.rawValue)"
    case .sourceState: "state"
    case .kernel, .esb, .end, .tima, .trace: "\(region)"
    }
  }

  /// Which page of a pair, or which view.
  public var halfName: String? {
    switch target {
    case .esb(_, let half): half.name
    case .end(_, let half): half == .notification ? "esn" : "ese"
    case .tima(_, let view), .connectedTIMA(let view): view.name
    case .phb, nil: nil
    }
  }

  /// What served it: `IPI gen 3`, `PHB 0:4 gen 2`, `TIMA gen 1`, `END`; nil for nothing.
  public var backingWords: String? {
    guard let backing = record.backing else { return nil }
    if isOfWholePHB { return "gen \(record.generation)" }
    let name =
      switch backing {
      case .ipi: "IPI"
      case .phb: interruptWords
      case .tima: "TIMA"
      case .end: "END"
      }
    return hasGeneration ? "\(name) gen \(record.generation)" : name
  }

  /// Whether the field holds how often the backing had changed, and not something else.
  var hasGeneration: Bool {
    record.kind != .attribute && record.kind != .kernelFault && record.generation != 0
  }

  /// Whether it is about a PHB, and none of its interrupts.
  var isOfWholePHB: Bool {
    record.kind == .plug || record.kind == .unplug || record.kind == .fence
  }

  /// What became of it, where that is not what was wanted: `SIGBUS (source never created)`, `EINVAL`.
  public var failureWords: String? {
    let reason: String
    switch record.result {
    case .ok: return nil
    case .errno(let number): reason = ErrorNumber.name(number)
    case .absent(let absence): reason = absence.words
    }
    if record.kind == .fill { return "\(isRefusedRange ? "range refused" : "SIGBUS") (\(reason))" }
    guard case .absent = record.result else { return reason }
    switch record.kind {
    case .load: return "all ones (\(reason))"
    case .store, .writeBack: return "dropped (\(reason))"
    default: return reason
    }
  }
}

extension TraceEvent {
  /// Why a page was filled, or had to go, for people: `first touch`, `zap by unmap`; nil for nothing to tell.
  public var causeWords: String? {
    switch record.cause {
    case .none: nil
    case .firstTouch: "first touch"
    case .map, .unmap, .unplug:
      record.kind == .fill ? "zap by \(record.cause)" : "by \(record.cause)"
    case .vcpu: record.kind == .fill ? "zap by vCPU" : "by vCPU"
    case .store: "dropped by store"
    case .reclaim: "reclaimed"
    case .prefault: "prefault"
    case .again: "again"
    case .unknown: "unknown cause"
    }
  }

  /// Whether a page was filled that had been filled before.
  var isRefault: Bool { record.kind == .fill && record.cause.isRefault }
}

extension TraceResult.Absence {
  /// The reason's name in JSON and in filters.
  public var name: String {
    switch self {
    case .notCreated: "not-created"
    case .outOfRange: "out-of-range"
    case .noTriggerPage: "no-trigger-page"
    case .sharedTIMA: "shared-tima"
    case .notConnected: "not-connected"
    case .noPHB: "no-phb"
    case .noRegion: "no-region"
    case .noOperation: "no-operation"
    case .toHost: "to-host"
    case .notValid: "not-valid"
    case .view, .fenced, .unchanged, .held, .other: "\(self)"
    }
  }

  /// The reason for people.
  public var words: String {
    switch self {
    case .notCreated: "source never created"
    case .outOfRange: "beyond the device"
    case .noTriggerPage: "no trigger page"
    case .view: "not the OS view"
    case .sharedTIMA: "more than one vCPU"
    case .notConnected: "no vCPU"
    case .noPHB: "no such PHB interrupt"
    case .noRegion: "no such region"
    case .fenced: "PHB fenced"
    case .noOperation: "no such operation"
    case .unchanged: "nothing changed"
    case .held: "machine stopped"
    case .toHost: "to the host"
    case .notValid: "END not valid"
    case .other: "unknown reason"
    }
  }
}
