import CFuse3
import Glibc
import PagedDevice
import Testing
import XIVETestSupport

@testable import DeviceFile

@Suite("Handling requests, over a socket in the place of /dev/fuse")
struct WorkerTests {
  private static let writer = Opener(handle: 3)
  private static let reader = Opener(handle: 2)

  @Test(
    "A fill answers the images of all its pages, whole", arguments: [UInt64(0), 0x2000, 1 << 40])
  func fill(offset: UInt64) throws {
    let kernel = try KernelSide()
    let result = kernel.handle(Message.read(at: offset, 4_096, isExact: false).bytes)
    #expect(!result.mayBlock)
    let image = kernel.device.expectedImage(at: offset)
    #expect(result.answers == [.init(unique: 7, error: 0, body: image)])
    #expect(kernel.device.calls() == [.image(offset)])
  }

  @Test("A fill of several pages with a hole in it is refused as a whole")
  func fillWithHole() throws {
    let kernel = try KernelSide()
    let result = kernel.handle(Message.read(at: 0x2000, 16_384, isExact: false).bytes)
    #expect(result.answers == [.init(unique: 7, error: ENXIO, body: [])])
    #expect(kernel.device.calls() == [.image(0x2000), .image(0x3000)])
  }

  @Test("A load answers the device's bytes", arguments: [UInt64(2), 3])
  func load(handle: UInt64) throws {
    let kernel = try KernelSide()
    let message = Message.read(at: 0x1122_3344_5566_7788, 8, handle: handle, isExact: true)
    let answer = KernelSide.Answer(
      unique: 7, error: 0, body: [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88])
    #expect(kernel.handle(message.bytes).answers == [answer])
    let opener = Opener(handle: handle)
    #expect(kernel.device.calls() == [.load(0x1122_3344_5566_7788, 8, opener)])
    #expect(opener.isWritable == (handle == 3) && opener.id == 1 && opener.handle == handle)
  }

  @Test(
    "A refused load or store answers the device's error", arguments: [UInt32(0), 1, 16, 1 << 20])
  func refused(size: UInt32) throws {
    let kernel = try KernelSide()
    let load = kernel.handle(Message.read(at: 8, size, handle: 3, isExact: true).bytes)
    #expect(load.answers == [.init(unique: 7, error: EINVAL, body: [])])
    #expect(kernel.device.calls() == [.load(8, Int(size), Self.writer)])
    let data = [UInt8](repeating: 5, count: Int(min(size, 65_536)))
    let message = Message.write(at: 8, data, handle: 3, flags: FUSE_WRITE_LOCKOWNER)
    #expect(kernel.handle(message.bytes).answers == [.init(unique: 7, error: EINVAL, body: [])])
    #expect(kernel.device.calls() == [.store(8, data, Self.writer)])
  }

  @Test("A store answers its size", arguments: [FUSE_WRITE_LOCKOWNER, 0])
  func store(flags: Int32) throws {
    let kernel = try KernelSide()
    let data: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    let message = Message.write(at: 0x18, data, handle: 3, flags: flags)
    let written = rawBytes(fuse_write_out(size: 8, padding: 0))
    #expect(kernel.handle(message.bytes).answers == [.init(unique: 7, error: 0, body: written)])
    #expect(kernel.device.calls() == [.store(0x18, data, Self.writer)])
    let forbidden = Message.write(at: 0x18, data, handle: 2, flags: flags)
    #expect(kernel.handle(forbidden.bytes).answers == [.init(unique: 7, error: EBADF, body: [])])
    #expect(kernel.device.calls() == [.store(0x18, data, Self.reader)])
  }

  @Test("Write-back gives the device each page and answers all bytes", arguments: [1, 2, 5])
  func writeBack(pages: Int) throws {
    let kernel = try KernelSide()
    let data = (0..<pages * 4_096).map { UInt8(truncatingIfNeeded: $0 / 4_096 + 1) }
    let message = Message.write(at: 0x4000, data, flags: FUSE_WRITE_CACHE)
    let written = rawBytes(fuse_write_out(size: UInt32(data.count), padding: 0))
    #expect(kernel.handle(message.bytes).answers == [.init(unique: 7, error: 0, body: written)])
    let calls = (0..<pages).map { page -> RecordingDevice.Call in
      let image = [UInt8](repeating: UInt8(page + 1), count: 4_096)
      return .writeBack(0x4000 + UInt64(page) * 4_096, image)
    }
    #expect(kernel.device.calls() == calls)
  }

  @Test("A malformed request is answered, an interrupt is not")
  func malformed() throws {
    let kernel = try KernelSide()
    let malformed = Message.read(at: 1, 4_096, isExact: false)
    #expect(kernel.handle(malformed.bytes).answers == [.init(unique: 7, error: EIO, body: [])])
    let interrupt = Message(FUSE_INTERRUPT, rawBytes(fuse_interrupt_in(unique: 3)))
    #expect(kernel.handle(interrupt.bytes).answers.isEmpty)
    #expect(kernel.device.calls().isEmpty)
  }

  @Test("Only a control request that the device promises nothing about may wait")
  func promptControl() throws {
    let kernel = try KernelSide()
    _ = kernel.initialize()
    for (number, isPrompt) in [(UInt32(0x1_2345), false), (RecordingDevice.promptRequest, true)] {
      var body = fuse_ioctl_in()
      body.fh = 3
      body.cmd = number
      body.in_size = 2
      body.out_size = 2
      let message = Message(FUSE_IOCTL, rawBytes(body), data: [4, 5])
      let result = kernel.handle(message.bytes)
      #expect(result.mayBlock != isPrompt)
      #expect(result.answers.map(\.error) == [0])
      #expect(kernel.device.calls() == [.control(number, [4, 5], Self.writer)])
    }
  }

  @Test("Nothing to read is nothing, and a closed connection is the end")
  func ends() throws {
    let kernel = try KernelSide()
    #expect(kernel.receive() == .nothing)
    kernel.disconnect()
    #expect(kernel.receive() == .ended)
  }

  @Test("Every message is answered at most once, with its own number")
  func garbage() throws {
    let kernel = try KernelSide()
    var garbage = Garbage(stream: 110)
    for index in 0..<max(1, fuzzIterations / 4) {
      let message = garbage.message()
      // The kernel never sends less than a header, and libfuse ends the session when it does.
      guard message.count >= 40, case let request = WireRequest(bytes: message), request != .other
      else { continue }
      if case .control = request { continue }
      let answers = kernel.handle(message).answers
      let expected = request == .interrupt ? 0 : 1
      #expect(answers.count == expected, "message \(index): \(request); \(Seed.comment)")
      #expect(answers.allSatisfy { $0.unique == message.unique }, "\(Seed.comment)")
    }
  }
}

extension [UInt8] {
  fileprivate var unique: UInt64? { leading(fuse_in_header.self)?.unique }
}
