internal import Synchronization
internal import XIVEModel

/// The sources whose mapped pages need new bytes: a set that any thread adds to and one thread empties.
///
/// Two levels of bits; adding is one or two atomic operations and never waits.
@safe
final class ChangeSet: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`, every word is atomic.
  private let leaves: UnsafeMutableBufferPointer<Atomic<UInt64>>
  private let summary: UnsafeMutableBufferPointer<Atomic<UInt64>>

  init(count: Int) {
    let leafCount = (count + 63) / 64
    unsafe leaves = Self.zeroed(leafCount)
    unsafe summary = Self.zeroed((leafCount + 63) / 64)
  }

  deinit {
    unsafe leaves.deinitialize()
    unsafe leaves.deallocate()
    unsafe summary.deinitialize()
    unsafe summary.deallocate()
  }

  private static func zeroed(_ count: Int) -> UnsafeMutableBufferPointer<Atomic<UInt64>> {
    let words = UnsafeMutableBufferPointer<Atomic<UInt64>>.allocate(capacity: count)
    for index in 0..<count { unsafe words.initializeElement(at: index, to: Atomic(0)) }
    return unsafe words
  }

  /// Adds a source.
  /// - Returns: whether the thread that empties the set has to be woken.
  func insert(_ lisn: LISN) -> Bool {
    let leaf = Int(lisn.rawValue) / 64
    let bit = UInt64(1) << (lisn.rawValue & 63)
    let before = unsafe leaves[leaf].bitwiseOr(bit, ordering: .sequentiallyConsistent).oldValue
    // Whoever set the first bit of a leaf marks the summary and wakes; the others rely on that.
    guard before == 0 else { return false }
    _ = unsafe summary[leaf / 64].bitwiseOr(
      UInt64(1) << UInt64(leaf & 63), ordering: .sequentiallyConsistent)
    return true
  }

  /// Takes all sources out; one added meanwhile is taken now or marks the set again.
  func drain(_ take: (LISN) -> Void) {
    for group in unsafe summary.indices {
      forEachBit(unsafe summary[group].exchange(0, ordering: .sequentiallyConsistent)) { bit in
        let leaf = group * 64 + bit
        forEachBit(unsafe leaves[leaf].exchange(0, ordering: .sequentiallyConsistent)) { low in
          take(LISN(rawValue: UInt32(leaf * 64 + low)))
        }
      }
    }
  }

  private func forEachBit(_ word: UInt64, _ body: (Int) -> Void) {
    var rest = word
    while rest != 0 {
      body(rest.trailingZeroBitCount)
      rest &= rest - 1
    }
  }
}
