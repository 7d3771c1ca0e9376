internal import CFuse3

/// A request of the FUSE protocol that the request loop answers by itself.
///
/// Page fills, accesses and polls are what a device file lives on; everything else goes through libfuse.
/// Source: Linux `include/uapi/linux/fuse.h`, `struct fuse_in_header`, `fuse_read_in`, `fuse_write_in`, `fuse_poll_in`;
/// the flags that tell a fill from a read and a write-back from a store are set in `fs/fuse/file.c`,
/// `fuse_send_read`, `fuse_writepage_args_setup`.
enum WireRequest: Equatable {
  /// The kernel fills pages of its cache, because somebody faulted.
  case pageFill(offset: UInt64, byteCount: Int)
  /// A read on a descriptor opened with `O_DIRECT`: one load.
  case exactLoad(offset: UInt64, byteCount: Int, handle: UInt64)
  /// A write: one store. Through the page cache it has also changed the cached page.
  case exactStore(offset: UInt64, data: Range<Int>, handle: UInt64, isCached: Bool)
  /// Pages that were stored to through mappings.
  case writeBack(offset: UInt64, data: Range<Int>)
  /// Somebody waits for a descriptor, or looks whether there is anything to wait for.
  case poll(handle: UInt64, waiters: UInt64, events: Int32)
  /// The toucher took a signal; the answer is on its way anyway.
  case interrupt
  /// A control request, which libfuse handles and which may wait for its caller's memory.
  case control(number: UInt32, input: Range<Int>)
  /// Anything else that libfuse handles; never waits.
  case other
  /// Not a whole request.
  case malformed

  private static let headerByteCount = MemoryLayout<fuse_in_header>.size

  /// Decodes a message as the kernel wrote it.
  ///
  /// Pure; never reads beyond the message. Ranges are byte offsets in it.
  /// - Parameter message: the bytes of one read of the FUSE device.
  init(_ message: UnsafeRawBufferPointer) {
    guard let header = unsafe message.value(at: 0, as: fuse_in_header.self),
      Int(header.len) == message.count
    else {
      self = .malformed
      return
    }
    switch header.opcode {
    case FUSE_READ.rawValue: self = unsafe Self.read(message)
    case FUSE_WRITE.rawValue: self = unsafe Self.write(message)
    case FUSE_POLL.rawValue: self = unsafe Self.poll(message)
    case FUSE_INTERRUPT.rawValue: self = .interrupt
    case FUSE_IOCTL.rawValue: self = unsafe Self.control(message)
    default: self = .other
    }
  }

  /// The bytes of the largest message that a direct answer handles.
  static let maximumByteCount = 1 << 20

  /// Whether a range ends at an offset that Linux can express; the code behind may add to offsets freely.
  private static func isInFile(_ offset: UInt64, _ byteCount: Int) -> Bool {
    offset <= UInt64(Int64.max) - UInt64(byteCount)
  }

  private static func read(_ message: UnsafeRawBufferPointer) -> WireRequest {
    guard let body = unsafe message.value(at: headerByteCount, as: fuse_read_in.self),
      body.size <= maximumByteCount, isInFile(body.offset, Int(body.size))
    else { return .malformed }
    guard body.read_flags & UInt32(FUSE_READ_LOCKOWNER) == 0 else {
      return .exactLoad(offset: body.offset, byteCount: Int(body.size), handle: body.fh)
    }
    let mask = UInt64(4_095)
    guard (body.offset | UInt64(body.size)) & mask == 0, body.size > 0 else { return .malformed }
    return .pageFill(offset: body.offset, byteCount: Int(body.size))
  }

  private static func write(_ message: UnsafeRawBufferPointer) -> WireRequest {
    let start = headerByteCount + MemoryLayout<fuse_write_in>.size
    guard let body = unsafe message.value(at: headerByteCount, as: fuse_write_in.self),
      Int(body.size) == message.count - start, isInFile(body.offset, Int(body.size))
    else { return .malformed }
    let data = start..<message.count
    guard body.write_flags & UInt32(FUSE_WRITE_CACHE) == 0 else {
      return .writeBack(offset: body.offset, data: data)
    }
    return .exactStore(
      offset: body.offset, data: data, handle: body.fh,
      isCached: body.write_flags & UInt32(FUSE_WRITE_LOCKOWNER) == 0)
  }

  private static func poll(_ message: UnsafeRawBufferPointer) -> WireRequest {
    guard let body = unsafe message.value(at: headerByteCount, as: fuse_poll_in.self) else {
      return .malformed
    }
    // Whether anybody waits yet is told as well (FUSE_POLL_SCHEDULE_NOTIFY), but not in the order of the answers.
    return .poll(handle: body.fh, waiters: body.kh, events: Int32(bitPattern: body.events))
  }

  private static func control(_ message: UnsafeRawBufferPointer) -> WireRequest {
    let start = headerByteCount + MemoryLayout<fuse_ioctl_in>.size
    guard let body = unsafe message.value(at: headerByteCount, as: fuse_ioctl_in.self),
      Int(body.in_size) == message.count - start
    else { return .malformed }
    return .control(number: body.cmd, input: start..<message.count)
  }
}

extension UnsafeRawBufferPointer {
  /// Reads a value, or nil where the buffer ends before it does.
  fileprivate func value<Value: BitwiseCopyable>(at offset: Int, as type: Value.Type) -> Value? {
    guard count >= offset + MemoryLayout<Value>.size else { return nil }
    return unsafe loadUnaligned(fromByteOffset: offset, as: type)
  }
}
