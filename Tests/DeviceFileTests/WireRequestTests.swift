import CFuse3
import Testing

@testable import DeviceFile

extension WireRequest {
  /// Decodes bytes that end where the message does, so that a read beyond is found by the sanitizer.
  init(bytes: [UInt8]) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { unsafe copy.deallocate() }
    unsafe copy.copyBytes(from: bytes)
    unsafe self.init(UnsafeRawBufferPointer(copy))
  }
}

@Suite("Decoding requests of the FUSE protocol")
struct WireRequestTests {
  private static let headerByteCount = 40
  private static let pageSizes: [UInt32] = [4_096, 8_192, 65_536, 1 << 20]

  @Test("The structures have the kernel's sizes")
  func sizes() {
    #expect(MemoryLayout<fuse_in_header>.size == Self.headerByteCount)
    #expect(MemoryLayout<fuse_out_header>.size == 16)
    #expect(MemoryLayout<fuse_read_in>.size == 40)
    #expect(MemoryLayout<fuse_write_in>.size == 40)
    #expect(MemoryLayout<fuse_write_out>.size == 8)
    #expect(MemoryLayout<fuse_poll_in>.size == 24)
    #expect(MemoryLayout<fuse_poll_out>.size == 8)
    #expect(MemoryLayout<fuse_notify_poll_wakeup_out>.size == 8)
  }

