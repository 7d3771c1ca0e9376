internal import CXIVE
internal import TraceRecords

/// Puts requests together with what followed from them.
///
/// What happens while a request is handled is recorded before it, by the same thread, within its time. What hot-plug
/// drops, and its end, come after the request that asked for it, from the server's own threads.
struct ReplayGroups {
  /// A request and what followed from it, ascending in sequence.
  struct Group {
    var records: [TraceRecord]
    /// The request; of hot-plug that the server's own program did, its end.
    let request: TraceRecord
    /// The place of the first effect.
    let place: Int
    /// When pages were filled before the request was answered; nil when none were.
    var prefault: UInt64?

    /// Of two at one place a fill comes first.
    fileprivate var rank: Int { request.kind == .fill ? 0 : 1 }
  }

  private var groups: [Group] = []
  private var pending: [(place: Int, record: TraceRecord)] = []
  /// Indexes of groups whose hot-plug has ended, the last first: pages may still be filled before they are answered.
  private var ended: [Int] = []
  /// Indexes of groups whose hot-plug goes on.
  private var open: [Int] = []
  private var count = 0
  /// Effects that no request had.
  private(set) var orphanCount = 0

  /// Effects that wait for their request; others that are older have none.
  private static let patience = 4_096
  /// Operations that are answered at once, at most.
  private static let endedLimit = 16

  /// Takes the next record.
  mutating func take(_ record: TraceRecord) {
    defer { count += 1 }
    switch record.kind {
    case .task, .update, .kernelFault: break
    case .fill where record.cause == .again: break
    case .fill where record.cause == .prefault:
      let index = (open + ended).first { index in
        groups[index].records.contains { $0.publishes(record) }
      }
      if let index { groups[index].prefault = record.end }
    case .zap:
      if let index = operation(on: record) { groups[index].records.append(record) }
    case .map, .unmap, .unplug: end(record)
    case .publish, .plug, .fence, .trigger, .forward, .eoi, .notify, .guestError: wait(record)
    case .fill, .load, .store, .writeBack, .attribute, .gap, nil: add(record)
    }
  }

  // MARK: - Requests

  private mutating func wait(_ record: TraceRecord) {
    // The thread that drops pages for an operation settles what was pending as well.
    let operation = open.first { index in
      groups[index].records.contains { $0.kind == .zap && $0.threadID == record.threadID }
    }
    if let operation { return groups[operation].records.append(record) }
    if pending.count == Self.patience { give(up: pending.removeFirst().record) }
    pending.append((count, record))
  }

  private mutating func give(up record: TraceRecord) {
    switch record.kind {
    // They tell of requests that are there, or of hot-plug without one.
    case .publish, .plug, .fence, .guestError: break
    default: orphanCount += 1
    }
  }

  private mutating func add(_ record: TraceRecord) {
    var records: [TraceRecord] = []
    var place = count
    pending.removeAll { waiting in
      guard record.caused(waiting.record) else { return false }
      if records.isEmpty { place = waiting.place }
      records.append(waiting.record)
      return true
    }
    if record.beginsHotplug, !records.contains(where: { $0.kind == .plug }) {
      open.append(groups.count)
    }
    // Such a page was taken away by the zap: it is there when the operation begins, to be taken away again.
    if record.kind == .fill, let publish = publishing(record) { place = publish }
    groups.append(Group(records: records + [record], request: record, place: place))
  }

  // MARK: - Hot-plug

  /// The operation that goes on and concerns the sources, or the PHB, of a record.
  private func operation(on record: TraceRecord) -> Int? {
    let found = open.first { index in
      groups[index].records.contains { $0.kind == .publish && $0.number == record.number }
    }
    return found
      ?? open.first { record.cause == .unplug && groups[$0].request.generation == XIVE_GROUP_PHB }
  }

  /// The place of the operation behind whose new backing, and in front of whose zap, a fill came.
  private func publishing(_ fill: TraceRecord) -> Int? {
    if let place = pending.first(where: { $0.record.publishes(fill) })?.place { return place }
    let found = open.first { index in
      let records = groups[index].records
      return records.contains { $0.publishes(fill) } && !records.contains { $0.zaps(fill) }
    }
    return found.map { groups[$0].place }
  }

  private mutating func end(_ record: TraceRecord) {
    let position = open.firstIndex { index in
      let request = groups[index].request
      return request.time == record.time && request.threadID == record.threadID
    }
    guard let position else {
      return groups.append(Group(records: [record], request: record, place: count))
    }
    let index = open.remove(at: position)
    groups[index].records.append(record)
    ended = [index] + ended.prefix(Self.endedLimit - 1)
  }

  /// Ends.
  /// - Returns: the groups, in the order in which they began to take effect.
  mutating func finish() -> [Group] {
    for waiting in pending { give(up: waiting.record) }
    pending = []
    return groups.sorted { ($0.place, $0.rank) < ($1.place, $1.rank) }
  }
}

extension TraceRecord {
  /// When it was done. Waiting lies before its time.
  var end: UInt64 { time &+ UInt64(serviceTime) }

  /// Whether something happened within this request's time, and for its thread.
  fileprivate func caused(_ effect: TraceRecord) -> Bool {
    effect.threadID == threadID && effect.time >= time && effect.time <= end
  }

  /// Whether it is a new backing for the source of a fill.
  fileprivate func publishes(_ fill: TraceRecord) -> Bool {
    guard kind == .publish, let first = number, let lisn = fill.number, lisn >= first else {
      return false
    }
    return UInt64(lisn - first) < value
  }

  /// Whether it dropped the page of a fill.
  fileprivate func zaps(_ fill: TraceRecord) -> Bool {
    guard kind == .zap, let start = offset, let page = fill.offset, page >= start else {
      return false
    }
    return page - start < value
  }

  /// Whether its end, if it was not refused, is a record of its own.
  fileprivate var beginsHotplug: Bool {
    kind == .attribute && half == UInt8(XIVE_TRACE_SET) && result == .ok
      && (generation == XIVE_GROUP_PHB || generation == XIVE_GROUP_PASSTHROUGH)
  }

  /// Whether it is the same whenever the same is done: threads of their own fill in advance and change what is mapped.
  var isComparable: Bool {
    switch kind {
    case .fill: cause != .prefault && cause != .again
    case .task, .update, .kernelFault, .gap, nil: false
    default: true
    }
  }
}
