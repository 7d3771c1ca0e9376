internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// A file that takes another one's place once it is whole: nobody ever finds half of it there.
///
/// Written under a name of its own beside the place, `PATH.tmp.` and six letters, readable and writable for the
/// owner alone. Gone with its owner unless ``commit()`` has put it in its place.
public struct ReplacementFile: ~Copyable {
  /// Where it goes; links are resolved, so that the file behind them is replaced.
  public let path: String
  private let temporary: String
  private let file: OwnedDescriptor
  private var written: UInt64 = 0

  /// Creates the file beside its place.
  /// - Parameter path: its place; what is there must be a regular file.
  /// - Throws: `EISDIR` for a directory, `EINVAL` for anything else that is no regular file, and the error of
  ///   creating it.
  public init(for path: String) throws(Errno) {
    let path = (try? MountTable.realPath(path)) ?? path
    if let status = try? FileStatus(ofPath: path), !status.isRegularFile {
      throw status.isDirectory ? .isDirectory : .invalidArgument
    }
    var template = Array("\(path).tmp.XXXXXX".utf8CString)
    file = OwnedDescriptor(
      rawValue: try valueOrErrno(unsafe csystem_make_temporary(&template)))
    temporary = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    self.path = path
  }

  /// Appends bytes.
  /// - Parameter bytes: what.
  /// - Throws: the error of writing, such as `ENOSPC`.
  public mutating func write(_ bytes: [UInt8]) throws(Errno) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { bytes in
        unsafe csystem_pwrite(file.rawValue, bytes.baseAddress, bytes.count, written)
      }
      rest = rest.dropFirst(try valueOrErrno(count))
      written += UInt64(count)
    }
  }

  /// Puts the file in its place when the disk has it.
  /// - Throws: the error of `fsync` or `rename`; what was in its place is still there then.
  public consuming func commit() throws(Errno) {
    try file.flush()
    guard unsafe rename(temporary, path) == 0 else { throw Errno(rawValue: errno) }
    // The name lasts as well; a file system that cannot promise that has renamed all the same.
    let parent = path.split(separator: "/").dropLast().joined(separator: "/")
    let directory = path.hasPrefix("/") ? "/" + parent : parent.isEmpty ? "." : parent
    try? OwnedDescriptor(opening: directory, []).flush()
  }

  // After a commit there is nothing of that name.
  deinit { unsafe unlink(temporary) }
}
