internal import Glibc
public import SystemPackage

extension MappedRegion {
  /// How many of its 4 KiB pages are in the page cache; does not touch them.
  /// - Throws: the error of `mincore`.
  public var residentPageCount: Int {
    get throws(Errno) {
      var states = [UInt8](repeating: 0, count: (byteCount + 4_095) / 4_096)
      guard unsafe mincore(bytes.baseAddress, byteCount, &states) == 0 else {
        throw Errno(rawValue: errno)
      }
      return states.count { $0 & 1 == 1 }
    }
  }

  /// Has the kernel fill whole ranges at one touch, as a VMM does for its guest's memory (`MADV_HUGEPAGE`).
  /// - Throws: the error of `madvise`.
  public func adviseHugePages() throws(Errno) {
    guard unsafe madvise(bytes.baseAddress, byteCount, MADV_HUGEPAGE) == 0 else {
      throw Errno(rawValue: errno)
    }
  }

  /// Touches each page of a range as a load or a store would, but a hole is an error and no signal
  /// (`MADV_POPULATE_READ`, `MADV_POPULATE_WRITE`).
  /// - Parameters:
  ///   - range: byte offsets in the mapping, multiples of the system's page size.
  ///   - forWriting: whether a store follows.
  /// - Throws: `EFAULT` for a hole, `EINVAL` on a kernel before 5.14.
  public func populate(_ range: Range<Int>, forWriting: Bool = false) throws(Errno) {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    let advice = forWriting ? MADV_POPULATE_WRITE : MADV_POPULATE_READ
    guard
      unsafe madvise(bytes.baseAddress.map { unsafe $0 + range.lowerBound }, range.count, advice)
        == 0
    else { throw Errno(rawValue: errno) }
  }
}
