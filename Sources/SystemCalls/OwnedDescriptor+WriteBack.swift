internal import CSystemCalls
public import SystemPackage

extension OwnedDescriptor {
  /// Starts writing the file's dirty pages back, without waiting; costs next to nothing when there are none.
  public func startWriteBack() { _ = csystem_start_writeback(rawValue) }

  /// Waits until the file's dirty pages have been written back.
  /// - Throws: the error of `fsync`.
  public func flush() throws(Errno) { try valueOrErrno(csystem_flush(rawValue)) }

  /// Drops the clean cached pages of a range that nobody has mapped.
  /// - Parameter range: byte offsets in the file.
  public func dropCache(_ range: Range<UInt64>) {
    _ = csystem_drop_cache(rawValue, range.lowerBound, UInt64(range.count))
  }

  /// Closes the file behind a descriptor, whose number stays its owner's to close.
  /// - Parameter descriptor: a descriptor that somebody else owns.
  public static func retire(_ descriptor: CInt) { _ = csystem_retire(descriptor) }

  /// Makes reads return `EAGAIN` instead of waiting.
  /// - Parameter descriptor: a descriptor that somebody else owns.
  /// - Throws: the error of `fcntl`.
  public static func makeNonblocking(_ descriptor: CInt) throws(Errno) {
    try valueOrErrno(csystem_set_nonblocking(descriptor))
  }
}
