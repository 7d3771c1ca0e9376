public import TraceRecords

/// Ties the kernel's page faults to the server's fills.
///
/// A fill belongs to the fault of the same thread that was under way when the fill began, if it touched a page of the
/// fill. A thread has one fault at a time, so that there is no other; a `SIGBUS`, for which the kernel asks twice, is
/// one fault of two fills. A fault that no fill came for did not reach the server, and becomes an event of its own:
/// a page that was there already, or a store to a page that could only be read until then. A fill without a fault
/// was asked for by nobody's instruction: read-ahead, `madvise`, KVM, or a system call that touches the pages.
///
/// Works live, on what has come so far, as well as on a whole recording. Pure, and not for several threads at once.
public struct FaultJoin: Sendable {
  /// What to show: a record of the device, or a fault of its own.
  public struct Event: Hashable, Sendable {
    /// The device's record, or that of a fault which did not reach it.
    public let record: TraceRecord
    /// The kernel's fault.
    public let fault: KernelFault?

    /// Puts a record and a fault together.
    public init(_ record: TraceRecord, fault: KernelFault? = nil) {
      self.record = record
      self.fault = fault
    }

    /// Nanoseconds from the fault until the server began to handle it; nil without both.
    ///
    /// More than the record's own queue time: it includes the kernel's way from the fault to the request.
    public var queueTime: UInt64? {
      guard let fault, record.kind == .fill else { return nil }
      let handled = record.time + UInt64(record.queueTime)
      return handled >= fault.record.time ? handled - fault.record.time : nil
    }
  }

  private struct Entry {
    let fault: KernelFault
    /// Whether it has been shown, with a fill or by itself.
    var isTold = false
  }

  private var threads: [UInt32: [Entry]] = [:]
  private var records: [TraceRecord] = []
  private var faultsUntil: UInt64 = 0
  private var recordsUntil: UInt64 = 0

  /// How long a fill waits for its fault, and a fault that has not ended for its fill, in nanoseconds: a tracer of
  /// faults that is held up must not hold up the device's records.
  public static let patience: UInt64 = 1_000_000_000
  /// A server's record can be read a little after the page is there, in nanoseconds.
  private static let lag: UInt64 = 10_000_000

  /// Creates a join of nothing.
  public init() {}

  /// Adds what the kernel told.
  /// - Parameter batch: the faults, and up to which time none is missing.
  public mutating func add(_ batch: KernelFaults.Batch) {
    for fault in batch.faults { insert(fault) }
    faultsUntil = max(faultsUntil, batch.completeUntil)
  }

  /// Adds the device's records.
  /// - Parameters:
  ///   - newRecords: in the order of their sequence numbers.
  ///   - time: when the stream had no more, in nanoseconds of `CLOCK_MONOTONIC`.
  public mutating func add(_ newRecords: [TraceRecord], readAt time: UInt64) {
    records += newRecords
    recordsUntil = max(recordsUntil, time)
  }

  /// Takes what can be shown: records in their order, and faults of their own once no fill can come for them.
  public mutating func events() -> [Event] {
    let count = records.firstIndex { !canShow($0) } ?? records.count
    let ready = Array(records[..<count])
    records.removeFirst(count)
    var events: [Event] = []
    for record in ready { events.append(join(record)) }
    let alone = threads.values.joined().filter { !$0.isTold && isAlone($0.fault) }.map(\.fault)
    events += take(alone)
    prune()
    return events
  }

  /// Takes all that is left: nothing more will come.
  public mutating func finish() -> [Event] {
    var events: [Event] = []
    for record in records { events.append(join(record)) }
    records = []
    events += takeRest()
    threads = [:]
    return events
  }

