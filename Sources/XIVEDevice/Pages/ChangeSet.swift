internal import Synchronization
internal import XIVEModel

/// The numbers of those whose mapped pages need new bytes: a set that any thread adds to and one thread empties.
///
/// Two levels of bits; adding is one or two atomic operations and never waits.
struct ChangeSet: Sendable {
  private let leaves: AtomicTable<UInt64>
  private let summary: AtomicTable<UInt64>

  init(count: Int) {
    let leafCount = (count + 63) / 64
    leaves = AtomicTable(count: leafCount, repeating: 0)
    summary = AtomicTable(count: (leafCount + 63) / 64, repeating: 0)
  }

  /// Adds a number.
  /// - Returns: whether the thread that empties the set has to be woken.
  func insert(_ index: Int) -> Bool {
    let leaf = index / 64
    let bit = UInt64(1) << UInt64(index & 63)
    let before = leaves[leaf].bitwiseOr(bit, ordering: .sequentiallyConsistent).oldValue
    // Whoever set the first bit of a leaf marks the summary and wakes; the others rely on that.
    guard before == 0 else { return false }
    _ = summary[leaf / 64].bitwiseOr(
      UInt64(1) << UInt64(leaf & 63), ordering: .sequentiallyConsistent)
    return true
  }

  /// Takes all numbers out; one added meanwhile is taken now or marks the set again.
  func drain(_ take: (Int) -> Void) {
    for group in 0..<summary.count {
      forEachBit(summary[group].exchange(0, ordering: .sequentiallyConsistent)) { bit in
        let leaf = group * 64 + bit
        forEachBit(leaves[leaf].exchange(0, ordering: .sequentiallyConsistent)) { low in
          take(leaf * 64 + low)
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
