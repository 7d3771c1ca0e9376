internal import PagedDevice
internal import Synchronization

/// The descriptors that have read trace records: tracing is on while there is one.
final class TraceReaders: Sendable {
  private struct Reader {
    /// The number of the first record that it has not read.
    var position: UInt64
    /// Whom to wake when there is one.
    var waker: PollWaker?
  }
  private let readers = Mutex<[UInt64: Reader]>([:])
  private let waiting = Atomic<Bool>(false)
  private let isAlwaysOn: Bool

  init(isAlwaysOn: Bool) { self.isAlwaysOn = isAlwaysOn }

  /// How many there are.
  var count: Int { readers.withLock(\.count) }

  /// Whether one of them waits for records.
  ///
  /// Sequentially consistent, as the writing of records ends and the waiting begins: one of the two sees the other.
  var areWaiting: Bool { waiting.load(ordering: .sequentiallyConsistent) }

  /// Notes where a descriptor reads; calls a function, under the lock, where it is the first one.
  func begin(_ opener: Opener, at position: UInt64, turnOn: () -> Void) {
    readers.withLock { readers in
      if readers.isEmpty, !isAlwaysOn { turnOn() }
      readers[opener.id, default: Reader(position: position)].position = position
    }
  }

  /// Notes where a descriptor goes on reading.
  func move(_ opener: Opener, to position: UInt64) {
    readers.withLock { $0[opener.id]?.position = position }
  }

  /// Forgets a descriptor; calls a function, under the lock, where it was the last one.
  func remove(_ opener: Opener, turnOff: () -> Void) {
    readers.withLock { readers in
      guard readers.removeValue(forKey: opener.id) != nil else { return }
      if readers.isEmpty, !isAlwaysOn { turnOff() }
    }
  }

  /// Whether there are records that a descriptor has not read; one that never read any has none. Woken when there are
  /// more.
  func isReadable(_ opener: Opener, horizon: () -> UInt64, orWake waker: PollWaker) -> Bool {
    readers.withLock { readers in
      guard let position = readers[opener.id]?.position else { return false }
      readers[opener.id]?.waker = waker
      waiting.store(true, ordering: .sequentiallyConsistent)
      return horizon() > position
    }
  }

  /// Wakes those who have records to read. By the thread that takes updates.
  /// - Parameter horizon: tells how far there are records.
  func wake(horizon: () -> UInt64) {
    guard areWaiting else { return }
    let woken = readers.withLock { readers in
      // Still waiting while it looks: a record that is written after the look has this called again.
      let horizon = horizon()
      var woken: [PollWaker] = []
      for (id, reader) in readers where horizon > reader.position {
        guard let waker = reader.waker else { continue }
        woken.append(waker)
        readers[id]?.waker = nil
      }
      let areWaiting = readers.values.contains { $0.waker != nil }
      waiting.store(areWaiting, ordering: .sequentiallyConsistent)
      return woken
    }
    for waker in woken { waker.wake() }
  }
}
