internal import CSystemCalls
public import SystemPackage

/// What can no longer be done to a file in memory, whoever tries; one of it matters here.
///
/// Source: Linux `include/uapi/linux/fcntl.h`, `F_SEAL_*`.
public struct FileSeals: OptionSet, Sendable {
  /// Linux's bits.
  public let rawValue: CInt
  /// Creates a set from Linux's bits.
  public init(rawValue: CInt) { self.rawValue = rawValue }
  /// It does not become smaller.
  public static let shrink = FileSeals(rawValue: 2)
}

extension OwnedDescriptor {
  /// The seals of a file in memory.
  ///
  /// Asks no file system, so that it is safe on a file whose server is this process.
  /// - Returns: its seals; none of them is ever taken off.
  /// - Throws: `EINVAL` when the file is not one in memory.
  public func seals() throws(Errno) -> FileSeals {
    FileSeals(rawValue: try valueOrErrno(csystem_seals(rawValue)))
  }

  /// Whether a file in memory lies in huge pages of the system's pool, where a page that somebody punches out need not
  /// come back: a touch then faults, whatever the seals.
  ///
  /// Source: Linux `fs/hugetlbfs/inode.c`, `hugetlbfs_punch_hole`; `mm/hugetlb.c`, `hugetlb_no_page`.
  /// - Returns: false for memory of ordinary pages.
  /// - Throws: the error of `fstatfs`, which asks the file's own system: for a file that has seals.
  public func isInHugePages() throws(Errno) -> Bool {
    try valueOrErrno(csystem_is_in_huge_pages(rawValue)) != 0
  }
}
