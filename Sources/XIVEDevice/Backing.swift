internal import Synchronization
public import XIVEModel

/// What serves a source's pages now.
public enum Backing: Hashable, Sendable {
  /// The controller's own pages: the source is an IPI to it, whatever the guest uses it for.
  case ipi
  /// The pages of a passed-through PHB's interrupt.
  case phb(PHBIndex, HardwareIRQ)
}

/// A backing and how often it has changed: the atomic word that the fault path reads.
///
/// Layout: generation in bits 0-31, hardware irq in 32-47, PHB in 48-57, kind in 62-63 (1 IPI, 2 PHB).
/// Zero is a source that was never created.
public struct BackingWord: RawRepresentable, Hashable, Sendable {
  /// The word as it lies in memory.
  public let rawValue: UInt64

  /// Creates the value of a word.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Creates the word of a backing.
  /// - Parameters:
  ///   - backing: what serves the pages.
  ///   - generation: 1 for the first backing, one more with each change.
  public init(_ backing: Backing, generation: UInt32) {
    switch backing {
    case .ipi: rawValue = 1 << 62 | UInt64(generation)
    case .phb(let phb, let irq):
      rawValue =
        2 << 62 | UInt64(phb.rawValue) << 48 | UInt64(irq.rawValue) << 32 | UInt64(generation)
    }
  }

  /// How often the backing has changed, from 1.
  public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

  /// The word of the backing that comes next.
  func next(_ backing: Backing) -> BackingWord {
    BackingWord(backing, generation: generation &+ 1)
  }

  /// The backing, or nil for a source that was never created.
  public var backing: Backing? {
    switch rawValue >> 62 {
    case 1: return .ipi
    case 2:
      guard let phb = PHBIndex(rawValue: UInt16(rawValue >> 48 & 0x3ff)) else { return nil }
      return .phb(phb, HardwareIRQ(rawValue: UInt16(truncatingIfNeeded: rawValue >> 32)))
    default: return nil
    }
  }
}

/// The backing words of all sources.
///
/// Safe from any thread; a read is one atomic load. Sequentially consistent, for the gate's sake: whoever went in
/// after a drain reads what was published before it.
struct BackingTable: Sendable {
  private let words: AtomicTable<UInt64>

  init(count: Int) { words = AtomicTable(count: count, repeating: 0) }

  subscript(lisn: LISN) -> BackingWord {
    let index = Int(lisn.rawValue)
    guard index < words.count else { return BackingWord(rawValue: 0) }
    return BackingWord(rawValue: words[index].load(ordering: .sequentiallyConsistent))
  }

  /// Publishes the first backing of a source; a source that has one keeps it.
  func publishIPI(_ lisn: LISN) {
    let first = BackingWord(.ipi, generation: 1).rawValue
    _ = words[Int(lisn.rawValue)].compareExchange(
      expected: 0, desired: first, ordering: .sequentiallyConsistent)
  }

  /// Replaces the backing of a source that has one. One thread at a time.
  func publish(_ lisn: LISN, _ word: BackingWord) {
    words[Int(lisn.rawValue)].store(word.rawValue, ordering: .sequentiallyConsistent)
  }

  /// The first run of sources that exist, from a source on, or nil when none follows.
  func run(from first: Int) -> Range<Int>? {
    let count = words.count
    guard let start = (min(first, count)..<count).first(where: exists) else { return nil }
    let end = (start..<count).first { !exists($0) } ?? count
    return start..<end
  }

  private func exists(_ index: Int) -> Bool { words[index].load(ordering: .relaxed) != 0 }
}
