internal import PagedDevice
internal import Synchronization

/// Remembers, for pages that are stored to through mappings, what has to be put back and what came last.
///
/// A slot is 8 bytes, numbered from the start of its 4 KiB page. Its lock guards the table alone and is held
/// for one look at one image; nobody waits for the kernel under it.
final class WriteBackLedger: Sendable {
  private struct Entry {
    /// What stores have left in the page, by slot, until it has been put back.
    var leftovers: [Int: Leftover] = [:]
    /// The slots of the newest write-back that had a difference.
    var last: [Int] = []
  }

  private struct Leftover: Equatable {
    var stored: UInt64
    /// What the page showed there before, and shall show again.
    var served: UInt64
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
      var differing: [Int] = []
      for slot in 0..<PageImage.byteCount / 8 where isTrigger || !Self.showsPQ(slot) {
        let value = unsafe image.unsafeLoadUnaligned(fromByteOffset: slot * 8, as: UInt64.self)
        let expected = slot < 504 ? UInt64.max : tail[slot - 504]
        if value != expected && value != entry.leftovers[slot]?.stored {
          differing.append(slot)
          entry.leftovers[slot] = Leftover(stored: value, served: expected)
        }
      }
      if !differing.isEmpty { entry.last = differing }
      table[page] = entry
      if isTrigger { return [0] }
      if !differing.isEmpty { return differing }
      return entry.last.count == 1 ? entry.last : []
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
        // Only what was put back: a write-back may have come in between.
        for (slot, leftover) in leftovers where table[page]?.leftovers[slot] == leftover {
          table[page]?.leftovers[slot] = nil
        }
      }
    }
  }

  private static func showsPQ(_ slot: Int) -> Bool { ImageBodies.pqWindow.contains(slot * 8) }
}
