internal import Synchronization
internal import XIVEModel

/// Finds out which of the times that the kernel asks for a page before it raises `SIGBUS` is the first.
///
/// The kernel leaves the page that it could not fill in its cache. A fault that finds none asks twice; one that finds
/// such a page asks three times. How often is known from what was refused, or dropped, before; where that is
/// mistaken (the kernel has reclaimed the page, or made the access itself), a pause sets it right.
/// Source: Linux `mm/filemap.c`, `filemap_fault`: errors do not count before the fault is repeated for the last time;
/// `arch/x86/mm/fault.c`, `do_user_addr_fault`: which it is after a major fault, or the second repetition.
final class RefusedFills: Sendable {
  /// Of the last refusal of a page to a thread: who and which, when, and how many more will be of the same fault.
  private let threads = AtomicTable<UInt64>(count: 1_024, repeating: 0)
  /// Pages that refusals have left in the cache, their numbers plus 1.
  private let pages = AtomicTable<UInt64>(count: 4_096, repeating: 0)

  /// The lowest bits of a word of `threads`; in the 20 above them the time.
  private static let countBits: UInt64 = 2
  private static let timeBits: UInt64 = 20
  /// A unit of time is a millisecond or so: 2^20 ns.
  private static let timeShift: UInt64 = 20
  /// As many units after the last refusal a new fault has begun.
  private static let pause: UInt64 = 100

  /// Notes that a page was refused.
  /// - Parameters:
  ///   - offset: byte offset of the page.
  ///   - thread: the toucher.
  ///   - time: when it asked, in nanoseconds.
  /// - Returns: whether the same fault has been refused before.
  func isRepetition(of offset: UInt64, for thread: UInt32, at time: UInt64) -> Bool {
    let hash = Self.hash(offset, thread)
    let key = Self.key(hash)
    let now = time >> Self.timeShift & (1 << Self.timeBits - 1)
    let place = Int(hash >> 54)
    let last = threads[place].load(ordering: .relaxed)
    let rest = Self.rest(of: last, key, now)
    let next = rest > 0 ? rest - 1 : isLeft(offset) ? 2 : 1
    threads[place].store(key | now << Self.countBits | next, ordering: .relaxed)
    leave(offset)
    return rest > 0
  }

  /// Notes that a thread got its page: the fault that was refused at first is over, and the next one is another.
  func settle(_ offset: UInt64, for thread: UInt32) {
    let hash = Self.hash(offset, thread)
    let place = Int(hash >> 54)
    if Self.key(threads[place].load(ordering: .relaxed)) == Self.key(hash) {
      threads[place].store(0, ordering: .relaxed)
    }
  }

  private static func hash(_ offset: UInt64, _ thread: UInt32) -> UInt64 {
    (mixed(offset >> 12) ^ UInt64(thread)) &* 0xd6e8_feb8_6659_fd93
  }

  /// What is kept of a thread and a page in a word of `threads`.
  private static func key(_ word: UInt64) -> UInt64 {
    word & ~(1 << (countBits + timeBits) - 1)
  }

  /// How many refusals a fault still waits for.
  private static func rest(of word: UInt64, _ key: UInt64, _ now: UInt64) -> UInt64 {
    let mask: UInt64 = 1 << timeBits - 1
    guard Self.key(word) == key,
      (now &- word >> countBits) & mask < pause
    else { return 0 }
    return word & (1 << countBits - 1)
  }

  /// Notes that a refusal has left a page in the cache.
  func leave(_ offset: UInt64) {
    pages[place(offset)].store(offset >> 12 + 1, ordering: .relaxed)
  }

  /// Notes that a page is not there any more, or has been filled.
  func forget(_ offset: UInt64) {
    let place = place(offset)
    if pages[place].load(ordering: .relaxed) == offset >> 12 + 1 {
      pages[place].store(0, ordering: .relaxed)
    }
  }

  /// Notes that the pages of a range are not there any more.
  func forget(_ range: Range<UInt64>) {
    let numbers = range.lowerBound >> 12..<(range.upperBound + 4_095) >> 12
    guard numbers.count > pages.count else {
      for number in numbers { forget(number << 12) }
      return
    }
    for place in 0..<pages.count {
      let word = pages[place].load(ordering: .relaxed)
      if word > 0, numbers.contains(word - 1) { pages[place].store(0, ordering: .relaxed) }
    }
  }

  private func isLeft(_ offset: UInt64) -> Bool {
    pages[place(offset)].load(ordering: .relaxed) == offset >> 12 + 1
  }

  private func place(_ offset: UInt64) -> Int { Int(Self.mixed(offset >> 12) >> 52) }

  private static func mixed(_ page: UInt64) -> UInt64 { page &* 0x9e37_79b9_7f4a_7c15 }
}
