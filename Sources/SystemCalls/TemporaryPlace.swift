internal import Glibc
public import SystemPackage

/// A directory of one's own for device files and what belongs to them, below `TMPDIR` or `/tmp`.
///
/// Removed with its owner, and what lies in it; mounts in it have been taken off by then.
public struct TemporaryPlace: ~Copyable, Sendable {
  /// An absolute path without links.
  public let path: String

  /// Creates the directory.
  /// - Parameter name: what its name begins with.
  /// - Throws: the error of `mkdtemp`.
  public init(_ name: String) throws(Errno) {
    let parent = Program.variable("TMPDIR") ?? "/tmp"
    var template = Array("\(parent)/\(name)-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
    let made = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    path = try MountTable.realPath(made)
  }

  deinit { Self.remove(path) }

  /// Removes such a directory and the files in it, for a process that ends without its owner going.
  /// - Parameter path: the directory.
  public static func remove(_ path: String) {
    for name in entries(of: path) { unsafe unlink(path + "/" + name) }
    unsafe rmdir(path)
  }

  private static func entries(of path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }
}
