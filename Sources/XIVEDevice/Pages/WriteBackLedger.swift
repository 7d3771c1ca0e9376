internal import PagedDevice
internal import Synchronization
internal import XIVEModel

/// Remembers, for pages that are stored to through mappings, what has to be put back and what came last.
///
/// A slot is 8 bytes, numbered from the start of its 4 KiB page. Its lock guards the tables alone and is held
/// for one look at one image; nobody waits for the kernel under it.
final class WriteBackLedger: Sendable {
  /// A page while one thing serves it.
  struct Key: Hashable {
    /// Byte offset of its 4 KiB in the file.
    let offset: UInt64
    /// How often its backing had changed.
    let generation: UInt32
  }

  private struct Tables {
    var pages: [Key: Page] = [:]
    /// Pages in which something has to be put back.
    var pending: Set<Key> = []
  }

  private let tables = OrderedMutex(.ledger, Tables())
  private let rounds = Atomic<UInt64>(0)

  /// How often ``restore(_:)`` has returned.
  var round: UInt64 { rounds.load(ordering: .sequentiallyConsistent) }

  /// How many pages are remembered.
  var pageCount: Int { tables.withLock(\.pages.count) }

  /// Finds the stores in an image that was made after a round.
  ///
  /// A store that races with putting back the one before it may leave no trace but the page's being dirty.
  /// Where only one slot can be meant it is repeated; else it has coalesced, and nothing is made up.
  /// - Returns: slots in ascending order; for a trigger page one, wherever the stores went.
  func stores(
    in image: RawSpan, at key: Key, tail: PageImage.Tail, isTrigger: Bool, since round: UInt64
  ) -> [Int] {
    tables.withLock { tables in
      let found = tables.pages[key, default: Page()]
        .look(at: image, tail, isTrigger: isTrigger, since: round)
      tables.pending.insert(key)
      return isTrigger ? [found.first ?? 0] : found
    }
  }

  /// Forgets pages that have been dropped: what was stored there has taken effect, and must not be put back into
  /// the pages that took their place. By the thread that puts back.
  /// - Parameter isDropped: tells which.
  func forget(_ isDropped: (Key) -> Bool) {
    tables.withLock { tables in
      for key in tables.pages.keys.filter(isDropped) {
        tables.pages[key] = nil
        tables.pending.remove(key)
      }
    }
  }

  /// Puts back what was served, slot by slot, so that a store to a neighbour is not undone.
  ///
  /// Called by one thread.
  func restore(_ deliver: (PageUpdate) -> Void) {
    let round = self.round + 1
    let pending = tables.withLock { tables in
      defer { tables.pending = [] }
      return tables.pending
    }
    for key in pending {
      let leftovers = tables.withLock { $0.pages[key]?.leftovers ?? [:] }
        .filter { $0.value.putBack == nil }
      for (slot, leftover) in leftovers {
        unsafe withUnsafeBytes(of: leftover.served) { bytes in
          deliver(unsafe PageUpdate(offset: key.offset + UInt64(slot * 8), unsafeBytes: bytes))
        }
      }
      tables.withLock { tables in
        tables.pages[key]?.notePutBack(leftovers, round)
        // A trigger page needs no memory beyond that: whatever comes next is one trigger.
        if tables.pages[key]?.isDone == true { tables.pages[key] = nil }
      }
    }
    rounds.store(round, ordering: .sequentiallyConsistent)
  }
}

extension WriteBackLedger {
  /// What a store has left in a slot.
  fileprivate struct Leftover {
    let stored: UInt64
    /// What the page showed there before, and shall show again.
    let served: UInt64
    /// The number of the image that it was found in.
    let image: UInt64
    /// The round that has put it back; images made before that round ended may still show it.
    var putBack: UInt64?

    func mayShow(since round: UInt64) -> Bool { putBack.map { $0 > round } ?? true }
  }

  /// One page that is stored to.
  fileprivate struct Page {
    /// What has not been put back for certain.
    private(set) var leftovers: [Int: Leftover] = [:]
    /// The slots that a store may have gone to without being seen: the leftovers of the last image with any.
    private var candidates: Set<Int> = []
    private var imageCount: UInt64 = 0
    private var isTrigger = false

    /// Whether it can be forgotten.
    var isDone: Bool { isTrigger && leftovers.values.allSatisfy { $0.putBack != nil } }

    private static let tailSlot = ImageBodies.byteCount / 8

    /// Finds the stores in an image, and notes what they have left.
    mutating func look(
      at image: RawSpan, _ tail: PageImage.Tail, isTrigger: Bool, since round: UInt64
    ) -> [Int] {
      imageCount += 1
      self.isTrigger = isTrigger
      let before = leftovers.filter { $0.value.mayShow(since: round) }
      leftovers = before
      var stores: [Int] = []
      for slot in 0..<PageImage.byteCount / 8 where isTrigger || !Self.showsPQ(slot) {
        let value = Self.value(of: slot, in: image)
        let served = slot < Self.tailSlot ? UInt64.max : tail[slot - Self.tailSlot]
        guard value != served else { continue }
        if value != before[slot]?.stored { stores.append(slot) }
        // Noted anew in each image: it may have been stored again since it was last put back.
        leftovers[slot] = Leftover(stored: value, served: served, image: imageCount)
      }
      defer { if !leftovers.isEmpty { candidates = Set(leftovers.keys) } }
      guard stores.isEmpty else { return stores }
      return candidates.count == 1 && !Self.hasStoreOverPQ(image) ? Array(candidates) : []
    }

    /// Notes what a round has put back, but for what a newer image has found again.
    mutating func notePutBack(_ done: [Int: Leftover], _ round: UInt64) {
      for (slot, leftover) in done where leftovers[slot]?.image == leftover.image {
        leftovers[slot]?.putBack = round
      }
    }

    private static func showsPQ(_ slot: Int) -> Bool { ImageBodies.pqWindow.contains(slot * 8) }

    /// Whether a store lies in the PQ window, where it is no operation: its slots are alike otherwise.
    private static func hasStoreOverPQ(_ image: RawSpan) -> Bool {
      let window = ImageBodies.pqWindow.lowerBound / 8..<ImageBodies.pqWindow.upperBound / 8
      let first = value(of: window.lowerBound, in: image)
      return window.contains { value(of: $0, in: image) != first }
    }

    private static func value(of slot: Int, in image: RawSpan) -> UInt64 {
      unsafe image.unsafeLoadUnaligned(fromByteOffset: slot * 8, as: UInt64.self)
    }
  }
}
