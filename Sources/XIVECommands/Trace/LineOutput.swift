internal import Glibc
internal import SystemPackage
internal import XIVETrace

/// Lines for standard output, whatever bytes they have; written together.
struct LineOutput {
  private var bytes: [UInt8] = []

  /// Adds a line.
  /// - Parameters:
  ///   - line: its bytes.
  ///   - hasEnd: whether it ends; the last line of a file may not.
  mutating func add(_ line: some Collection<UInt8>, hasEnd: Bool = true) {
    bytes += line
    if hasEnd { bytes.append(UInt8(ascii: "\n")) }
  }

  /// Writes what was added.
  /// - Throws: `TraceFileError`, such as for a full disk.
  mutating func flush() throws(TraceFileError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe write(1, $0.baseAddress, $0.count) }
      if count < 0, errno != EINTR {
        throw TraceFileError(TextOutput.standard, .writing(Errno(rawValue: errno)))
      }
      rest = rest.dropFirst(max(0, count))
    }
    bytes = []
  }
}
