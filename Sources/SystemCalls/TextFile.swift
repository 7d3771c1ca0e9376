internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// Small files of text, such as those of `/proc`.
public enum TextFile {
  /// Reads a whole file.
  /// - Parameter path: where.
  /// - Returns: its text; empty when it cannot be read.
  public static func contents(of path: String) -> String {
    var bytes: UnsafeMutablePointer<CChar>?
    let count = unsafe csystem_read_file(path, &bytes)
    defer { unsafe free(bytes) }
    guard count > 0 else { return "" }
    return unsafe String(
      decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
  }

  /// Writes a whole file, in place of what it held.
  /// - Parameters:
  ///   - text: what.
  ///   - path: where; created for the owner alone when missing.
  /// - Throws: the error of opening or writing.
  public static func write(_ text: String, to path: String) throws(Errno) {
    let file = try OwnedDescriptor(opening: path, [.readWrite, .create])
    guard ftruncate(file.rawValue, 0) == 0 else { throw Errno(rawValue: errno) }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { bytes in
        unsafe csystem_pwrite(
          file.rawValue, bytes.baseAddress, bytes.count, UInt64(rest.startIndex))
      }
      rest = rest.dropFirst(try valueOrErrno(count))
    }
  }
}
