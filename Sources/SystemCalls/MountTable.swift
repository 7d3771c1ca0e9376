internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// The mounts that this process sees.
///
/// Source: Linux `Documentation/filesystems/proc.rst`, `/proc/<pid>/mountinfo`.
public enum MountTable {
  /// The table's own file.
  static let path = "/proc/self/mountinfo"

  /// A mount as the table lists it.
  private struct Mount {
    let device: Substring
    let path: String
    let type: String

    init?(_ line: Substring) {
      let words = line.split(separator: " ")
      guard let separator = words.firstIndex(of: "-"), separator + 1 < words.count,
        words.count > 4
      else { return nil }
      device = words[2]
      path = MountTable.unescaped(words[4])
      type = String(words[separator + 1])
    }
  }

  private static var mounts: [Mount] {
    TextFile.contents(of: path).split(separator: "\n").compactMap(Mount.init)
  }

  /// The number of the file system that is topmost on a path; it is given away again only when nobody
  /// has a file of it open.
  /// - Parameter path: an absolute path without links.
  /// - Returns: major and minor number as the table writes them, or nil when nothing is mounted there.
  public static func device(at path: String) -> String? {
    topmost(at: path).map { String($0.device) }
  }

  /// Whether a file system is mounted anywhere.
  /// - Parameter device: its number, from ``device(at:)``.
  /// - Returns: whether the table lists it; true where the table cannot be read.
  public static func isMounted(device: String) -> Bool {
    let mounts = mounts
    // It never is empty: without it nobody can tell, and what was mounted still is.
    return mounts.isEmpty || mounts.contains { $0.device == device }
  }

  /// Whether a file system is the topmost one on a path.
  /// - Parameters:
  ///   - device: its number, from ``device(at:)``.
  ///   - path: an absolute path without links.
  /// - Returns: whether the table says so; true where the table cannot be read.
  public static func isTopmost(device: String, at path: String) -> Bool {
    let mounts = mounts
    return mounts.isEmpty || topmost(at: path, mounts)?.device == Substring(device)
  }

  /// Paths are compared byte by byte: two spellings of one letter are two files.
  private static func topmost(at path: String, _ mounts: [Mount] = mounts) -> Mount? {
    mounts.last { $0.path.utf8.elementsEqual(path.utf8) }
  }

  /// The type of the topmost mount on a path, such as `fuse.xive`.
  ///
  /// Does not touch the mount, so that a dead or silent server behind it does no harm.
  /// - Parameter path: an absolute path without links.
  /// - Returns: the type, or nil when nothing is mounted there.
  public static func fileSystemType(at path: String) -> String? {
    topmost(at: path)?.type
  }

  /// Takes the topmost mount off a path, at once for new users and later for those that have it open.
  /// - Parameter path: the mount point.
  /// - Throws: the error of `umount2`.
  public static func unmountLazily(_ path: String) throws(Errno) {
    try valueOrErrno(unsafe csystem_unmount_lazily(path))
  }

  /// Ends the connection of a FUSE mount, and unmounts it when nobody uses it.
  /// - Parameter path: the mount point.
  /// - Throws: the error of `umount2`, other than that it is in use.
  public static func abortConnection(_ path: String) throws(Errno) {
    do {
      try valueOrErrno(unsafe csystem_unmount_forcibly(path))
    } catch {
      if error != .resourceBusy { throw error }
    }
  }

  /// Opens a file in another process, to see whether anybody answers there.
  /// - Parameters:
  ///   - path: the file.
  ///   - milliseconds: how long to wait for the answer.
  /// - Throws: the error of `open`, or `ETIMEDOUT` without an answer.
  public static func probe(_ path: String, within milliseconds: Int) throws(Errno) {
    try valueOrErrno(unsafe csystem_probe_open(path, CInt(milliseconds)))
  }

  /// An absolute path without links.
  /// - Parameter path: an existing path.
  /// - Returns: the path.
  /// - Throws: the error of `realpath`.
  public static func realPath(_ path: String) throws(Errno) -> String {
    guard let resolved = unsafe realpath(path, nil) else { throw Errno(rawValue: errno) }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  /// Space, tab, newline and backslash are written as three octal digits.
  private static func unescaped(_ field: Substring) -> String {
    var result: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3,
        let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        result.append(code)
        rest = rest.dropFirst(3)
      } else {
        result.append(byte)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
