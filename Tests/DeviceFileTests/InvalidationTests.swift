import CFuse3
import Glibc
import PagedDevice
import Synchronization
import Testing

@testable import DeviceFile

@Suite("Control requests that are answered after an invalidation")
struct InvalidationTests {
  private static let number: UInt32 = 0xc010_5801

  private func connected(_ device: RecordingDevice) throws -> KernelSide {
    let kernel = try KernelSide(device)
    _ = kernel.initialize()
    return kernel
  }

  /// A control request with 16 bytes in and out.
  private func request(unique: UInt64, _ input: [UInt8]) -> Message {
    var body = fuse_ioctl_in()
    body.fh = 3
    body.cmd = Self.number
    body.in_size = 16
    body.out_size = 16
    return Message(FUSE_IOCTL, unique: unique, rawBytes(body), data: input)
  }

  private func answer(unique: UInt64, _ input: [UInt8]) -> KernelSide.Answer {
    let out = fuse_ioctl_out(result: 3, flags: 0, in_iovs: 0, out_iovs: 0)
    return .init(unique: unique, error: 0, body: rawBytes(out) + input.reversed())
  }

  /// The message that pushes a run of pages.
  private func push(_ device: RecordingDevice, _ run: Range<UInt64>) -> KernelSide.Answer {
    let pages = stride(from: run.lowerBound, to: run.upperBound, by: 4_096)
    return .store(pages.flatMap { device.expectedImage(at: $0) }, at: run.lowerBound)
  }

  private static let input = (0..<16).map { UInt8($0) }

  /// Where a closure on the notifier's thread, which is the test's, leaves what it saw.
  private final class Seen: @unchecked Sendable {
    // @unchecked Sendable: `notify` runs the notifier on the calling thread.
    let kernel: KernelSide
    var atCompletion: [[KernelSide.Answer]] = []

    init(_ kernel: KernelSide) { self.kernel = kernel }
  }