  @Test("A read of whole pages is a fill", arguments: pageSizes)
  func pageFill(size: UInt32) {
    for offset: UInt64 in [0, 4_096, 1 << 40 | 0x3000, 1 << 62 - 1 << 20] {
      let message = Message.read(at: offset, size, handle: 5, isExact: false)
      #expect(
        WireRequest(bytes: message.bytes) == .pageFill(offset: offset, byteCount: Int(size)))
    }
  }

  @Test(
    "A fill of anything but whole pages is malformed", arguments: [UInt32(0), 1, 8, 4_095, 4_097])
  func crookedFill(size: UInt32) {
    let message = Message.read(at: 4_096, size, isExact: false)
    #expect(WireRequest(bytes: message.bytes) == .malformed)
    let crooked = Message.read(at: 4_096 + UInt64(max(1, size % 4_096)), 4_096, isExact: false)
    #expect(WireRequest(bytes: crooked.bytes) == .malformed)
  }

  @Test(
    "A read with a lock owner is an exact load",
    arguments: [UInt32(0), 1, 2, 4, 8, 17, 4_096, 1 << 20])
  func exactLoad(size: UInt32) {
    let message = Message.read(at: 0x1_0000_0803, size, handle: 9, isExact: true)
    #expect(
      WireRequest(bytes: message.bytes)
        == .exactLoad(offset: 0x1_0000_0803, byteCount: Int(size), handle: 9))
  }

  @Test("A read of more than the largest answer is malformed", arguments: [false, true])
  func hugeRead(isExact: Bool) {
    for size: UInt32 in [1 << 20 + 4_096, 1 << 31, .max & ~4_095] {
      let message = Message.read(at: 0, size, isExact: isExact)
      #expect(WireRequest(bytes: message.bytes) == .malformed)
    }
  }

  private static let dataSizes = [0, 1, 8, 4_096, 8_192]

  @Test("The flags of a write tell what kind it is", arguments: dataSizes)
  func writes(size: Int) {
    let data = [UInt8](repeating: 3, count: size)
    let range = 80..<80 + size
    let cases: [(Int32, WireRequest)] = [
      (
        FUSE_WRITE_LOCKOWNER,
        .exactStore(offset: 0x1008, data: range, handle: 6, isCached: false)
      ),
      (0, .exactStore(offset: 0x1008, data: range, handle: 6, isCached: true)),
      (FUSE_WRITE_CACHE, .writeBack(offset: 0x1008, data: range)),
      (FUSE_WRITE_CACHE | FUSE_WRITE_LOCKOWNER, .writeBack(offset: 0x1008, data: range)),
      (
        FUSE_WRITE_KILL_SUIDGID | FUSE_WRITE_LOCKOWNER,
        .exactStore(offset: 0x1008, data: range, handle: 6, isCached: false)
      ),
    ]
    for (flags, expected) in cases {
      let message = Message.write(at: 0x1008, data, handle: 6, flags: flags)
      #expect(WireRequest(bytes: message.bytes) == expected, "flags \(flags)")
    }
  }

  @Test("Offsets beyond what a file can have are malformed")
  func hugeOffset() {
    for offset: UInt64 in [1 << 63, .max - 4_095, 1 << 63 - 4_096] {
      let fill = Message.read(at: offset & ~4_095, 8_192, isExact: false)
      #expect(WireRequest(bytes: fill.bytes) == .malformed)
      let load = Message.read(at: offset, 4_096, isExact: true)
      #expect(WireRequest(bytes: load.bytes) == .malformed || offset == 1 << 63 - 4_096)
      for flags in [0, FUSE_WRITE_LOCKOWNER, FUSE_WRITE_CACHE] {
        let write = Message.write(at: offset, [UInt8](repeating: 0, count: 8_192), flags: flags)
        #expect(WireRequest(bytes: write.bytes) == .malformed)
      }
    }
  }

  private static let others: [fuse_opcode] = [
    FUSE_LOOKUP, FUSE_FORGET, FUSE_GETATTR, FUSE_SETATTR, FUSE_OPEN, FUSE_STATFS, FUSE_RELEASE,
    FUSE_FSYNC, FUSE_SETXATTR, FUSE_GETXATTR, FUSE_FLUSH, FUSE_INIT, FUSE_GETLK, FUSE_ACCESS,
    FUSE_DESTROY, FUSE_NOTIFY_REPLY, FUSE_BATCH_FORGET, FUSE_FALLOCATE,
    FUSE_LSEEK, FUSE_COPY_FILE_RANGE, fuse_opcode(0), fuse_opcode(4_095), fuse_opcode(.max),
  ]

  @Test("A control request is its number and its bytes, whole", arguments: [0, 1, 128])
  func control(byteCount: Int) {
    var body = fuse_ioctl_in()
    body.cmd = 0x1234_5678
    body.in_size = UInt32(byteCount)
    let data = [UInt8](repeating: 9, count: byteCount)
    let whole = Message(FUSE_IOCTL, rawBytes(body), data: data)
    let input = whole.bytes.count - byteCount..<whole.bytes.count
    #expect(WireRequest(bytes: whole.bytes) == .control(number: 0x1234_5678, input: input))
    let longer = Message(FUSE_IOCTL, rawBytes(body), data: data + [0])
    #expect(WireRequest(bytes: longer.bytes) == .malformed)
    #expect(WireRequest(bytes: Message(FUSE_IOCTL, []).bytes) == .malformed)
  }

  @Test("A poll has a handle, the kernel's number for who waits, and events", arguments: [0, 1])
  func poll(flags: UInt32) {
    let message = Message.poll(handle: 9, waiters: .max - 1, events: 0x5041, flags: flags)
    #expect(
      WireRequest(bytes: message.bytes) == .poll(handle: 9, waiters: .max - 1, events: 0x5041))
  }

  @Test("Every other request is libfuse's", arguments: others.map(\.rawValue))
  func other(opcode: UInt32) {
    for body in [[], [UInt8](repeating: 0xff, count: 64)] {
      #expect(WireRequest(bytes: Message(fuse_opcode(opcode), body).bytes) == .other)
    }
  }

  @Test("An interrupt is an interrupt")
  func interrupt() {
    let body = fuse_interrupt_in(unique: 5)
    #expect(WireRequest(bytes: Message(FUSE_INTERRUPT, rawBytes(body)).bytes) == .interrupt)
  }

  @Test("Cut short or lengthened, nothing is a request")
  func wrongLength() {
    let messages = [
      Message.read(at: 0, 4_096, isExact: false), .read(at: 0, 8, isExact: true),
      .write(at: 0, [1, 2, 3, 4, 5, 6, 7, 8], flags: FUSE_WRITE_LOCKOWNER),
      .write(at: 0, [UInt8](repeating: 0, count: 4_096), flags: FUSE_WRITE_CACHE),
      .poll(handle: 3, waiters: 1, events: 1),
      Message(FUSE_GETATTR), Message(FUSE_INTERRUPT, [0, 0, 0, 0, 0, 0, 0, 0]),
    ]
    for message in messages {
      for count in 0..<message.bytes.count {
        #expect(WireRequest(bytes: Array(message.bytes.prefix(count))) == .malformed)
      }
      #expect(WireRequest(bytes: message.bytes + [0]) == .malformed)
    }
  }

  @Test("Cut short with the length put right, reads, writes and polls are malformed")
  func shortBody() {
    let messages = [
      Message.read(at: 0, 4_096, isExact: false),
      .write(at: 0, [1, 2, 3, 4], flags: FUSE_WRITE_LOCKOWNER),
      .poll(handle: 3, waiters: 1, events: 1),
    ]
    for message in messages {
      for count in Self.headerByteCount..<message.bytes.count {
        var short = Array(message.bytes.prefix(count))
        short.replaceSubrange(0..<4, with: rawBytes(UInt32(count)))
        #expect(WireRequest(bytes: short) == .malformed, "\(count) bytes")
      }
    }
  }

  @Test("A write that lies about its size is malformed", arguments: [UInt32(0), 7, 9, 4_096, .max])
  func lyingSize(size: UInt32) {
    var message = Message.write(at: 0, [1, 2, 3, 4, 5, 6, 7, 8], flags: FUSE_WRITE_LOCKOWNER)
    message.overwrite(at: Self.headerByteCount + 16, rawBytes(size))
    #expect(WireRequest(bytes: message.bytes) == .malformed)
  }
}
