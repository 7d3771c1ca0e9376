import CFuse3

/// A request as the kernel writes it into `/dev/fuse`.
struct Message {
  private(set) var bytes: [UInt8]

  /// Puts a request together from the kernel's own structures.
  init(
    _ opcode: fuse_opcode, unique: UInt64 = 7, thread: UInt32 = 42, _ body: [UInt8] = [],
    data: [UInt8] = []
  ) {
    var header = fuse_in_header()
    header.opcode = opcode.rawValue
    header.unique = unique
    header.nodeid = UInt64(FUSE_ROOT_ID)
    header.pid = thread
    header.len = UInt32(MemoryLayout<fuse_in_header>.size + body.count + data.count)
    bytes = rawBytes(header) + body + data
  }

  /// A read: of pages for the cache, or of registers on a descriptor opened with `O_DIRECT`.
  static func read(
    at offset: UInt64, _ byteCount: UInt32, handle: UInt64 = 0, isExact: Bool, unique: UInt64 = 7
  ) -> Message {
    var body = fuse_read_in()
    body.fh = handle
    body.offset = offset
    body.size = byteCount
    if isExact {
      body.read_flags = UInt32(FUSE_READ_LOCKOWNER)
      body.lock_owner = 0x1234
    }
    return Message(FUSE_READ, unique: unique, rawBytes(body))
  }

  /// A write with the flags that tell what kind it is.
  static func write(
    at offset: UInt64, _ data: [UInt8], handle: UInt64 = 1, flags: Int32, unique: UInt64 = 7
  ) -> Message {
    var body = fuse_write_in()
    body.fh = handle
    body.offset = offset
    body.size = UInt32(data.count)
    body.write_flags = UInt32(flags)
    return Message(FUSE_WRITE, unique: unique, rawBytes(body), data: data)
  }

  /// A poll for some of `poll`'s events.
  static func poll(
    handle: UInt64, waiters: UInt64, events: UInt32, flags: UInt32 = 1,
    unique: UInt64 = 7
  ) -> Message {
    let body = fuse_poll_in(fh: handle, kh: waiters, flags: flags, events: events)
    return Message(FUSE_POLL, unique: unique, rawBytes(body))
  }

  /// Overwrites bytes, as no kernel would.
  mutating func overwrite(at offset: Int, _ new: [UInt8]) {
    bytes.replaceSubrange(offset..<offset + new.count, with: new)
  }
}

/// The bytes of a value as they lie in memory.
func rawBytes<Value: BitwiseCopyable>(_ value: Value) -> [UInt8] {
  unsafe withUnsafeBytes(of: value) { unsafe [UInt8]($0) }
}

extension [UInt8] {
  /// A value at the start of the bytes.
  func leading<Value: BitwiseCopyable>(_ type: Value.Type) -> Value? {
    guard count >= MemoryLayout<Value>.size else { return nil }
    return unsafe withUnsafeBytes { unsafe $0.loadUnaligned(as: Value.self) }
  }
}
