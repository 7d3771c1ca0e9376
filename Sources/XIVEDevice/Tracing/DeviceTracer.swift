internal import PagedDevice
internal import Synchronization
internal import TraceRecords
internal import XIVEModel

/// Makes the records of what the device and those who serve it do, while anybody wants them.
///
/// Off, it is one load and a branch wherever something happens. On, nothing that happens takes a lock for it or
/// allocates; those who read do.
final class DeviceTracer: RequestTracer {
  /// What exists once tracing has been on.
  final class Book: Sendable {
    let rings: TraceRings
    let history: PageHistory
    let refusals = RefusedFills()
    let scratches = (0..<TraceRings.laneCount).map { _ in TraceScratch() }

    init(_ rings: TraceRings, _ history: PageHistory) {
      self.rings = rings
      self.history = history
    }

    /// The calling thread's; nil where too many threads have one.
    var scratch: TraceScratch? { TraceTask.slot.map { scratches[$0] } }
  }

  private let on = Atomic<Bool>(false)
  private let isOpen = Atomic<Bool>(false)
  // nonisolated(unsafe): written once, before `isOpen` is set, and read only after it was seen.
  private nonisolated(unsafe) var openBook: Book?
  private let map: DeviceMap
  private let capacity: Int
  private let pageCount: Int
  private let link: HostLink
  let readers: TraceReaders

  /// - Parameters:
  ///   - configuration: how many records each thread keeps, and whether tracing is on from the start.
  ///   - link: whom to wake for readers.
  init(_ configuration: Configuration, _ link: HostLink) {
    map = configuration.map
    capacity = configuration.traceCapacity
    // Both pages in both windows, and room for the hash; a device of many sources has few that are touched.
    pageCount = min(Int(configuration.sourceCount) * 8, 1 << 20)
    self.link = link
    readers = TraceReaders(isAlwaysOn: configuration.isTraced)
    if configuration.isTraced { turn(on: true, afterFills: 0) }
  }

  /// Whether records are made.
  var isOn: Bool { on.load(ordering: .acquiring) }

  /// The records; nil while nobody has ever wanted any.
  var rings: TraceRings? { book?.rings }

  private var book: Book? { isOpen.load(ordering: .acquiring) ? unsafe openBook : nil }

  /// Starts to make records, or stops to. Under the readers' lock, or before the device is served.
  /// - Parameters:
  ///   - isOn: whether to start.
  ///   - fills: pages that have been filled so far.
  func turn(on isOn: Bool, afterFills fills: UInt64) {
    if isOn {
      if let book { book.history.forget(isWhole: fills == 0) } else { open(fills) }
    }
    on.store(isOn, ordering: .releasing)
  }

  private func open(_ fills: UInt64) {
    unsafe openBook = Book(
      TraceRings(capacity: capacity), PageHistory(count: pageCount, isWhole: fills == 0))
    isOpen.store(true, ordering: .releasing)
  }

  // MARK: - Records

  /// Keeps a record of the calling thread's.
  func append(_ record: TraceRecord) {
    guard let book else { return }
    var record = record
    record.name(currentTask(book))
    book.rings.append(record)
    wakeReaders()
  }

  private func currentTask(_ book: Book) -> TraceTask {
    book.scratch?.current { book.rings.append($0) }
      ?? TraceTask(threadID: TraceTask.ownThreadID, processID: 0)
  }

  /// Wakes whoever serves the device, where readers wait for records.
  private func wakeReaders() { if readers.areWaiting { link.wake() } }

  /// Notes facts of the request that the calling thread handles.
  func note(_ change: (inout TraceRecord) -> Void) {
    guard let scratch = book?.scratch, scratch.isInRequest else { return }
    change(&scratch.draft)
  }

  /// Notes what the request touches, and the PQ that an image shows.
  func note(_ signature: PageSignature, showing pq: PQ? = nil) {
    guard let scratch = book?.scratch, scratch.isInRequest, !scratch.isPlaced else { return }
    scratch.isPlaced = true
    scratch.draft.place(signature)
    if let pq { scratch.draft.pq = (pq, pq) }
  }