  @Test("Ranges are dropped, the device is told, updates are stored, pages pushed; then the answer")
  func order() throws {
    let device = RecordingDevice()
    let kernel = try connected(device)
    let seen = Seen(kernel)
    let ranges: [Range<UInt64>] = [0x6000..<0x8000, 1 << 40..<1 << 40 + 0x2000]
    device.order(
      Invalidation(ranges, prefault: [0x6000..<0x7000, 0x8000..<0x9000]) {
        seen.atCompletion.append(seen.kernel.answers())
        // What follows from it is told to consumers before the caller is answered.
        device.updates = [(0x6800, [1, 2, 3])]
      })
    // A request thread does not wait for it, nor does it answer.
    let handled = kernel.handle(request(unique: 77, Self.input).bytes)
    #expect(handled.mayBlock && handled.answers.isEmpty)
    #expect(device.calls() == [.control(Self.number, Self.input, Opener(handle: 3))])
    let after = kernel.notify()
    #expect(seen.atCompletion == [ranges.map(KernelSide.Answer.drop)])
    #expect(
      after == [
        .store([1, 2, 3], at: 0x6800), push(device, 0x6000..<0x7000), push(device, 0x8000..<0x9000),
        answer(unique: 77, Self.input),
      ])
  }

  @Test("Several are carried out one after the other, stale pages of cached stores first")
  func several() throws {
    let device = RecordingDevice()
    let kernel = try connected(device)
    var expected: [KernelSide.Answer] = [.drop(0x3000..<0x4000)]
    for unique in UInt64(10)..<13 {
      let range = unique << 20..<(unique << 20) + 0x1000
      device.order(Invalidation([range]))
      #expect(kernel.handle(request(unique: unique, Self.input).bytes).answers.isEmpty)
      expected += [.drop(range), answer(unique: unique, Self.input)]
    }
    kernel.notifier.zap(0x3000..<0x4000)
    #expect(kernel.notify() == expected)
  }

  @Test("Without an invalidation, or refused, a request is answered at once")
  func atOnce() throws {
    let device = RecordingDevice()
    let kernel = try connected(device)
    #expect(
      kernel.handle(request(unique: 5, Self.input).bytes).answers
        == [answer(unique: 5, Self.input)])
    #expect(kernel.notify().isEmpty)
  }

  @Test("An empty invalidation drops nothing, and its completion and answer come from the notifier")
  func empty() throws {
    let device = RecordingDevice()
    let kernel = try connected(device)
    let seen = Seen(kernel)
    device.order(Invalidation([]) { seen.atCompletion.append(seen.kernel.answers()) })
    #expect(kernel.handle(request(unique: 5, Self.input).bytes).answers.isEmpty)
    #expect(kernel.notify() == [answer(unique: 5, Self.input)])
    #expect(seen.atCompletion == [[]])
  }

  private func release(_ opener: Opener, unique: UInt64 = 9) -> Message {
    var body = fuse_release_in()
    body.fh = opener.handle
    return Message(FUSE_RELEASE, unique: unique, rawBytes(body))
  }

  @Test("What goes with a descriptor is dropped, and nobody waits for that")
  func closed() throws {
    let device = RecordingDevice()
    let kernel = try connected(device)
    let seen = Seen(kernel)
    let opener = Opener(id: 5, isWritable: true)
    device.order(
      Invalidation([0x6000..<0x7000]) { seen.atCompletion.append(seen.kernel.answers()) })
    let released = kernel.handle(release(opener).bytes)
    #expect(released.answers == [.init(unique: 9, error: 0, body: [])])
    #expect(device.calls() == [.closed(opener)])
    #expect(kernel.notify().isEmpty)
    #expect(seen.atCompletion == [[.drop(0x6000..<0x7000)]])
  }

  @Test("Once the notifier has ended the end of a descriptor is told, and nothing is done")
  func closedAfterTheEnd() throws {
    let device = RecordingDevice()
    let kernel = try connected(device)
    #expect(kernel.notify().isEmpty)
    let seen = Seen(kernel)
    device.order(Invalidation([0x6000..<0x7000]) { seen.atCompletion.append([]) })
    let released = kernel.handle(release(Opener(id: 5, isWritable: false)).bytes)
    #expect(released.answers == [.init(unique: 9, error: 0, body: [])])
    #expect(kernel.notify().isEmpty)
    #expect(seen.atCompletion.isEmpty)
  }

  @Test("Once the notifier has ended the answer is ENOTCONN, and nothing is done")
  func ended() throws {
    let device = RecordingDevice()
    let kernel = try connected(device)
    let seen = Seen(kernel)
    #expect(kernel.notify().isEmpty)
    device.order(
      Invalidation([0x1000..<0x2000], prefault: [0x1000..<0x2000]) {
        seen.atCompletion.append([])
      })
    let answers = kernel.handle(request(unique: 6, Self.input).bytes).answers
    #expect(answers == [.init(unique: 6, error: ENOTCONN, body: [])])
    #expect(kernel.notify().isEmpty && seen.atCompletion.isEmpty)
  }

  // MARK: - Pushed pages

  /// Which of some pages exist, and the runs that their messages hold.
  private struct Layout: CustomTestStringConvertible {
    let testDescription: String
    let pageCount: UInt64
    let holes: Set<UInt64>
    let runs: [Range<UInt64>]

    init(_ name: String, _ count: UInt64, holes: Set<UInt64> = [], _ runs: [Range<UInt64>]) {
      testDescription = name
      pageCount = count
      self.holes = holes
      self.runs = runs
    }
  }

  private static let layouts = [
    Layout("one page", 1, [0..<1]),
    Layout("a device page of 64 KiB", 16, [0..<16]),
    Layout("a full message", 128, [0..<128]),
    Layout("one more", 129, [0..<128, 128..<129]),
    Layout("several messages", 300, [0..<128, 128..<256, 256..<300]),
    Layout("holes", 12, holes: [0, 3, 4, 7, 11], [1..<3, 5..<7, 8..<11]),
    Layout("nothing but holes", 3, holes: [0, 1, 2], []),
    Layout("a hole behind a full message", 131, holes: [128], [0..<128, 129..<131]),
    Layout("every other page", 8, holes: [1, 3, 5, 7], [0..<1, 2..<3, 4..<5, 6..<7]),
  ]

  @Test("Runs of pages are pushed whole, in messages of at most 128", arguments: layouts)
  private func pushes(layout: Layout) throws {
    let start: UInt64 = 1 << 40 + 0x30000
    let device = RecordingDevice { !layout.holes.contains(($0 - start) / 4_096) }
    let kernel = try connected(device)
    device.order(Invalidation([], prefault: [start..<start + layout.pageCount * 4_096]))
    #expect(kernel.handle(request(unique: 9, Self.input).bytes).answers.isEmpty)
    let messages = kernel.notify()
    let expected =
      layout.runs.map { run in
        push(device, start + run.lowerBound * 4_096..<start + run.upperBound * 4_096)
      } + [answer(unique: 9, Self.input)]
    #expect(messages.map(\.body.count) == expected.map(\.body.count))
    let isSame = messages == expected
    #expect(isSame)
  }
}
