public import XIVEModel

/// What reached a source of a stopped machine after its state had been read, and which another machine that goes on from
/// that state does not know of.
public struct LateEvent: Hashable, Sendable {
  /// What happened.
  public enum Kind: Hashable, Sendable {
    /// So many events, 1 or 2, as far as a source tells them apart.
    case triggered(Int)
    /// The line was raised by a level.
    case raised
    /// The line was lowered.
    case lowered
    /// The line was raised, and is low again: an event came of it. So does an irqfd that was deassigned meanwhile.
    case pulsed
    /// The line is held by irqfds: whoever holds it raises the eventfd of the other machine.
    case heldByIRQFDs
  }

  /// The source.
  public let source: LISN
  /// What happened.
  public let kind: Kind

  /// Creates an event.
  /// - Parameters:
  ///   - source: the source.
  ///   - kind: what happened.
  public init(source: LISN, kind: Kind) {
    self.source = source
    self.kind = kind
  }

  /// Has it happen on another machine. Lines that irqfds hold are their owners' to raise: nothing is done.
  /// - Parameter device: where the machine goes on, restored and not yet running.
  /// - Throws: as the calls for triggers and lines.
  public func happen(on device: borrowing XIVEDescriptor) throws(XIVEClientError) {
    switch kind {
    case .triggered(let count): for _ in 0..<count { try device.trigger(source) }
    case .raised: try device.setLine(of: source, to: true)
    case .lowered: try device.setLine(of: source, to: false)
    case .pulsed:
      try device.setLine(of: source, to: true)
      try device.setLine(of: source, to: false)
    case .heldByIRQFDs: break
    }
  }
}

extension MachineState {
  /// Finds what reached the sources of a machine after its state had been read. Nothing is changed, so that it can be
  /// asked again.
  ///
  /// Ask when nothing more can come: all who trigger have been moved to the other machine. And let that run only when
  /// these events have happened there: an event that merged into one that waited already is the same as that.
  /// - Parameter device: the machine that this state was read from; it has been stopped since.
  /// - Returns: the events, by source.
  /// - Throws: ``MachineStateError/ran``, ``MachineStateError/changed(_:)``.
  public func lateEvents(at device: borrowing XIVEDescriptor) throws(XIVEClientError)
    -> [LateEvent]
  {
    let now = try device.sourceRecords(LISN(rawValue: 0)..<LISN(rawValue: UInt32(sources.count)))
    guard try !device.isRunning() else { throw .state(.ran) }
    var events: [LateEvent] = []
    for index in sources.indices where sources[index] != now[index] || now[index].isHeldByIRQFDs {
      let lisn = LISN(rawValue: UInt32(index))
      guard let kinds = sources[index].events(until: now[index]) else {
        throw .state(.changed(lisn.rawValue))
      }
      events += kinds.map { LateEvent(source: lisn, kind: $0) }
    }
    return events
  }
}

extension SourceRecord {
  /// What has happened to a source of a stopped machine since it was this; nil when no event explains it.
  fileprivate func events(until now: SourceRecord) -> [LateEvent.Kind]? {
    guard configuration == now.configuration, isCreated == now.isCreated, isLSI == now.isLSI,
      mapping == now.mapping
    else { return nil }
    // An event sets P, and the next one Q; one that sets P waits at the source from then on.
    let count = Int(now.pq.rawValue.nonzeroBitCount) - Int(pq.rawValue.nonzeroBitCount)
    let hasLeft = !isPending && now.isPending
    guard now.pq.rawValue & pq.rawValue == pq.rawValue, now.pq != .off || pq == .off,
      now.isLatched == (isLatched || hasLeft)
    else { return nil }
    guard isLSI else { return count == 0 ? [] : [.triggered(count)] }
    // Of a passed-through LSI the line is the device's: that of the other machine has its own.
    guard passthrough == nil else { return [] }
    return lineEvents(until: now, hasFired: count > 0)
  }

  private var isPending: Bool { pq == .pending || pq == .queued }

  /// The event of a line that is high now comes of its being raised.
  private func lineEvents(until now: SourceRecord, hasFired: Bool) -> [LateEvent.Kind] {
    var kinds: [LateEvent.Kind] = now.isHeldByIRQFDs ? [.heldByIRQFDs] : []
    if hasFired, !now.isHeldByIRQFDs, !now.isAsserted { kinds.append(.pulsed) }
    // A line that was held all the time fires when it is raised again where nothing is pending.
    if now.isAsserted, hasFired || !isAsserted { kinds.append(.raised) }
    if isAsserted, !now.isAsserted { kinds.append(.lowered) }
    return kinds
  }
}
