internal import Synchronization
internal import TraceRecords
internal import XIVEModel

/// Remembers of each 4 KiB that was filled what dropped it, so that the next fill knows why it came.
///
/// A fixed table of atomic words, found by hashing: no lock, no allocation, any thread. What finds no room is forgotten,
/// and its fills have an unknown cause.
///
/// A page that is filled while it is being dropped may have been filled before or after that; it counts as dropped.
final class PageHistory: Sendable {
  private let words: AtomicTable<UInt64>
  /// Whether it knows of all pages that were ever filled.
  private let isWhole: Atomic<Bool>

  private static let probeCount = 32
  private static let keyShift: UInt64 = 14
  /// A word: key plus 1 in the high bits, below it what dropped the page, and whether that is still going on.
  private static let causeMask: UInt64 = 0xf
  private static let dropping: UInt64 = 1 << 4

  /// - Parameters:
  ///   - count: pages to remember; rounded up to a power of two.
  ///   - isWhole: whether no page has been filled before.
  init(count: Int, isWhole: Bool) {
    words = AtomicTable(
      count: 1 << (Int.bitWidth - (max(count, 64) - 1).leadingZeroBitCount), repeating: 0)
    self.isWhole = Atomic(isWhole)
  }

  /// Forgets all pages, for fills have not been noted for a while.
  /// - Parameter isWhole: whether there was none.
  func forget(isWhole: Bool) {
    self.isWhole.store(isWhole, ordering: .relaxed)
    for place in 0..<words.count { words[place].store(0, ordering: .relaxed) }
  }

  /// Notes that a page is being filled.
  /// - Returns: why it was not there.
  func filled(_ offset: UInt64) -> TraceCause {
    let key = key(of: offset)
    for probe in 0..<Self.probeCount {
      let place = place(of: key, probe)
      var word = words[place].load(ordering: .relaxed)
      if word == 0 {
        let (isOurs, found) = words[place].compareExchange(
          expected: 0, desired: key | UInt64(TraceCause.reclaim.rawValue), ordering: .relaxed)
        if isOurs { return isWhole.load(ordering: .relaxed) ? .firstTouch : .unknown }
        word = found
      }
      guard word & ~(1 << Self.keyShift - 1) == key else { continue }
      let cause = TraceCause(rawValue: UInt8(word & Self.causeMask)) ?? .unknown
      // From here on nobody has dropped it, so that if it goes the kernel took it.
      if word & Self.dropping == 0 {
        words[place].store(key | UInt64(TraceCause.reclaim.rawValue), ordering: .relaxed)
      }
      return cause
    }
    return .unknown
  }

  /// Notes that the pages of a range are being dropped, or have been; what was gone already stays gone for its own
  /// reason.
  /// - Parameters:
  ///   - range: byte offsets.
  ///   - cause: why.
  ///   - isDone: whether they are gone.
  func dropped(_ range: Range<UInt64>, _ cause: TraceCause, isDone: Bool) {
    let pages = range.lowerBound >> 12..<(range.upperBound + 4_095) >> 12
    guard pages.count <= words.count else { return sweep(pages, cause, isDone) }
    for page in pages {
      let key = key(of: page << 12)
      for probe in 0..<Self.probeCount {
        let place = place(of: key, probe)
        let word = words[place].load(ordering: .relaxed)
        if word == 0 { break }
        guard word & ~(1 << Self.keyShift - 1) == key else { continue }
        words[place].store(Self.dropped(word, cause, isDone), ordering: .relaxed)
        break
      }
    }
  }

  /// The same where the range has more pages than the table.
  private func sweep(_ pages: Range<UInt64>, _ cause: TraceCause, _ isDone: Bool) {
    for place in 0..<words.count {
      let word = words[place].load(ordering: .relaxed)
      guard word != 0, pages.contains(word >> Self.keyShift - 1) else { continue }
      words[place].store(Self.dropped(word, cause, isDone), ordering: .relaxed)
    }
  }

  /// A page's word once it is being dropped, or has been.
  private static func dropped(_ word: UInt64, _ cause: TraceCause, _ isDone: Bool) -> UInt64 {
    if word & dropping != 0 { return isDone ? word & ~dropping : word }
    guard word & causeMask == UInt64(TraceCause.reclaim.rawValue) else { return word }
    return word & ~causeMask | UInt64(cause.rawValue) | (isDone ? 0 : dropping)
  }

  private func key(of offset: UInt64) -> UInt64 { (offset >> 12 + 1) << Self.keyShift }

  private func place(of key: UInt64, _ probe: Int) -> Int {
    (Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 20) &+ probe) & (words.count - 1)
  }
}
