internal import TraceRecords

/// Which zap made a page fault again, and which new backing that zap was for.
///
/// Records come in the order in which things were done: a page can be filled again before its zap, which may be of many
/// pages, is done. Such a fill waits for it here.
struct ChromeFlows {
  /// A cause and its consequence, on up to three tracks.
  struct Flow {
    let publish: ChromeSlice?
    let zap: ChromeSlice
    let fill: ChromeSlice
  }

  /// How many of each are remembered: hot-plug operations whose pages nobody has touched since.
  private static let limit = 1_024

  private var publishes: [ChromeSlice] = []
  private var zaps: [ChromeSlice] = []
  private var waiting: [ChromeSlice] = []
  /// By the offset of a page that was filled again: the zap it was for; a zap makes a page fault once.
  private var usedZaps: [UInt64: UInt64] = [:]

  /// Takes an event, and tells which flows it completes.
  mutating func add(_ slice: ChromeSlice) -> [Flow] {
    let record = slice.event.record
    switch record.kind {
    case .publish: Self.append(slice, to: &publishes)
    case .zap:
      Self.append(slice, to: &zaps)
      return retry(after: slice.event)
    case .fill where record.result == .ok && record.cause.isZap:
      if let flow = flow(to: slice) { return [flow] }
      Self.append(slice, to: &waiting)
    default: break
    }
    return []
  }

  private static func append(_ slice: ChromeSlice, to list: inout [ChromeSlice]) {
    if list.count == limit { list.removeFirst(limit / 2) }
    list.append(slice)
  }

  /// Other zaps than the new one have been tried.
  private mutating func retry(after zap: TraceEvent) -> [Flow] {
    let fills = waiting
    waiting = []
    var flows: [Flow] = []
    for fill in fills {
      if zap.dropped(before: fill.event), let flow = flow(to: fill) {
        flows.append(flow)
      } else {
        waiting.append(fill)
      }
    }
    return flows
  }

  private mutating func flow(to fill: ChromeSlice) -> Flow? {
    guard let offset = fill.event.offset,
      let zap = zaps.last(where: { $0.event.dropped(before: fill.event) }),
      usedZaps[offset].map({ zap.event.record.sequence > $0 }) ?? true
    else { return nil }
    usedZaps[offset] = zap.event.record.sequence
    let publish = publishes.last { $0.event.isBehind(zap.event) }
    return Flow(publish: publish, zap: zap, fill: fill)
  }
}

extension TraceEvent {
  /// Whether this zap dropped a page for the cause that a later fill gives.
  fileprivate func dropped(before fill: TraceEvent) -> Bool {
    guard record.cause == fill.record.cause, record.time <= fill.end, let offset,
      let page = fill.offset
    else { return false }
    return page >= offset && page - offset < record.value
  }

  /// Whether this is the new backing for which a zap dropped the old one's pages.
  fileprivate func isBehind(_ zap: TraceEvent) -> Bool {
    guard record.time <= zap.record.time, let mine = sources, let its = zap.sources else {
      return false
    }
    return mine.overlaps(its)
  }
}

extension TraceCause {
  /// Whether a zap, which leaves a record, is the cause.
  fileprivate var isZap: Bool {
    switch self {
    case .map, .unmap, .unplug, .vcpu: true
    case .none, .firstTouch, .store, .reclaim, .prefault, .again, .unknown: false
    }
  }
}
