internal import PagedDevice
internal import Synchronization

/// Which pages of the file the kernel may have in its cache: all that were ever filled, and some that share their bit.
///
/// Before an exact access the kernel writes the page's stores to mappings back, and after an exact store drops the page.
/// An access that does not pass the kernel is right only where there is nothing of the page in the cache.
/// Source: Linux `mm/filemap.c`, `generic_file_read_iter`, `kiocb_invalidate_pages`.
///
/// Thread rule: any thread. A page is added before the kernel has its bytes, so that whoever knows of a store to a mapping
/// finds it here.
@safe
final class CachedPages: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`, and every word is atomic.
  private let words: UnsafeMutablePointer<Atomic<UInt64>>

  private static let wordCount = 1 << 12

  init() {
    unsafe words = .allocate(capacity: Self.wordCount)
    for index in 0..<Self.wordCount { unsafe (words + index).initialize(to: Atomic(0)) }
  }

  deinit {
    unsafe words.deinitialize(count: Self.wordCount)
    unsafe words.deallocate()
  }

  /// Adds the page at an offset.
  func add(_ offset: UInt64) {
    let (word, bit) = Self.place(of: offset)
    // Only read where that is enough: neighbours are filled by other threads.
    guard unsafe words[word].load(ordering: .relaxed) & bit == 0 else { return }
    _ = unsafe words[word].bitwiseOr(bit, ordering: .relaxed)
  }

  /// Whether the page at an offset may be in the cache.
  func mayHave(_ offset: UInt64) -> Bool {
    let (word, bit) = Self.place(of: offset)
    return unsafe words[word].load(ordering: .relaxed) & bit != 0
  }

  /// Neighbours share words, so that only what is used of the table takes memory; regions do not begin at one place.
  private static func place(of offset: UInt64) -> (word: Int, bit: UInt64) {
    let page = offset / UInt64(PageImage.byteCount)
    let index = page &+ (page >> 28) &* 0x9e37_79b1
    return (Int(index / 64 % UInt64(wordCount)), 1 << (index % 64))
  }
}
