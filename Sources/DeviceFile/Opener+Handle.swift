internal import PagedDevice

extension Opener {
  /// The opener that a file handle stands for: bit 0 tells whether it may write, bit 63 that it may not read.
  init(handle: UInt64) {
    self.init(
      id: (handle & ~Self.unreadable) >> 1, isWritable: handle & 1 == 1,
      isReadable: handle & Self.unreadable == 0)
  }

  /// The file handle that the kernel keeps for the opener.
  var handle: UInt64 { id << 1 | (isWritable ? 1 : 0) | (isReadable ? 0 : Self.unreadable) }

  private static let unreadable: UInt64 = 1 << 63
}
