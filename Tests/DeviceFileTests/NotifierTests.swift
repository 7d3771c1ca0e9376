import CFuse3
import PagedDevice
import Testing

@testable import DeviceFile

@Suite("Notifications on their way to the kernel")
struct NotifierTests {
  private func connected(_ device: RecordingDevice = RecordingDevice()) throws -> KernelSide {
    let kernel = try KernelSide(device)
    _ = kernel.initialize()
    return kernel
  }

  @Test("Bytes that have changed are stored where they belong, in order")
  func updates() throws {
    let device = RecordingDevice()
    let kernel = try connected(device)
    device.updates = [
      (0x1_0000_0800, [1, 2, 3, 4, 5, 6, 7, 8]), (0x2800, .init(repeating: 9, count: 1_024)),
    ]
    let expected = device.updates.map { KernelSide.Answer.store($0.bytes, at: $0.offset) }
    #expect(kernel.notify() == expected)
  }

  @Test("Stale ranges are dropped before anything is stored")
  func invalidations() throws {
    let device = RecordingDevice()
    let kernel = try connected(device)
    kernel.notifier.zap(0x3000..<0x5000)
    kernel.notifier.zap(1 << 40..<1 << 40 + 8)
    device.updates = [(0x3800, [1])]
    #expect(
      kernel.notify() == [
        .drop(0x3000..<0x5000), .drop(1 << 40..<1 << 40 + 8), .store([1], at: 0x3800),
      ])
  }

  @Test("A store through the page cache has its page dropped, one past it has not")
  func cachedStore() throws {
    let kernel = try connected()
    let data: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    for flags in [0, FUSE_WRITE_LOCKOWNER] {
      let message = Message.write(at: 0x1018, data, handle: 3, flags: flags)
      #expect(kernel.handle(message.bytes).answers.count == 1)
    }
    #expect(kernel.notify() == [.drop(0x1018..<0x1020)])
  }

  @Test("A refused store through the page cache has its page dropped as well")
  func refusedCachedStore() throws {
    let kernel = try connected()
    let message = Message.write(at: 0x1018, [1, 2, 3], handle: 3, flags: 0)
    #expect(kernel.handle(message.bytes).answers.first?.error == 22)
    #expect(kernel.notify() == [.drop(0x1018..<0x101b)])
  }
}
