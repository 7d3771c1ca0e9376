public import TraceRecords
public import XIVEModel

/// Which events are wanted: those that every condition admits, one of whose values is enough.
///
/// Names of threads and lost records always pass: nothing is lost silently.
public struct TraceFilter: Hashable, Sendable {
  /// Kinds of records; nil for all.
  public var kinds: Set<TraceKind>?
  /// Sources; an event about a run passes when a part of it is among them. Nil for all events.
  public var sources: [ClosedRange<UInt32>]?
  /// Regions; nil for all events, also those that are in none.
  public var regions: Set<RegionChoice>?
  /// Processes; nil for all.
  public var processes: Set<UInt32>?
  /// Threads; nil for all.
  public var threads: Set<UInt32>?
  /// Names of threads; nil for all.
  public var commands: Set<String>?
  /// Results; nil for all.
  public var results: Set<ResultChoice>?
  /// Nanoseconds that an event took at least.
  public var minimumDuration: UInt64 = 0

  /// Admits everything.
  public init() {}

  /// A region, or all PHBs'.
  public enum RegionChoice: Hashable, Sendable {
    /// One region.
    case one(Region)
    /// The region of any PHB.
    case anyPHB
  }

  /// A result, or all of a sort.
  public enum ResultChoice: Hashable, Sendable {
    /// Exactly that.
    case one(TraceResult)
    /// A fill for which the toucher got `SIGBUS`.
    case sigbus
    /// Anything but done.
    case failed
  }

  /// Whether an event is wanted.
  /// - Parameters:
  ///   - event: the event.
  ///   - command: its thread's name, where it is known.
  /// - Returns: whether every condition admits it.
  public func matches(_ event: TraceEvent, command: String?) -> Bool {
    let record = event.record
    if record.kind == .gap || record.kind == .task { return true }
    return kinds.admits { record.kind.map($0.contains) ?? false }
      && processes.admits { $0.contains(record.processID) }
      && threads.admits { $0.contains(record.threadID) }
      && event.duration >= minimumDuration
      && results.admits { $0.contains { $0.admits(event) } }
      && regions.admits { admits(event.region, $0) }
      && sources.admits { wanted in
        event.sources.map { run in wanted.contains { $0.overlaps(run) } } ?? false
      }
      && commands.admits { command.map($0.contains) ?? false }
  }

  private func admits(_ region: Region?, _ choices: Set<RegionChoice>) -> Bool {
    guard let region else { return false }
    if case .phb = region, choices.contains(.anyPHB) { return true }
    return choices.contains(.one(region))
  }
}

extension TraceFilter.ResultChoice {
  fileprivate func admits(_ event: TraceEvent) -> Bool {
    switch self {
    case .one(let result): event.record.result == result
    case .failed: event.record.result != .ok
    case .sigbus: event.isSIGBUS
    }
  }
}

extension Optional {
  /// Whether a condition admits something; one that is not set admits everything.
  fileprivate func admits(_ test: (Wrapped) -> Bool) -> Bool { map(test) ?? true }
}