  /// Notes that the request goes on with the image of another page.
  func noteImage() {
    guard let scratch = book?.scratch, scratch.isInRequest else { return }
    scratch.isPlaced = false
  }

  /// Notes what the request that the calling thread handles loads, stores or sets.
  func noteValue(_ value: UInt64) { note { $0.value = value } }

  /// Notes why the request that the calling thread handles comes to nothing.
  func noteAbsence(_ reason: TraceResult.Absence) { note { $0.result = .absent(reason) } }

  /// Keeps the record of a store that was found in the image which the calling thread handles.
  func stored(_ value: UInt64, at offset: UInt64) {
    guard let scratch = book?.scratch, scratch.isInRequest else { return }
    var record = scratch.draft
    record.become(.writeBack, at: offset)
    record.value = value
    record.accessByteCount = 8
    record.serviceTime = UInt32(clamping: TraceClock.nanoseconds - record.time)
    scratch.storeCount += 1
    scratch.draft.pq = nil
    scratch.draft.result = .ok
    append(record)
  }

  /// Who the calling thread serves, and since when: for what ends on another thread.
  func origin() -> TraceOrigin {
    let request = book?.scratch.flatMap { $0.isInRequest ? $0.draft : nil }
    return TraceOrigin(
      task: book.map(currentTask) ?? TraceTask(threadID: TraceTask.ownThreadID, processID: 0),
      time: request?.time ?? TraceClock.nanoseconds, queueTime: request?.queueTime ?? 0)
  }

  /// Keeps a record of something that began elsewhere and ends now.
  func append(_ record: TraceRecord, from origin: TraceOrigin) {
    guard let book else { return }
    var record = record
    record.time = origin.time
    record.name(origin.task)
    record.queueTime = origin.queueTime
    record.serviceTime = UInt32(clamping: TraceClock.nanoseconds - origin.time)
    book.rings.append(record)
    wakeReaders()
  }

  // MARK: - Requests

  func began(_ origin: RequestOrigin) {
    book?.scratch?.begin(origin.threadID, waitingSince: origin.waitingSince)
  }

  func answering(_ request: TracedRequest, _ error: Int32) {
    guard let book else { return }
    guard let scratch = book.scratch else { return lose(request, in: book) }
    guard scratch.isInRequest else { return }
    var record = scratch.draft
    guard book.finish(&record, request, error, scratch) else { return }
    if !scratch.isPlaced { record = place(record) }
    if request.isWriteBack {
      // Each store has left its own record.
      guard scratch.storeCount == 0 else { return }
      if record.result == .ok { record.result = .absent(.unchanged) }
    }
    record.name(scratch.current { book.rings.append($0) })
    scratch.draft = record
    scratch.sequence = book.rings.claim()
  }

  /// Counts the record of a request that a thread without a ring handles.
  private func lose(_ request: TracedRequest, in book: Book) {
    guard request.leavesRecord else { return }
    // Its number is missing then, so that readers see a gap.
    book.rings.append(TraceRecord(.gap))
    wakeReaders()
  }

  func answered() {
    guard let book, let scratch = book.scratch, scratch.isInRequest else { return }
    scratch.end()
    guard let sequence = scratch.sequence else { return }
    scratch.sequence = nil
    scratch.draft.serviceTime = UInt32(clamping: TraceClock.nanoseconds - scratch.draft.time)
    book.rings.write(scratch.draft, sequence)
    wakeReaders()
  }

  // MARK: - Pages

  /// Names the page that a record begins at.
  private func place(_ record: TraceRecord) -> TraceRecord {
    var record = record
    guard let offset = record.offset, let target = map.target(at: offset) else { return record }
    record.place(target)
    return record
  }

  func dropping(_ range: Range<UInt64>, _ reason: DropReason) {
    book?.history.dropped(range, reason.cause, isDone: false)
  }

  func dropped(_ range: Range<UInt64>, _ reason: DropReason, since: (asked: UInt64, begun: UInt64))
  {
    book?.drop(range, reason.cause)
    var record = TraceRecord(.zap, time: since.begun)
    record.offset = range.lowerBound
    record.value = UInt64(range.count)
    record.cause = reason.cause
    record.queueTime = UInt32(clamping: since.begun - min(since.asked, since.begun))
    record.serviceTime = UInt32(clamping: TraceClock.nanoseconds - since.begun)
    append(place(record))
  }

