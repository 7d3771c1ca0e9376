internal import Synchronization

/// Takes events from the sources to the vCPUs: EAS, END with its queue, NVT.
///
/// Safe from any thread. An event holds the lock of its END, then that of its NVT and, inside, of the vCPU that it
/// reaches: events wait for each other only where they share one of these.
/// Source: QEMU `hw/intc/xive.c`, `xive_router_notify`, `xive_router_end_notify`.
public final class Router: EventRouter {
  /// The vCPUs' side.
  public let presenter: Presenter

  private struct Entry: Sendable {
    var end = END()
    var queue: EventQueueMemory?
  }

  private let assignments: AtomicTable<UInt64>
  private let ends: LockedTable<Entry>
  private let observer: any DeliveryObserver
  private let counters = Counters()

  private struct Counters: ~Copyable, Sendable {
    let entries = StripedCounter()
    let notified = StripedCounter()
    let backlogged = StripedCounter()
    let coalesced = StripedCounter()
    let escalated = StripedCounter()
    let masked = StripedCounter()
    let undelivered = StripedCounter()
  }

  /// How often an event may be escalated before it is dropped.
  ///
  /// Hardware lets it go round for ever, and QEMU overflows its stack.
  public static let escalationLimit = 16

  /// Creates a router whose EASs, ENDs and NVTs are all invalid.
  /// - Parameters:
  ///   - sourceCount: number of EASs.
  ///   - serverCount: number of vCPUs; each has eight ENDs.
  ///   - observer: hears of what happens.
  public init(sourceCount: Int, serverCount: Int, observer: any DeliveryObserver) {
    assignments = AtomicTable(count: sourceCount, repeating: EAS.invalid.rawValue)
    ends = LockedTable(.end, count: serverCount * Priority.allCases.count, repeating: Entry())
    presenter = Presenter(serverCount: serverCount, observer: observer)
    self.observer = observer
  }

  /// What became of the events so far.
  public var counts: DeliveryCounts {
    var counts = DeliveryCounts()
    counts.entries = counters.entries.value
    counts.notified = counters.notified.value
    counts.backlogged = counters.backlogged.value
    counts.coalesced = counters.coalesced.value
    counts.escalated = counters.escalated.value
    counts.masked = counters.masked.value
    counts.undelivered = counters.undelivered.value
    return counts
  }

  // MARK: - Tables

  /// Reads a source's EAS.
  /// - Parameter lisn: the source.
  /// - Returns: the structure; ``EAS/invalid`` beyond the table.
  public func eas(of lisn: LISN) -> EAS {
    guard Int(lisn.rawValue) < assignments.count else { return .invalid }
    return EAS(rawValue: assignments[Int(lisn.rawValue)].load(ordering: .acquiring))
  }

  /// Replaces a source's EAS; events that are under way may still follow the old one.
  /// - Parameters:
  ///   - lisn: a source in the table.
  ///   - eas: the new one.
  public func setEAS(of lisn: LISN, to eas: EAS) {
    assignments[Int(lisn.rawValue)].store(eas.rawValue, ordering: .sequentiallyConsistent)
  }

  /// Whether an END exists.
  /// - Parameter index: which.
  /// - Returns: false beyond the table, and for every block but 0.
  public func contains(_ index: ENDIndex) -> Bool { Int(index.rawValue) < ends.count }

  /// How many ENDs are valid at this moment.
  public var validENDCount: Int {
    (0..<ends.count).count { index in ends.withLock(index) { $0.end.isValid } }
  }

  /// Reads an END.
  /// - Parameter index: an END in the table.
  /// - Returns: its words at this moment.
  public func end(at index: ENDIndex) -> END { ends.withLock(Int(index.rawValue)) { $0.end } }

  /// Replaces an END; when this returns no entry is written into the old queue any more.
  /// - Parameters:
  ///   - index: an END in the table.
  ///   - end: the new one.
  ///   - queue: the memory at its queue address; nil: entries are not written.
  public func setEND(at index: ENDIndex, to end: END, queue: EventQueueMemory? = nil) {
    change(index) { $0 = Entry(end: end, queue: queue) }
  }

  /// Makes the valid ENDs invalid that fulfil a condition; when this returns no entry is written into their queues.
  /// - Parameter isGone: tells by an END whether it goes.
  public func disableENDs(where isGone: (END) -> Bool) {
    for index in 0..<ends.count {
      change(ENDIndex(rawValue: UInt32(index))) { entry in
        if entry.end.isValid, isGone(entry.end) { entry = Entry() }
      }
    }
  }

  /// Changes an END and tells of what that does to its pages.
  private func change<Result>(_ index: ENDIndex, _ body: (inout Entry) -> Result) -> Result {
    ends.withLock(Int(index.rawValue)) { entry in
      let before = entry.end.states
      defer {
        let after = entry.end.states
        if after != before { observer.endChanged(index, after) }
      }
      return body(&entry)
    }
  }

  // MARK: - Events

  /// Routes an event of a source.
  /// - Parameter lisn: the source.
  public func forward(_ lisn: LISN) {
    let eas = eas(of: lisn)
    guard eas.isValid else { return observer.guestErred(.easInvalid(lisn)) }
    guard !eas.isMasked else { return counters.masked.add(1, stripe: Int(lisn.rawValue)) }
    deliver(eas.eisn, to: eas.end)
  }

