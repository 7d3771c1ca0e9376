internal import CSystemCalls
public import SystemPackage

/// A connection to a program that listens on a socket in the file system.
///
/// Thread rule: one thread at a time.
public struct LocalStream: ~Copyable {
  private var reader: LineReader

  /// Connects.
  /// - Parameter path: the socket's.
  /// - Throws: the error of `connect`.
  public init(_ path: String) throws(Errno) {
    let descriptor = try valueOrErrno(unsafe csystem_connect(path))
    reader = LineReader(OwnedDescriptor(rawValue: descriptor))
  }

  /// Writes a line; a program that has gone does not hear it.
  /// - Parameter line: without the line's end.
  public func send(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = unsafe bytes.withUnsafeBytes {
      unsafe csystem_write_pipe(reader.rawValue, $0.baseAddress, $0.count)
    }
  }

  /// Reads a line.
  /// - Parameter milliseconds: how long to wait for it.
  /// - Returns: the line without its end, or nil after the deadline or the end of the connection.
  public mutating func line(within milliseconds: Int) -> String? {
    reader.line(within: milliseconds)
  }
}
