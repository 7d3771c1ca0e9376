internal import CSystemCalls
internal import Glibc

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
}
