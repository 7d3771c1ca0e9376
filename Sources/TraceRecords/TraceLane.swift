internal import CSystemCalls
internal import Glibc
internal import Synchronization

/// The newest records of one thread, which any thread reads while it goes on writing.
///
/// One thread writes at a time: the one that has the lane's slot. Nobody waits for anybody, and nothing is allocated
/// after `init`. A record is eight atomic words, so that reading one that is being overwritten is no race; whoever
/// reads looks afterwards whether it was.
@safe
final class TraceLane: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`; every word is atomic.
  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  /// One more than are kept: the place that is being written.
  private let capacity: Int
  /// Records that have been written whole.
  private let written = Atomic<Int>(0)
  /// A sequence number that no record still to be written here is below; `max` while none is on its way.
  private let pending = Atomic<UInt64>(.max)

  private static let wordCount = TraceRecord.byteCount / 8

  /// Reserves room; the system gives the memory when it is first written.
  init(keeping count: Int) {
    capacity = count + 1
    guard let memory = unsafe calloc(capacity, TraceRecord.byteCount) else {
      fatalError("no memory for \(count) trace records")
    }
    unsafe words = memory.bindMemory(
      to: Atomic<UInt64>.self, capacity: capacity * Self.wordCount)
  }

  deinit { unsafe free(words) }

  // MARK: - The writing thread

  /// Takes the next sequence number for a record that is about to be written.
  func claim(from next: borrowing Atomic<UInt64>) -> UInt64 {
    // Before the number is taken, so that a reader who sees it taken sees this as well.
    pending.store(next.load(ordering: .relaxed), ordering: .sequentiallyConsistent)
    return next.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
  }

  /// Writes the record whose number was claimed.
  func write(_ record: TraceRecord) {
    let index = written.load(ordering: .relaxed)
    // Whoever sees a word of this record sees that the one before it in this place is gone.
    atomicMemoryFence(ordering: .releasing)
    let place = unsafe words + index % capacity * Self.wordCount
    unsafe withUnsafeBytes(of: record) { bytes in
      for word in 0..<Self.wordCount {
        let value = unsafe bytes.load(fromByteOffset: word * 8, as: UInt64.self)
        unsafe place[word].store(value, ordering: .relaxed)
      }
    }
    written.store(index + 1, ordering: .releasing)
    // Before the writer looks whether somebody waits: whoever waits looks for this first.
    pending.store(.max, ordering: .sequentiallyConsistent)
  }

  // MARK: - Readers

  /// Records with numbers below this have been written, as far as this lane goes.
  var horizon: UInt64 { pending.load(ordering: .sequentiallyConsistent) }

  /// The places of the records that are kept; the first may go at any moment.
  var kept: Range<Int> {
    let end = written.load(ordering: .acquiring)
    return max(0, end - capacity + 1)..<end
  }

  /// The record in a place, or nil when it has been overwritten.
  func record(_ index: Int) -> TraceRecord? {
    let place = unsafe words + index % capacity * Self.wordCount
    var record = TraceRecord(.gap)
    unsafe withUnsafeMutableBytes(of: &record) { bytes in
      for word in 0..<Self.wordCount {
        let value = unsafe place[word].load(ordering: .relaxed)
        unsafe bytes.storeBytes(of: value, toByteOffset: word * 8, as: UInt64.self)
      }
    }
    return isKept(index) ? record : nil
  }

  /// The sequence number of the record in a place, or nil when it has been overwritten.
  func sequence(_ index: Int) -> UInt64? {
    let value = unsafe words[index % capacity * Self.wordCount].load(ordering: .relaxed)
    return isKept(index) ? value : nil
  }

  /// The place of the first record with a number or a higher one.
  func place(of sequence: UInt64) -> Int {
    let kept = kept
    var low = kept.lowerBound
    var high = kept.upperBound
    while low < high {
      let middle = (low + high) / 2
      // What has been overwritten meanwhile is older than all that is kept.
      if self.sequence(middle).map({ $0 < sequence }) ?? true {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  private func isKept(_ index: Int) -> Bool {
    atomicMemoryFence(ordering: .acquiring)
    return written.load(ordering: .relaxed) < index + capacity
  }
}
