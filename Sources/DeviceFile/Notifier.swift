internal import CFuse3
internal import PagedDevice
internal import Synchronization
internal import SystemCalls

/// The thread that tells the kernel what has changed in pages that it holds.
///
/// It serves no requests: a notification waits for fills and write-backs of the same pages, which the
/// request threads must be free to answer. Nobody waits for it on the fault path.
/// Source: Linux `fs/fuse/dev.c`, `fuse_notify_store`, `fuse_notify_inval_inode`.
final class Notifier: DeviceHost {
  private let wakeEvent: Event
  private let isAwake = Atomic<Bool>(false)
  private let stopping = Atomic<Bool>(false)
  /// Ranges of the file whose cached pages are no longer true; guards the list alone.
  private let stale = Mutex<[Range<UInt64>]>([])

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
    stale.withLock { $0.append(range) }
    updatesAreReady()
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
      for range in stale.withLock({ ranges in
        defer { ranges = [] }
        return ranges
      }) {
        session.invalidate(range)
      }
      device.takeUpdates { session.store($0) }
      if isLast { return }
    }
  }
}
