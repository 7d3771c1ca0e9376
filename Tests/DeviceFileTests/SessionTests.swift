import CFuse3
import Glibc
import PagedDevice
import Testing

@testable import DeviceFile

@Suite("Requests that go through libfuse")
struct SessionTests {
  /// Sends a request behind the first one of a connection.
  private func answer(
    _ kernel: KernelSide, _ opcode: fuse_opcode, _ body: [UInt8], data: [UInt8] = []
  ) throws -> KernelSide.Answer {
    let result = kernel.handle(Message(opcode, unique: 9, body, data: data).bytes)
    #expect(result.mayBlock == (opcode == FUSE_IOCTL), "a control request alone may wait")
    #expect(result.answers.count == 1)
    return try #require(result.answers.first)
  }

  private func connected(_ device: RecordingDevice = RecordingDevice()) throws -> KernelSide {
    let kernel = try KernelSide(device)
    _ = kernel.initialize()
    return kernel
  }

  @Test("The connection asks for no read-ahead and for nothing that drops pages")
  func initialization() throws {
    let answers = try KernelSide().initialize()
    let body = try #require(answers.first?.body.leading(fuse_init_out.self))
    #expect(body.max_readahead == 0)
    let unwanted =
      FUSE_AUTO_INVAL_DATA | FUSE_WRITEBACK_CACHE | FUSE_ASYNC_DIO | FUSE_ATOMIC_O_TRUNC
      | FUSE_SPLICE_READ | FUSE_SPLICE_WRITE | FUSE_SPLICE_MOVE
    #expect(body.flags & UInt32(bitPattern: Int32(unwanted)) == 0)
    #expect(body.flags & UInt32(FUSE_EXPLICIT_INVAL_DATA) != 0)
  }

  /// Ways to open, and whether the descriptor may change anything.
  private static let modes: [(Int32, Bool)] = [
    (O_RDONLY, false), (O_WRONLY, true), (O_RDWR, true), (O_RDWR | O_APPEND, true),
  ]

  @Test("Each open makes an opener of its own that keeps the pages", arguments: modes)
  func open(mode: Int32, isWritable: Bool) throws {
    let kernel = try connected()
    var handles: Set<UInt64> = []
    for _ in 0..<3 {
      let request = fuse_open_in(flags: UInt32(mode), open_flags: 0)
      let answer = try answer(kernel, FUSE_OPEN, rawBytes(request))
      let opened = try #require(answer.body.leading(fuse_open_out.self))
      #expect(Opener(handle: opened.fh).isWritable == isWritable)
      #expect(opened.open_flags & UInt32(FOPEN_KEEP_CACHE) != 0)
      #expect(opened.open_flags & UInt32(FOPEN_DIRECT_IO) == 0)
      handles.insert(opened.fh)
      var release = fuse_release_in()
      release.fh = opened.fh
      #expect(try self.answer(kernel, FUSE_RELEASE, rawBytes(release)).error == 0)
      #expect(kernel.device.calls() == [.closed(Opener(handle: opened.fh))])
    }
    #expect(handles.count == 3)
  }

  @Test("The file is regular, of constant size, and tells its page size")
  func attributes() throws {
    let answer = try answer(connected(), FUSE_GETATTR, rawBytes(fuse_getattr_in()))
    let body = try #require(answer.body.leading(fuse_attr_out.self))
    #expect(body.attr.size == 1 << 62)
    #expect(body.attr.blksize == 4_096)
    #expect(body.attr.mode & 0o170000 == 0o100000)
    #expect(body.attr.nlink == 1)
    #expect(body.attr_valid >= 1_000_000_000)
  }

  /// What `setattr` may be told, and what it answers.
  private static let changes: [(Int32, Int32)] = [
    (FATTR_SIZE, EINVAL), (FATTR_MODE, EPERM), (FATTR_UID, EPERM), (FATTR_GID, EPERM),
    (FATTR_MTIME, 0), (FATTR_ATIME | FATTR_ATIME_NOW, 0), (0, 0),
  ]

  @Test("Size, owner and permissions cannot be changed, times are taken", arguments: changes)
  func setAttributes(valid: Int32, error: Int32) throws {
    var request = fuse_setattr_in()
    request.valid = UInt32(valid)
    let answer = try answer(connected(), FUSE_SETATTR, rawBytes(request))
    #expect(answer.error == error)
    if error == 0 { #expect(answer.body.leading(fuse_attr_out.self)?.attr.size == 1 << 62) }
  }

  private func ioctl(_ number: UInt32, _ input: [UInt8], room: UInt32) -> [UInt8] {
    var request = fuse_ioctl_in()
    request.fh = 3
    request.cmd = number
    request.in_size = UInt32(input.count)
    request.out_size = room
    return rawBytes(request)
  }

  @Test("A control request brings its bytes and takes the device's, no more than there is room for")
  func control() throws {
    let kernel = try connected()
    let input = (0..<100).map { UInt8($0) }
    for room: UInt32 in [0, 1, 50, 100] {
      let body = ioctl(0x1_2345, input, room: room)
      let answer = try answer(kernel, FUSE_IOCTL, body, data: input)
      #expect(kernel.device.calls() == [.control(0x1_2345, input, Opener(handle: 3))])
      #expect(answer.error == 0)
      #expect(answer.body.leading(fuse_ioctl_out.self)?.result == 3)
      #expect(Array(answer.body.dropFirst(16)) == Array(input.reversed().prefix(Int(room))))
    }
  }

  @Test("A refused control request answers the device's error")
  func refusedControl() throws {
    let answer = try answer(connected(), FUSE_IOCTL, ioctl(0x100, [], room: 0))
    #expect(answer.error == ENOTTY)
  }

  private static let end: UInt64 = 1 << 62

  /// Where to seek from, for data (3) or a hole (4), and the answer; nil is `ENXIO`.
  private static let seeks: [(UInt64, UInt32, UInt64?)] = [
    (0, 3, 0x2000), (0x2fff, 3, 0x2fff), (0x3000, 3, nil), (0, 4, 0), (0x2000, 4, 0x3000),
    (0x3000, 4, 0x3000), (end - 1, 3, nil), (end - 1, 4, end - 1), (end, 3, nil), (end, 4, nil),
    (end + 1, 4, nil), (1 << 63, 3, nil), (1 << 63, 4, nil), (.max, 3, nil), (.max, 4, nil),
  ]

  @Test(
    "Seeking answers as lseek(2) says, also beyond the end and before the start", arguments: seeks)
  func seek(offset: UInt64, whence: UInt32, expected: UInt64?) throws {
    let kernel = try connected(RecordingDevice(segments: [0x2000..<0x3000]))
    let request = fuse_lseek_in(fh: 3, offset: offset, whence: whence, padding: 0)
    let answer = try answer(kernel, FUSE_LSEEK, rawBytes(request))
    #expect(answer.error == (expected == nil ? ENXIO : 0))
    #expect(answer.body.leading(fuse_lseek_out.self)?.offset == expected)
  }

  @Test("What the file does not know is ENOSYS")
  func unknown() throws {
    let kernel = try connected()
    for opcode in [FUSE_FALLOCATE, FUSE_COPY_FILE_RANGE] {
      let body = [UInt8](repeating: 0, count: 64)
      #expect(try answer(kernel, opcode, body).error == ENOSYS)
    }
    #expect(kernel.device.calls().isEmpty)
  }
}