  /// Performs a load on one of an END's ESB pages.
  ///
  /// An EOI that finds an event queued passes it on: it notifies or escalates, without a new entry.
  /// Source: QEMU `hw/intc/xive.c`, `xive_end_source_read`. Differs: there nothing follows from the EOI.
  /// - Parameters:
  ///   - operation: the decoded load.
  ///   - index: the END.
  ///   - half: which of its two machines.
  /// - Returns: the value, or nil where there is no valid END or the page does not know the operation.
  public func load(_ operation: ESBOperation, on index: ENDIndex, _ half: ENDHalf) -> UInt64? {
    guard contains(index) else { return nil }
    let found = change(index) { entry -> (value: UInt64, next: Verdict)? in
      guard entry.end.isValid else { return nil }
      var pq = entry.end[half]
      switch operation {
      case .get: return (UInt64(pq.rawValue), .step(nil))
      case .set(let new):
        entry.end[half] = new
        return (UInt64(pq.rawValue), .step(nil))
      case .loadEOI:
        let passes = pq.endOfInterrupt()
        entry.end[half] = pq
        guard passes else { return (0, .step(nil)) }
        return (1, half == .notification ? entry.end.passAgain() : .step(entry.end.escalation))
      case .trigger, .storeEOI, .none: return nil
      }
    }
    if let next = found?.next, let step = settle(next, at: index) { follow(step, from: index) }
    return found?.value
  }

  /// What an END makes of an event.
  fileprivate enum Step: Equatable {
    case notify(NVTIndex, priority: UInt8, keepsBacklog: Bool)
    case escalate(ENDIndex, EISN)
  }

  /// What has become of an event at an END.
  fileprivate enum Verdict { case invalid, masked, coalesced, step(Step?) }

  private func deliver(_ data: EISN, to index: ENDIndex) {
    if let step = take(data, at: index) { follow(step, from: index) }
  }

  /// Follows an event from END to END, until somebody has it or nobody wants it.
  private func follow(_ step: Step, from start: ENDIndex) {
    var step: Step? = step
    var index = start
    var escalations = 0
    while let current = step {
      switch current {
      case .notify(let target, let priority, let keepsBacklog):
        step = notify(target, priority, keepsBacklog, from: index)
      case .escalate(let next, let data):
        guard escalations < Self.escalationLimit else {
          return observer.guestErred(.escalationLoop(start))
        }
        escalations += 1
        counters.escalated.add(1, stripe: stripe(of: index))
        index = next
        step = take(data, at: index)
      }
    }
  }

  /// Writes an event into an END's queue and finds out what follows.
  private func take(_ data: EISN, at index: ENDIndex) -> Step? {
    guard contains(index) else {
      observer.guestErred(.endInvalid(index))
      return nil
    }
    let verdict = change(index) { entry -> Verdict in
      guard entry.end.isValid else { return .invalid }
      if entry.end.isEnqueued {
        let (word, position) = entry.end.enqueue(data)
        entry.queue?.write(word, at: position)
        counters.entries.add(1, stripe: stripe(of: index))
      }
      return entry.end.pass()
    }
    return settle(verdict, at: index)
  }

  /// Counts what ends here.
  private func settle(_ verdict: Verdict, at index: ENDIndex) -> Step? {
    let stripe = stripe(of: index)
    switch verdict {
    case .invalid: observer.guestErred(.endInvalid(index))
    case .masked: counters.masked.add(1, stripe: stripe)
    case .coalesced: counters.coalesced.add(1, stripe: stripe)
    case .step(let step): return step
    }
    return nil
  }

  /// Tells a vCPU.
  /// - Returns: what follows when that fails; nil when that is all.
  private func notify(
    _ target: NVTIndex, _ priority: UInt8, _ keepsBacklog: Bool, from index: ENDIndex
  ) -> Step? {
    let stripe = stripe(of: index)
    switch presenter.notify(target, Priority(rawValue: priority), keepsBacklog: keepsBacklog) {
    case .told:
      counters.notified.add(1, stripe: stripe)
      return nil
    case .invalid:
      observer.guestErred(.nvtInvalid(target))
      return nil
    case .kept:
      counters.backlogged.add(1, stripe: stripe)
      return settle(escalation(of: index), at: index)
    case .lost:
      let verdict = escalation(of: index)
      if case .step(nil) = verdict { counters.undelivered.add(1, stripe: stripe) }
      return settle(verdict, at: index)
    }
  }

  /// Where what becomes of an END's events is counted: vCPUs use the same few priorities, and would meet there.
  private func stripe(of index: ENDIndex) -> Int {
    Int(index.rawValue) / Priority.allCases.count
  }

  private func escalation(of index: ENDIndex) -> Verdict {
    change(index) { $0.end.isValid ? $0.end.takeEscalation() : .step(nil) }
  }
}

extension END {
  /// Lets an event that its queue has go on.
  fileprivate mutating func pass() -> Router.Verdict {
    if isSilent || rawPriority == 0xff || notifiesAlways { return passAgain() }
    var pq = self[.notification]
    let notifies = pq.trigger()
    self[.notification] = pq
    return notifies ? passAgain() : .coalesced
  }

  /// Lets an event go on that ESn does not hold back, or no longer.
  fileprivate mutating func passAgain() -> Router.Verdict {
    if isSilent { return takeEscalation() }
    if rawPriority == 0xff { return .masked }
    return .step(.notify(target, priority: rawPriority, keepsBacklog: keepsBacklog))
  }

  /// Where to pass on what could not be told; nil: nowhere.
  fileprivate var escalation: Router.Step? {
    escalates ? .escalate(escalationEND, escalationData) : nil
  }

  /// Passes an event on, unless ESe holds it back.
  fileprivate mutating func takeEscalation() -> Router.Verdict {
    if escalates, !escalatesAlways {
      var pq = self[.escalation]
      let passes = pq.trigger()
      self[.escalation] = pq
      guard passes else { return .coalesced }
    }
    return .step(escalation)
  }
}
