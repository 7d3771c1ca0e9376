internal import SystemCalls
internal import SystemPackage

/// Records of a device in bulk: as many system calls as it takes, each as large as the kernel passes on in one piece.
///
/// For regions where a load has no effect and a store may be repeated: a call that a signal has interrupted is made
/// again, which ``DeviceDescriptor/load(at:byteCount:)`` and ``DeviceDescriptor/store(_:at:byteCount:)`` never do.
extension DeviceDescriptor {
  /// Reads records.
  /// - Parameters:
  ///   - bytes: where to; whole records.
  ///   - offset: device offset of the first.
  ///   - recordByteCount: the size of one, which no system call divides.
  /// - Throws: ``DeviceClientError/access(offset:_:)`` with the offset of the part that was refused, and what
  ///   comes before it is read; `EIO` when the file ends.
  public func read(into bytes: inout MutableRawSpan, at offset: UInt64, recordByteCount: Int)
    throws(DeviceClientError)
  {
    try unsafe bytes.withUnsafeMutableBytes { bytes throws(DeviceClientError) in
      let start = UInt(bitPattern: bytes.baseAddress)
      try inParts(bytes.count, start, recordByteCount, offset) { range, offset throws(Errno) in
        try unsafe file.read(into: .init(rebasing: bytes[range]), at: offset)
      }
    }
  }

  /// Writes records.
  /// - Parameters:
  ///   - bytes: whole records.
  ///   - offset: device offset of the first.
  ///   - recordByteCount: the size of one, which no system call divides.
  /// - Throws: ``DeviceClientError/access(offset:_:)`` with the offset of the part that was refused, and what
  ///   comes before it is written; `EIO` when the file takes nothing more.
  public func write(_ bytes: RawSpan, at offset: UInt64, recordByteCount: Int)
    throws(DeviceClientError)
  {
    try unsafe bytes.withUnsafeBytes { bytes throws(DeviceClientError) in
      let start = UInt(bitPattern: bytes.baseAddress)
      try inParts(bytes.count, start, recordByteCount, offset) { range, offset throws(Errno) in
        try unsafe file.write(.init(rebasing: bytes[range]), at: offset)
      }
    }
  }

  /// Goes through memory at an address in parts that the kernel does not divide.
  private func inParts(
    _ byteCount: Int, _ start: UInt, _ recordByteCount: Int, _ offset: UInt64,
    _ transfer: (Range<Int>, UInt64) throws(Errno) -> Int
  ) throws(DeviceClientError) {
    precondition(recordByteCount > 0 && byteCount % recordByteCount == 0, "whole records")
    var position = 0
    while position < byteCount {
      let size = Self.partByteCount(start &+ UInt(position), recordByteCount)
      let part = position..<min(position + size, byteCount)
      let moved: Int
      do { moved = try transfer(part, offset + UInt64(position)) } catch .interrupted {
        continue
      } catch { throw .access(offset: offset + UInt64(position), error) }
      // Whole records, for what is left begins with one.
      let taken = moved - moved % recordByteCount
      guard taken > 0 else { throw .access(offset: offset + UInt64(position), .ioError) }
      position += taken
    }
  }

  /// How much of the memory at an address the kernel passes on in one request: 256 of its pages, where a page that is
  /// begun counts as one.
  ///
  /// Source: Linux `fs/fuse/fuse_i.h`, `FUSE_MAX_MAX_PAGES`; `fs/fuse/file.c`, `fuse_direct_io`.
  static func partByteCount(_ address: UInt, _ recordByteCount: Int) -> Int {
    let size = 256 * 4_096 - Int(address % 4_096)
    return max(size - size % recordByteCount, recordByteCount)
  }
}
