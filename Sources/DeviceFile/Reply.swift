internal import CFuse3
internal import CSystemCalls
internal import Glibc

/// The duty to answer one request: spent by exactly one of its methods.
///
/// Forgotten, it answers `EIO`, for a toucher without an answer hangs for ever.
@safe
struct Reply: ~Copyable {
  // SAFETY: `parts` belongs to the worker that made this value and outlives it; part 0 is the header's.
  private let descriptor: CInt
  private let unique: UInt64
  private let parts: UnsafeMutablePointer<iovec>

  /// Takes the duty over; `parts` has room for a header and for whatever is sent behind it.
  init(to unique: UInt64, on descriptor: CInt, unsafeParts parts: UnsafeMutablePointer<iovec>) {
    self.descriptor = descriptor
    self.unique = unique
    unsafe self.parts = parts
  }

  deinit { unsafe Self.send(descriptor, unique, error: EIO, parts, count: 0, byteCount: 0) }

  /// Answers with an error.
  consuming func fail(_ error: CInt) {
    unsafe Self.send(descriptor, unique, error: error, parts, count: 0, byteCount: 0)
    discard self
  }

  /// Answers with the parts that stand behind the header's.
  /// - Parameters:
  ///   - count: how many, from `parts[1]` on.
  ///   - byteCount: their bytes together.
  consuming func send(partCount count: Int, byteCount: Int) {
    unsafe Self.send(descriptor, unique, error: 0, parts, count: count, byteCount: byteCount)
    discard self
  }

  /// Says nothing: the request wants no answer.
  consuming func omit() { discard self }

  private static func send(
    _ descriptor: CInt, _ unique: UInt64, error: CInt, _ parts: UnsafeMutablePointer<iovec>,
    count: Int, byteCount: Int
  ) {
    var header = fuse_out_header()
    let headerByteCount = MemoryLayout<fuse_out_header>.size
    header.len = UInt32(headerByteCount + byteCount)
    header.error = -error
    header.unique = unique
    unsafe withUnsafeMutableBytes(of: &header) { bytes in
      unsafe parts[0] = iovec(iov_base: bytes.baseAddress, iov_len: headerByteCount)
      // It fails only when the toucher has gone or the file is unmounted: nobody is left to tell.
      _ = unsafe csystem_writev(descriptor, parts, CInt(count + 1))
    }
  }
}
