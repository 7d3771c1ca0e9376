internal import Synchronization
internal import XIVEModel

/// Which of the file's two windows onto the ESB pages an offset lies in.
enum ESBWindow: UInt32, CaseIterable {
  /// Region 0, as the kernel's device has it.
  case kernel = 0
  /// Region 1.
  case esb = 1
}

/// Remembers which pages that show PQ have been filled, and so may be mapped and must be kept current.
///
/// One word a source, one bit for each 4 KiB that shows its PQ (``WatchedPart``). A page is forgotten when it is
/// dropped on purpose alone, for the kernel does not tell when it drops one; an update of a dropped page costs
/// a little and does no harm.
struct WatchTable: Sendable {
  private let words: AtomicTable<UInt64>

  init(count: Int) { words = AtomicTable(count: count, repeating: 0) }

  /// Notes that a page is about to be filled. To be called before its PQ is read.
  ///
  /// Sequentially consistent, as the change of PQ and the look at this table are on the other side: a
  /// change either is in the image or finds the page watched.
  func watch(_ index: Int, _ part: WatchedPart) {
    guard words[index].load(ordering: .sequentiallyConsistent) & part.bit == 0 else { return }
    _ = words[index].bitwiseOr(part.bit, ordering: .sequentiallyConsistent)
  }

  /// Whether any page of a source has been filled.
  func isWatched(_ index: Int) -> Bool {
    words[index].load(ordering: .sequentiallyConsistent) != 0
  }

  /// Calls a function for each watched part of a source.
  func forEachPart(of index: Int, _ body: (WatchedPart) -> Void) {
    var rest = words[index].load(ordering: .sequentiallyConsistent)
    while rest != 0 {
      body(WatchedPart(bitIndex: UInt32(rest.trailingZeroBitCount)))
      rest &= rest - 1
    }
  }

  /// Forgets a source's pages, which are about to be dropped: to be called before that.
  func forget(_ index: Int) { words[index].store(0, ordering: .sequentiallyConsistent) }
}

/// One 4 KiB part of a page of a source: 16 parts, 2 windows, 2 halves.
struct WatchedPart: Hashable {
  let bitIndex: UInt32

  init(bitIndex: UInt32) { self.bitIndex = bitIndex }

  /// The part of a source's page.
  init(_ half: ESBHalf, _ window: ESBWindow, part: UInt32) {
    bitIndex = half.rawValue * 32 + window.rawValue * 16 + part
  }

  /// The part of a page of an END: the half takes the place of a source's.
  init(_ half: ENDHalf, part: UInt32) { bitIndex = half.rawValue * 32 + part }

  /// The part of a vCPU's TIMA page: region 3 takes the place of region 1.
  init(_ window: ESBWindow, part: UInt32) { bitIndex = window.rawValue * 16 + part }

  /// The part of a page of a PHB's own region.
  init(part: UInt32) { bitIndex = part }

  var bit: UInt64 { 1 << UInt64(bitIndex) }
  var half: ESBHalf { bitIndex < 32 ? .trigger : .management }
  var window: ESBWindow { bitIndex & 16 == 0 ? .kernel : .esb }
  /// Where in the device page it begins, in bytes.
  var offset: UInt64 { UInt64(bitIndex & 15) * 4_096 }
}
