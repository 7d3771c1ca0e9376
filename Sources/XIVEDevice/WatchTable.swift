internal import Synchronization
internal import XIVEModel

/// Which of the file's two windows onto the ESB pages an offset lies in.
enum ESBWindow: UInt32, CaseIterable {
  /// Region 0, as the kernel's device has it.
  case kernel = 0
  /// Region 1.
  case esb = 1
}

/// Remembers which management pages have been filled, and so may be mapped and must be kept current.
///
/// One word a source: 16 bits for each window, one for each 4 KiB of a device page. A page is never
/// forgotten, for the kernel does not tell when it drops one; an update of a dropped page costs a little
/// and does no harm.
struct WatchTable: Sendable {
  private let words: AtomicTable<UInt32>

  init(count: Int) { words = AtomicTable(count: count, repeating: 0) }

  /// Notes that a page is about to be filled. To be called before its PQ is read.
  ///
  /// Sequentially consistent, as the change of PQ and the look at this table are on the other side: a
  /// change either is in the image or finds the page watched.
  func watch(_ lisn: LISN, _ window: ESBWindow, part: UInt32) {
    let bit = UInt32(1) << (window.rawValue * 16 + part)
    let index = Int(lisn.rawValue)
    guard words[index].load(ordering: .sequentiallyConsistent) & bit == 0 else { return }
    _ = words[index].bitwiseOr(bit, ordering: .sequentiallyConsistent)
  }

  /// The watched pages of a source; zero where nobody ever filled one.
  func pages(of lisn: LISN) -> UInt32 {
    words[Int(lisn.rawValue)].load(ordering: .sequentiallyConsistent)
  }
}
