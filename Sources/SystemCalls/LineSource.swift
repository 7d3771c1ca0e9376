internal import Glibc
public import SystemPackage

/// Lines of a file or a pipe as they come, whatever bytes they have.
///
/// Thread rule: one thread at a time.
public struct LineSource: ~Copyable {
  private let descriptor: OwnedDescriptor
  private var partial: [UInt8] = []
  private static let chunkByteCount = 1 << 16

  /// Takes a descriptor over.
  public init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }

  /// Waits for more, and hands out the lines that are whole; the last one may have no end.
  /// - Parameter body: gets a line without its end, and whether it had one.
  /// - Returns: false at the end of the input.
  /// - Throws: the error of `read`.
  public mutating func next(_ body: (ArraySlice<UInt8>, _ isWhole: Bool) -> Void) throws(Errno)
    -> Bool
  {
    let chunk = try readChunk()
    guard !chunk.isEmpty else {
      if !partial.isEmpty { body(partial[...], false) }
      partial = []
      return false
    }
    var rest = chunk[...]
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      if partial.isEmpty {
        body(rest[..<end], true)
      } else {
        partial += rest[..<end]
        body(partial[...], true)
        partial = []
      }
      rest = rest[(end + 1)...]
    }
    partial += rest
    return true
  }

  private func readChunk() throws(Errno) -> [UInt8] {
    var result = 0
    let chunk = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkByteCount) { bytes, count in
      repeat {
        result = unsafe read(descriptor.rawValue, bytes.baseAddress, bytes.count)
      } while result < 0 && errno == EINTR
      count = max(0, result)
    }
    guard result >= 0 else { throw Errno(rawValue: errno) }
    return chunk
  }
}
