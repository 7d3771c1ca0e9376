public import TraceRecords
public import XIVEModel

/// What a live view of a device shows: records go in, and at the end of each interval a ``TopView`` comes out.
///
/// Knows no terminal and no clock. Thread rule: a value; one thread at a time.
public struct TopModel: Sendable {
  private let map: DeviceMap
  private var start: UInt64
  private var seconds = 1.0
  private var pages: [UInt64: TopPage] = [:]
  private var threads: [UInt32: TopThread] = [:]
  private var sources: [UInt32: PQ] = [:]
  private var current = TopInterval()
  private var last = TopInterval()
  private var events: [TopEvent] = []
  private var lostInAll: UInt64 = 0

  /// Pages that are remembered although nobody touches them any more.
  static let idlePageLimit = 65_536
  /// Hot-plug operations that are remembered.
  static let eventLimit = 64

  /// Creates a view of nothing yet.
  /// - Parameters:
  ///   - map: the device's layout.
  ///   - start: when the first interval begins: nanoseconds of `CLOCK_MONOTONIC`.
  public init(_ map: DeviceMap, start: UInt64) {
    self.map = map
    self.start = start
  }

  // MARK: - Records in

  /// Takes one record into the interval that goes on.
  public mutating func take(_ record: TraceRecord) {
    guard let kind = record.kind else { return }
    // The second time that the kernel asks for one SIGBUS is no event of its own.
    if kind == .fill, record.cause == .again { return }
    current.count(kind)
    switch kind {
    case .fill, .load, .store, .writeBack: touch(kind, record)
    case .trigger, .eoi: note(record)
    case .zap: current.zaps.add(record.nanoseconds)
    case .plug, .unplug, .map, .unmap, .fence: log(TopEvent(record))
    case .task: name(record)
    case .attribute: use(by: record) { $0.requests += 1 }
    case .gap: lose(record.value)
    case .publish, .forward, .notify, .guestError, .update, .kernelFault: break
    }
  }

  private mutating func touch(_ kind: TraceKind, _ record: TraceRecord) {
    let nanoseconds = record.nanoseconds
    switch kind {
    case .fill: current.fills.add(nanoseconds)
    case .load, .store: current.exact.add(nanoseconds)
    default: break
    }
    let uses = TopUses(kind, record, nanoseconds)
    if let offset = record.offset {
      pages[offset >> map.pageShift, default: TopPage()].take(record, uses)
    }
    use(by: record) { $0.add(uses) }
    note(record)
  }

  /// Remembers the state that a source was left in.
  private mutating func note(_ record: TraceRecord) {
    guard let pq = record.pq, let lisn = lisn(of: record) else { return }
    sources[lisn] = pq.after
    current.touched.insert(lisn)
  }

  /// The source that a record is about: of other pages `number` is something else.
  private func lisn(of record: TraceRecord) -> UInt32? {
    guard let offset = record.offset else { return record.number }
    switch map.target(at: offset) {
    case .esb(let lisn, _): return lisn.rawValue
    case .phb: return record.number
    case .end, .tima, .connectedTIMA, nil: return nil
    }
  }

  private mutating func use(by record: TraceRecord, _ change: (inout TopUses) -> Void) {
    // The kernel itself, which writes back.
    guard record.threadID != 0 else { return }
    change(&threads[record.threadID, default: TopThread(processID: record.processID)].current)
  }

  private mutating func name(_ record: TraceRecord) {
    guard let name = record.threadName else { return }
    threads[record.threadID, default: TopThread(processID: record.processID)].name = name
  }

  private mutating func log(_ event: TopEvent) {
    events.append(event)
    if events.count > Self.eventLimit { events.removeFirst(events.count - Self.eventLimit) }
  }

  private mutating func lose(_ count: UInt64) {
    current.lost &+= count
    lostInAll &+= count
  }

  // MARK: - Intervals out

  /// Ends the interval that goes on, and begins the next.
  /// - Parameter now: nanoseconds of `CLOCK_MONOTONIC`.
  public mutating func turn(at now: UInt64) {
    seconds = max(Double(now &- min(start, now)) / 1e9, 1e-3)
    start = now
    last = current
    current = TopInterval()
    for key in pages.keys { pages[key]?.turn() }
    for key in threads.keys { threads[key]?.turn() }
    if pages.count > Self.idlePageLimit { pages = pages.filter { !$0.value.last.isEmpty } }
    threads = threads.filter { $0.value.idleIntervals < TopThread.patience }
  }

  /// What the last interval was.
  /// - Parameters:
  ///   - order: which pages come first.
  ///   - limit: most pages that are wanted.
  /// - Returns: rows to show.
  public func view(by order: TopOrder = .faults, pages limit: Int = .max) -> TopView {
    let hottest = pages.sorted { first, second in
      order.precedes((first.value, first.key), (second.value, second.key))
    }
    var view = TopView(seconds: seconds, order: order, lostInAll: lostInAll)
    view.take(last)
    view.pages = hottest.prefix(limit).map { row($0.value, at: $0.key << map.pageShift) }
    for lisn in last.touched { view.pq[sources[lisn]?.description ?? "", default: 0] += 1 }
    view.consumers =
      threads.filter { !$0.value.last.isEmpty }
      .sorted { ($1.value.last.touches, $0.key) < ($0.value.last.touches, $1.key) }
      .map { TopView.Consumer($0.value, thread: $0.key, per: seconds) }
    view.hotplug = events.reversed().map { $0.row(at: start) }
    return view
  }

  private func row(_ page: TopPage, at offset: UInt64) -> TopView.Page {
    var place = TraceRecord(.fill)
    place.offset = offset
    let event = TraceEvent(place, map)
    let name = event.pageWords ?? "0x" + String(offset, radix: 16)
    let backing = page.record.map { TraceEvent($0, map).backingWords ?? "none" } ?? "-"
    var row = TopView.Page(page, name: name, backing: backing, per: seconds)
    row.offset = offset
    if case .esb(let lisn, _) = event.target { row.pq = sources[lisn.rawValue]?.description }
    return row
  }
}

extension TraceRecord {
  /// How long the toucher waited, as far as the server knows.
  fileprivate var nanoseconds: UInt64 { UInt64(queueTime) + UInt64(serviceTime) }
}
