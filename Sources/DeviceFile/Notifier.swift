internal import CFuse3
internal import PagedDevice
internal import Synchronization
internal import SystemCalls

/// The thread that tells the kernel what has changed in pages that it holds.
///
/// It serves no requests: a notification waits for fills and write-backs of the same pages, which the
/// request threads must be free to answer. No request thread waits for it: what has to follow an invalidation,
/// the answer to its caller among it, is done here.
/// Source: Linux `fs/fuse/dev.c`, `fuse_notify_store`, `fuse_notify_inval_inode`.
final class Notifier: DeviceHost {
  /// An invalidation and what its caller is told.
  private struct Order {
    let invalidation: Invalidation
    /// When it was handed over, in nanoseconds of `CLOCK_MONOTONIC`.
    let since: UInt64
    let answer: @Sendable () -> Void
  }

  private struct Work {
    /// Ranges of the file whose cached pages are no longer true.
    var stale: [(range: Range<UInt64>, since: UInt64)] = []
    /// In the order in which they were handed over.
    var orders: [Order] = []
    var isClosed = false
  }

  private let wakeEvent: Event
  private let isAwake = Atomic<Bool>(false)
  private let stopping = Atomic<Bool>(false)
  /// Guards the lists alone.
  private let work = Mutex(Work())

  init() throws(DeviceFileError) {
    do { wakeEvent = try Event() } catch { throw .system("eventfd", error) }
  }

  /// Wakes the thread; many calls before it runs are one.
  func updatesAreReady() {
    guard !isAwake.exchange(true, ordering: .sequentiallyConsistent) else { return }
    wakeEvent.raise()
  }

  /// Has the cached pages of a range dropped, soon.
  func zap(_ range: Range<UInt64>) {
    work.withLock { $0.stale.append((range, MonotonicClock.nanoseconds)) }
    updatesAreReady()
  }

  /// Has an invalidation carried out.
  /// - Parameters:
  ///   - invalidation: what to drop, to call and to fill.
  ///   - answer: called when all of it is done.
  /// - Returns: false when the thread has ended: nothing will be done.
  func carryOut(_ invalidation: Invalidation, then answer: @escaping @Sendable () -> Void) -> Bool {
    let isTaken = work.withLock { work in
      guard !work.isClosed else { return false }
      work.orders.append(
        Order(invalidation: invalidation, since: MonotonicClock.nanoseconds, answer: answer))
      return true
    }
    if isTaken { updatesAreReady() }
    return isTaken
  }

  /// Makes ``run(_:_:)`` return once everything has been delivered.
  func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    wakeEvent.raise()
  }

  /// Delivers until stopped; the body of the thread.
  func run(_ session: Session, _ device: any PagedDevice) {
    let delivery = Delivery(session, device)
    while true {
      let isLast = stopping.load(ordering: .sequentiallyConsistent)
      if !isLast { _ = wakeEvent.wait() }
      wakeEvent.lower()
      // Lowered before looking: what becomes ready from here on raises it again.
      isAwake.store(false, ordering: .sequentiallyConsistent)
      let work = take(closing: isLast)
      for (range, since) in work.stale { delivery.drop(range, .cachedStore, since: since) }
      for order in work.orders { carryOut(order, delivery) }
      delivery.update()
      if isLast { return }
    }
  }

  private func take(closing: Bool) -> Work {
    work.withLock { work in
      defer { work = Work(isClosed: closing) }
      return work
    }
  }

  private func carryOut(_ order: Order, _ delivery: Delivery) {
    let invalidation = order.invalidation
    for range in invalidation.ranges {
      delivery.drop(range, invalidation.reason, since: order.since)
    }
    invalidation.completion()
    // Before the answer, so that whoever is answered finds the state in its mappings.
    delivery.update()
    for range in invalidation.prefault { delivery.fill(range) }
    order.answer()
  }
}

/// What the notifier tells the kernel, and those who follow the device of it.
private struct Delivery {
  private let session: Session
  private let device: any PagedDevice
  private let tracer: (any RequestTracer)?

  init(_ session: Session, _ device: any PagedDevice) {
    self.session = session
    self.device = device
    tracer = device.tracer
  }

  private var activeTracer: (any RequestTracer)? { tracer.flatMap { $0.isOn ? $0 : nil } }

  func drop(_ range: Range<UInt64>, _ reason: DropReason, since: UInt64) {
    guard let tracer = activeTracer else { return session.invalidate(range) }
    let begun = MonotonicClock.nanoseconds
    tracer.dropping(range, reason)
    session.invalidate(range)
    tracer.dropped(range, reason, since: (since, begun))
  }

  func update() {
    device.takeUpdates { update in
      guard let tracer = activeTracer else { return session.store(update) }
      let begun = MonotonicClock.nanoseconds
      session.store(update)
      let end = update.offset + UInt64(unsafe update.bytes.count)
      tracer.updated(update.offset..<end, since: begun)
    }
  }

  func fill(_ range: Range<UInt64>) {
    var begun = MonotonicClock.nanoseconds
    session.fill(range, from: device) { run in
      activeTracer?.prefilled(run, since: begun)
      begun = MonotonicClock.nanoseconds
    }
  }
}
