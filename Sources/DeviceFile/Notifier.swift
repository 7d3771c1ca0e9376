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
    let answer: @Sendable () -> Void
  }

  private struct Work {
    /// Ranges of the file whose cached pages are no longer true.
    var stale: [Range<UInt64>] = []
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
    work.withLock { $0.stale.append(range) }
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
      work.orders.append(Order(invalidation: invalidation, answer: answer))
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
    while true {
      let isLast = stopping.load(ordering: .sequentiallyConsistent)
      if !isLast { _ = wakeEvent.wait() }
      wakeEvent.lower()
      // Lowered before looking: what becomes ready from here on raises it again.
      isAwake.store(false, ordering: .sequentiallyConsistent)
      let work = take(closing: isLast)
      for range in work.stale { session.invalidate(range) }
      for order in work.orders { carryOut(order, session, device) }
      device.takeUpdates { session.store($0) }
      if isLast { return }
    }
  }

  private func take(closing: Bool) -> Work {
    work.withLock { work in
      defer { work = Work(isClosed: closing) }
      return work
    }
  }

  private func carryOut(_ order: Order, _ session: Session, _ device: any PagedDevice) {
    for range in order.invalidation.ranges { session.invalidate(range) }
    order.invalidation.completion()
    // Before the answer, so that whoever is answered finds the state in its mappings.
    device.takeUpdates { session.store($0) }
    for range in order.invalidation.prefault { session.fill(range, from: device) }
    order.answer()
  }
}
