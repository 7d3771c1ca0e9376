internal import PagedDevice

extension Opener {
  /// The opener that a file handle stands for: bit 0 tells whether it may write.
  init(handle: UInt64) { self.init(id: handle >> 1, isWritable: handle & 1 == 1) }

  /// The file handle that the kernel keeps for the opener.
  var handle: UInt64 { id << 1 | (isWritable ? 1 : 0) }
}
