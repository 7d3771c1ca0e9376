internal import CSystemCalls
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

  /// Loads one byte, as any program does, but a hole is an error and no signal.
  ///
  /// A fault that the kernel takes for itself, as `MADV_POPULATE_READ` does, asks a file's server another number of
  /// times. One thread at a time; the program's own handler of `SIGBUS` is away meanwhile.
  /// - Parameter offset: byte offset in the mapping.
  /// - Throws: `EFAULT` for a hole.
  public func touch(at offset: Int) throws(Errno) {
    precondition((0..<byteCount).contains(offset))
    _ = try valueOrErrno(
      unsafe csystem_touch(bytes.baseAddress.map { unsafe UnsafeRawPointer($0 + offset) }))
  }
}
