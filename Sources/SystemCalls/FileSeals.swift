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
}
