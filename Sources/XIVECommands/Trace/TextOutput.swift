internal import Glibc
internal import SystemCalls
internal import SystemPackage
internal import XIVETrace

/// Where text goes: standard output, or a file.
struct TextOutput: ~Copyable {
  private let path: String?
  private let file: OwnedDescriptor

  /// Opens the file; what it held is replaced.
  /// - Parameter path: where; standard output when nil.
  /// - Throws: `TraceFileError`.
  init(_ path: String?) throws(TraceFileError) {
    self.path = path
    file = try Self.open(path)
  }

  private static func open(_ path: String?) throws(TraceFileError) -> OwnedDescriptor {
    do throws(Errno) {
      guard let path else { return try OwnedDescriptor(duplicating: 1) }
      let file = try OwnedDescriptor(opening: path, [.readWrite, .create])
      // What cannot be shortened, such as a terminal, has nothing to be replaced.
      if try file.status().isRegularFile { ftruncate(file.rawValue, 0) }
      return file
    } catch { throw TraceFileError(path ?? standard, .writing(error)) }
  }

  /// What lines about standard output call it.
  static let standard = "standard output"

  /// Whether somebody reads it as it comes.
  var isTerminal: Bool { isatty(file.rawValue) == 1 }

  /// Writes text.
  /// - Returns: false when nobody reads it any more.
  /// - Throws: `TraceFileError`.
  func write(_ text: String) throws(TraceFileError) -> Bool {
    var text = text
    var left = text.utf8.count
    let failure: CInt = text.withUTF8 { bytes in
      while left > 0 {
        let start = unsafe bytes.baseAddress.map { unsafe $0 + (bytes.count - left) }
        let count = unsafe Glibc.write(file.rawValue, start, left)
        if count < 0, errno != EINTR { return errno }
        left -= max(0, count)
      }
      return 0
    }
    if failure == EPIPE { return false }
    guard failure == 0 else {
      throw TraceFileError(path ?? Self.standard, .writing(Errno(rawValue: failure)))
    }
    return true
  }
}