  /// Joins a whole recording, in which the kernel's faults lie among the device's records.
  /// - Parameter records: ascending in sequence numbers.
  /// - Returns: the events: records in their order, each fault of its own in front of the first that began later.
  public static func events(of records: [TraceRecord]) -> [Event] {
    var join = FaultJoin()
    for record in records { if let fault = KernelFault(record) { join.insert(fault) } }
    var events: [Event] = []
    for record in records where record.kind != .kernelFault { events.append(join.join(record)) }
    let alone = join.takeRest()
    return merge(events, alone)
  }

  private static func merge(_ events: [Event], _ faults: [Event]) -> [Event] {
    var merged: [Event] = []
    var rest = faults[...]
    for event in events {
      while let fault = rest.first, fault.record.time < event.record.time {
        merged.append(fault)
        rest.removeFirst()
      }
      merged.append(event)
    }
    return merged + rest
  }

  private mutating func insert(_ fault: KernelFault) {
    let thread = fault.record.threadID
    var entries = threads[thread, default: []]
    let place = Self.last(of: entries, until: fault.record.time).map { $0 + 1 } ?? 0
    threads[thread] = nil  // so that the array is not copied
    entries.insert(Entry(fault: fault), at: place)
    threads[thread] = entries
  }

  private func canShow(_ record: TraceRecord) -> Bool {
    guard record.kind == .fill, record.cause != .prefault else { return true }
    return record.time < faultsUntil || recordsUntil >= record.time &+ Self.patience
  }

  private mutating func join(_ record: TraceRecord) -> Event {
    let thread = record.threadID
    guard record.kind == .fill, record.cause != .prefault,
      let place = threads[thread].flatMap({ Self.last(of: $0, until: record.time) }),
      let fault = threads[thread]?[place].fault, fault.asked(for: record)
    else { return Event(record) }
    threads[thread]?[place].isTold = true
    return Event(record, fault: fault)
  }

  /// The last of a thread's faults that began at or before a time.
  private static func last(of entries: [Entry], until time: UInt64) -> Int? {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].fault.record.time <= time { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? low - 1 : nil
  }

  /// Whether no fill can come any more for a fault.
  private func isAlone(_ fault: KernelFault) -> Bool {
    let wait = fault.duration.map { $0 + Self.lag } ?? Self.patience
    guard recordsUntil >= fault.record.time &+ wait else { return false }
    return !records.contains { $0.threadID == fault.record.threadID && fault.asked(for: $0) }
  }

  private mutating func takeRest() -> [Event] {
    Self.events(alone: threads.values.joined().filter { !$0.isTold }.map(\.fault))
  }

  /// Tells of faults by themselves.
  private mutating func take(_ faults: [KernelFault]) -> [Event] {
    for fault in faults {
      let thread = fault.record.threadID
      guard let place = threads[thread]?.firstIndex(where: { $0.fault == fault }) else { continue }
      threads[thread]?[place].isTold = true
    }
    return Self.events(alone: faults)
  }

  private static func events(alone faults: [KernelFault]) -> [Event] {
    faults.sorted { $0.record.time < $1.record.time }.map { Event($0.record, fault: $0) }
  }

  // A fault that was told stays for the second fill of a SIGBUS.
  private mutating func prune() {
    for (thread, entries) in threads {
      let kept = entries.filter { entry in
        !entry.isTold || recordsUntil < entry.fault.record.time &+ 2 * Self.patience
      }
      threads[thread] = kept.isEmpty ? nil : kept
    }
  }
}

extension KernelFault {
  /// Whether a fill can be this fault's.
  func isOf(_ fill: TraceRecord) -> Bool {
    fill.threadID == record.threadID && fill.time >= record.time && asked(for: fill)
  }

  /// Whether a fill of the same thread, which began no earlier, can be this fault's.
  fileprivate func asked(for fill: TraceRecord) -> Bool {
    guard fill.kind == .fill, let offset, let start = fill.offset, start <= offset,
      offset - start < max(fill.value, 1)
    else { return false }
    // A duration is rounded down by less than a step.
    return duration.map { fill.time <= record.time + $0 + Self.durationStep } ?? true
  }
}