  func updated(_ range: Range<UInt64>, since begun: UInt64) {
    append(place(filling(.update, range, since: begun)))
  }

  func prefilled(_ range: Range<UInt64>, since begun: UInt64) {
    guard let book else { return }
    _ = book.filled(range.lowerBound, range.count)
    var record = place(filling(.fill, range, since: begun))
    record.cause = .prefault
    append(record)
  }

  private func filling(_ kind: TraceKind, _ range: Range<UInt64>, since begun: UInt64)
    -> TraceRecord
  {
    var record = TraceRecord(kind, time: begun)
    record.offset = range.lowerBound
    record.value = UInt64(range.count)
    record.serviceTime = UInt32(clamping: TraceClock.nanoseconds - begun)
    return record
  }
}

extension DeviceTracer.Book {
  /// Makes a draft the record of a request whose answer is known.
  /// - Returns: false for a request that leaves none.
  fileprivate func finish(
    _ record: inout TraceRecord, _ request: TracedRequest, _ error: Int32, _ scratch: TraceScratch
  ) -> Bool {
    switch request {
    case .fill(let offset, let byteCount):
      record.become(.fill, at: offset)
      record.value = UInt64(byteCount)
      record.cause =
        error == 0 ? filled(offset, byteCount) : causeOfRefusal(offset, byteCount, scratch)
      if error == 0 { refusals.settle(offset, for: scratch.threadID) }
      if error != 0, record.result == .ok { record.result = .errno(error) }
    case .load(let offset, let byteCount), .store(let offset, let byteCount, _):
      guard request.leavesRecord else { return false }
      record.become(request.isLoad ? .load : .store, at: offset)
      record.accessByteCount = byteCount
      if error != 0 { record.result = .errno(error) }
      if case .store(_, _, dropsPage: true) = request {
        drop(offset..<offset + UInt64(byteCount), .store)
      }
    case .writeBack(let offset, _):
      record.become(.writeBack, at: offset)
    case .other: return false
    }
    return true
  }

  /// Whether a refused fill is the time that counts.
  private func causeOfRefusal(
    _ offset: UInt64, _ byteCount: Int, _ scratch: TraceScratch
  ) -> TraceCause {
    guard byteCount > PageImage.byteCount else {
      let isRepetition = refusals.isRepetition(
        of: offset, for: scratch.threadID, at: scratch.draft.time)
      return isRepetition ? .again : .none
    }
    // After one of many pages the kernel asks for the touched page alone.
    for page in 0..<byteCount / PageImage.byteCount {
      refusals.leave(offset + UInt64(page * PageImage.byteCount))
    }
    return .again
  }

  /// Notes that pages are being filled.
  /// - Returns: why the first of them was not there.
  fileprivate func filled(_ offset: UInt64, _ byteCount: Int) -> TraceCause {
    let first = filled(offset)
    for page in 1..<max(1, byteCount / PageImage.byteCount) {
      _ = filled(offset + UInt64(page * PageImage.byteCount))
    }
    return first
  }

  private func filled(_ offset: UInt64) -> TraceCause {
    refusals.forget(offset)
    return history.filled(offset)
  }

  /// Notes that pages have been dropped.
  fileprivate func drop(_ range: Range<UInt64>, _ cause: TraceCause) {
    history.dropped(range, cause, isDone: true)
    refusals.forget(range)
  }
}

extension TraceRecord {
  fileprivate mutating func name(_ task: TraceTask) {
    threadID = task.threadID
    processID = task.processID
  }
}

extension TracedRequest {
  /// Accesses to the region of records leave none.
  fileprivate var leavesRecord: Bool {
    switch self {
    case .fill, .writeBack: true
    case .load(let offset, _), .store(let offset, _, _):
      !Region.traces.contains(offset >> Region.shift)
    case .other: false
    }
  }
  fileprivate var isLoad: Bool { if case .load = self { true } else { false } }
  fileprivate var isWriteBack: Bool { if case .writeBack = self { true } else { false } }
}
