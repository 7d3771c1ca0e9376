internal import PagedDevice
internal import Synchronization

/// Remembers, for pages that are stored to through mappings, what has to be put back and what came last.
///
/// A slot is 8 bytes, numbered from the start of its 4 KiB page. Its lock guards the table alone and is held
/// for one look at one image; nobody waits for the kernel under it.
final class WriteBackLedger: Sendable {
  fileprivate struct Entry {
    /// What stores have left in the page, by slot, until it has been put back.
    var leftovers: [Int: Leftover] = [:]
    /// The slots that a store could have gone to without being seen: those that held a store when the page
    /// was last written back.
    var candidates: Set<Int> = []
    /// Images looked at so far.
    var imageCount: UInt64 = 0
  }

  fileprivate struct Leftover: Equatable {
    var stored: UInt64
    /// What the page showed there before, and shall show again.
    var served: UInt64
    /// The number of the newest image that it was found in.
    var image: UInt64
  }

  private let entries = Mutex<[UInt64: Entry]>([:])
  private let pending = Mutex<Set<UInt64>>([])

  /// Finds the stores in an image.
  ///
  /// A store that races with putting back the one before it may leave no trace but the page's being dirty.
  /// Where only one slot can be meant it is repeated; else it has coalesced, and nothing is made up.
  /// - Returns: slots in ascending order; for a trigger page one slot, whatever was stored where.
  func stores(in image: RawSpan, at page: UInt64, tail: PageImage.Tail, isTrigger: Bool) -> [Int] {
    let found = entries.withLock { table -> [Int] in
      var entry = table[page] ?? Entry()
      defer { table[page] = entry }
      let differing = entry.look(at: image, tail, isTrigger: isTrigger)
      let candidates = entry.candidates
      if !entry.leftovers.isEmpty { entry.candidates = Set(entry.leftovers.keys) }
      if isTrigger { return [0] }
      if !differing.isEmpty { return differing }
      return candidates.count == 1 && !Self.hasStoreOverPQ(image) ? Array(candidates) : []
    }
    pending.withLock { _ = $0.insert(page) }
    return found
  }

  /// Puts back what was served, slot by slot, so that a store to a neighbour is not undone.
  func restore(_ deliver: (PageUpdate) -> Void) {
    let pages = pending.withLock { pages in
      defer { pages = [] }
      return pages
    }
    for page in pages {
      let leftovers = entries.withLock { $0[page]?.leftovers ?? [:] }
      for (slot, leftover) in leftovers {
        unsafe withUnsafeBytes(of: leftover.served) { bytes in
          deliver(unsafe PageUpdate(offset: page + UInt64(slot * 8), unsafeBytes: bytes))
        }
      }
      entries.withLock { table in
        // Only what was put back: a write-back may have come in between, with the same value even.
        for (slot, leftover) in leftovers where table[page]?.leftovers[slot] == leftover {
          table[page]?.leftovers[slot] = nil
        }
      }
    }
  }

  /// Whether a store lies in the PQ window, where it is no operation: the window's slots are alike otherwise.
  private static func hasStoreOverPQ(_ image: RawSpan) -> Bool {
    let window = ImageBodies.pqWindow
    let first = slot(window.lowerBound / 8, of: image)
    return (window.lowerBound / 8..<window.upperBound / 8).contains { slot($0, of: image) != first }
  }

  fileprivate static func slot(_ slot: Int, of image: RawSpan) -> UInt64 {
    unsafe image.unsafeLoadUnaligned(fromByteOffset: slot * 8, as: UInt64.self)
  }
}

extension WriteBackLedger.Entry {
  /// Notes what stores have left in an image.
  /// - Returns: the slots that hold a store which no earlier image had.
  fileprivate mutating func look(
    at image: RawSpan, _ tail: PageImage.Tail, isTrigger: Bool
  ) -> [Int] {
    var differing: [Int] = []
    imageCount += 1
    for slot in 0..<PageImage.byteCount / 8
    where isTrigger || !ImageBodies.pqWindow.contains(slot * 8) {
      let value = WriteBackLedger.slot(slot, of: image)
      let expected = slot < 504 ? UInt64.max : tail[slot - 504]
      guard value != expected else { continue }
      if value != leftovers[slot]?.stored { differing.append(slot) }
      // Noted anew in each image: it may have been stored again since it was last put back.
      leftovers[slot] = .init(stored: value, served: expected, image: imageCount)
    }
    return differing
  }
}
