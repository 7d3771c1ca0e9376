import Glibc
import PagedDevice
import Testing
import XIVETestSupport

@testable import DeviceFile

@Suite("Mailboxes")
struct MailboxTests {
  private static let writer = Opener(id: 1, isWritable: true)
  private static let reader = Opener(id: 2, isWritable: false)
  private static let storer = Opener(id: 3, isWritable: true, isReadable: false)
  private static let data: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]

  // MARK: - Accesses

  @Test("A load gives the device's bytes, a store brings them", arguments: [0, 5, 31])
  func performs(slot: Int) throws {
    let kernel = try KernelSide()
    let box = try kernel.addMailbox(of: Self.writer)
    box.post(slot, at: 0x4122_3344_5566_7788)
    #expect(kernel.serve())
    // Beyond the end of the file: the kernel has a say in that.
    #expect(box[slot] == .returned && kernel.device.calls().isEmpty)
    box.post(slot, at: 0x0122_3344_5566_7788)
    #expect(kernel.serve())
    #expect(box[slot] == .done && box.result(slot) == 8)
    #expect(box.value(slot) == [0x01, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88])
    #expect(kernel.device.calls() == [.load(0x0122_3344_5566_7788, 8, Self.writer)])
    box.post(slot, at: 0x18, store: Self.data)
    #expect(kernel.serve())
    #expect(box[slot] == .done && box.result(slot) == 8)
    #expect(kernel.device.calls() == [.store(0x18, Self.data, Self.writer)])
    #expect(box.posted == 0 && !kernel.serve())
  }

  @Test(
    "Sizes are the device's to refuse, but for those of no register", arguments: [0, 1, 7, 9, 255])
  func sizes(byteCount: UInt8) throws {
    let kernel = try KernelSide()
    let box = try kernel.addMailbox(of: Self.writer)
    box.post(0, at: 16, byteCount)
    box.post(1, at: 16, store: Self.data, byteCount)
    kernel.serve()
    guard (1...8).contains(byteCount) else {
      #expect(box[0] == .returned && box[1] == .returned && kernel.device.calls().isEmpty)
      return
    }
    for slot in 0...1 { #expect(box[slot] == .done && box.result(slot) == -EINVAL) }
    let size = Int(byteCount)
    let expected: [RecordingDevice.Call] = [
      .load(16, size, Self.writer), .store(16, Array(Self.data.prefix(size)), Self.writer),
    ]
    #expect(kernel.device.calls() == expected)
  }

  @Test("What the descriptor may not do is refused before the device hears of it")
  func rights() throws {
    let kernel = try KernelSide()
    let readers = try kernel.addMailbox(of: Self.reader)
    let storers = try kernel.addMailbox(of: Self.storer)
    readers.post(at: 8, store: Self.data)
    storers.post(at: 8)
    kernel.serve()
    #expect(readers[0] == .done && readers.result(0) == -EBADF)
    #expect(storers[0] == .done && storers.result(0) == -EBADF)
    #expect(kernel.device.calls().isEmpty)
    readers.post(at: 8)
    storers.post(at: 8, store: Self.data)
    kernel.serve()
    #expect(readers.result(0) == 8 && storers.result(0) == 8)
    let expected: [RecordingDevice.Call] = [
      .load(8, 8, Self.reader), .store(8, Self.data, Self.storer),
    ]
    #expect(kernel.device.calls() == expected)
  }

  @Test("A handle keeps what its opener may do")
  func handles() {
    for opener in [Self.writer, Self.reader, Self.storer] {
      #expect(Opener(handle: opener.handle) == opener)
    }
    #expect(Self.writer.handle == 3 && Self.reader.handle == 4)
  }

  @Test("A page that was filled is left to the kernel, which may have stores to it")
  func filledPages() throws {
    let kernel = try KernelSide()
    let box = try kernel.addMailbox(of: Self.writer)
    func state(at offset: UInt64) -> ClientsMailbox.State? {
      box.post(at: offset)
      kernel.serve()
      return box[0]
    }
    #expect(state(at: 0x2000) == .done && state(at: 0x2ff8) == .done)
    _ = kernel.handle(Message.read(at: 0x2000, 4_096, isExact: false).bytes)
    #expect(state(at: 0x2000) == .returned && state(at: 0x2ff8) == .returned)
    // One that only reaches into it, too; its neighbours are not it, nor the same page of another region.
    #expect(state(at: 0x1ffc) == .returned && state(at: 0x2ffc) == .returned)
    for offset in [0x1ff8, 0x3000, 0x100_0000_2000] as [UInt64] {
      #expect(state(at: offset) == .done)
    }
    // A page that there is not is in no cache.
    _ = kernel.handle(Message.read(at: 0x5000, 4_096, isExact: false).bytes)
    #expect(state(at: 0x5000) == .done)
    kernel.session.fill(0x8000..<0x9000, from: kernel.device) { _ in }
    #expect(state(at: 0x8000) == .returned)
  }

  // MARK: - Interleavings

  @Test("What the client has taken back is not performed")
  func takenBack() throws {
    let kernel = try KernelSide()
    let box = try kernel.addMailbox(of: Self.writer)
    for state in [ClientsMailbox.State.free, .claimed, .taken, .done, .returned] {
      box.post(at: 8)
      //   client                 leader
      //   posts, sets its bit
      //   takes it back
      //                          takes the bit, looks at the slot
      box[0] = state
      kernel.serve()
      #expect(box[0] == state)
    }
    #expect(kernel.device.calls().isEmpty)
    box.post(at: 8)
    let mailbox = Mailbox(box, of: Self.writer, in: 0)
    //   client                   leader
    //                            takes it
    //   cannot take it back
    let post = try #require(mailbox.takePost(0))
    #expect(box[0] == .taken && mailbox.takePost(0) == nil)
    mailbox.answer(post, 8, bytes: 0)
    #expect(box[0] == .done)
  }

  @Test(
    "Who posts before the leader rests is found once more, who posts later sees that it rests"
  )
  func rests() throws {
    let kernel = try KernelSide()
    let box = try kernel.addMailbox(of: Self.writer)
    let mailboxes = kernel.session.mailboxes
    kernel.serve()
    #expect(!box.isAwake)
    // Nobody was awake, so that nobody has posted.
    #expect(!mailboxes.rest())
    mailboxes.wake()
    #expect(box.isAwake)
    //   client                   leader
    //                            finds nothing
    //   posts, sees it awake
    //                            rests, looks once more
    #expect(!kernel.serve())
    box.post(at: 8)
    #expect(box.isAwake)
    #expect(mailboxes.rest() && !box.isAwake)
    #expect(kernel.serve() && box[0] == .done)
    #expect(!mailboxes.rest())
  }

  @Test("A mailbox that comes while the leader is awake is told so, and none that has gone")
  func comesLater() throws {
    let kernel = try KernelSide()
    _ = kernel.initialize()
    kernel.session.mailboxes.wake()
    let box = try kernel.addMailbox(of: Self.writer)
    #expect(!box.isAwake)
    kernel.serve()
    #expect(box.isAwake)
    kernel.release(Self.writer)
    #expect(!box.isAwake)
    kernel.serve()
    #expect(!box.isAwake)
  }

  @Test("After the last close nothing is performed, also by a leader that has not heard of it")
  func closed() throws {
    let kernel = try KernelSide()
    _ = kernel.initialize()
    let box = try kernel.addMailbox(of: Self.writer)
    let others = try kernel.addMailbox(of: Self.reader)
    let mailbox = Mailbox(box, of: Self.writer, in: 0)
    kernel.serve()
    box.post(at: 8)
    others.post(at: 16)
    kernel.release(Self.writer)
    kernel.serve()
    #expect(box[0] == .posted && others[0] == .done)
    #expect(kernel.device.calls() == [.closed(Self.writer), .load(16, 8, Self.reader)])
    var calls = 0
    mailbox.whileOpen { calls += 1 }
    mailbox.close()
    mailbox.whileOpen { calls += 1 }
    #expect(calls == 1)
  }

  @Test("There is room for 64, and what a client has left makes room")
  func room() throws {
    let kernel = try KernelSide()
    _ = kernel.initialize()
    var boxes: [ClientsMailbox] = []
    for id in 0..<64 {
      boxes.append(try kernel.addMailbox(of: Opener(id: UInt64(id) / 2 + 9, isWritable: true)))
    }
    #expect(throws: DeviceError.outOfMemory) { try kernel.addMailbox(of: Self.writer) }
    for box in boxes { box.post(3, at: 8) }
    kernel.serve()
    #expect(boxes.allSatisfy { $0[3] == .done })
    // Found by whoever needs the room, for the leader may sleep.
    boxes[7].posted = 1 << 63
    try kernel.addMailbox(of: Self.writer)
    #expect(throws: DeviceError.outOfMemory) { try kernel.addMailbox(of: Self.writer) }
    // Found by the leader.
    boxes[8].posted = 1 << 63
    kernel.serve()
    try kernel.addMailbox(of: Self.writer)
    #expect(throws: DeviceError.outOfMemory) { try kernel.addMailbox(of: Self.writer) }
    // Both of a descriptor go with it.
    kernel.release(Opener(id: 9, isWritable: true))
    for _ in 0..<2 { try kernel.addMailbox(of: Self.writer) }
    #expect(throws: DeviceError.outOfMemory) { try kernel.addMailbox(of: Self.writer) }
    boxes[7].post(at: 8)
    boxes[8].post(at: 8)
    kernel.serve()
    #expect(boxes[7][0] == .posted && boxes[8][0] == .posted)
  }

  // MARK: - Hostile clients

  @Test("Each field is read once: what changes during the access changes nothing")
  func readOnce() throws {
    let kernel = try KernelSide()
    let box = try kernel.addMailbox(of: Self.writer)
    let mailbox = Mailbox(box, of: Self.reader, in: 0)
    box.post(at: 0x40, store: Self.data)
    let post = try #require(mailbox.takePost(0))
    box.scribble { .max }
    #expect(post.offset == 0x40 && post.byteCount == 8 && post.isStore)
    kernel.worker.perform(post, of: mailbox, unless: kernel.session.cachedPages)
    // The descriptor is the mailbox's, whatever stands in the memory.
    #expect(box[0] == .done && box.result(0) == -EBADF)
    #expect(kernel.device.calls().isEmpty)
  }

  @Test("Whatever stands in the memory, the device hears of registers in the file alone")
  func garbage() throws {
    let kernel = try KernelSide()
    let box = try kernel.addMailbox(of: Self.writer)
    let others = try kernel.addMailbox(of: Self.reader)
    var garbage = Garbage(stream: 120)
    var accesses = 0
    for round in 0..<max(100, fuzzIterations / 4) {
      // Small numbers as often as large ones.
      box.scribble { garbage.random.next() >> UInt64(garbage.below(64)) }
      box.posted &= ~(1 << 63)
      // Likely states and sizes, or nothing would ever come of it.
      for slot in 0..<32 where round % 2 == 0 { box[slot] = .posted }
      others.post(at: 16)
      #expect(kernel.serve())
      #expect(others[0] == .done && others.result(0) == 8, "\(Seed.comment)")
      for call in kernel.device.calls() {
        switch call {
        case .load(let offset, let size, let opener):
          #expect((1...8).contains(size) && offset <= 1 << 62 - 8)
          #expect(opener == Self.writer || offset == 16)
          accesses += 1
        case .store(let offset, let data, let opener):
          #expect((1...8).contains(data.count) && offset <= 1 << 62 - 8 && opener == Self.writer)
          accesses += 1
        default: Issue.record("\(call)")
        }
      }
    }
    #expect(accesses > 100, "some garbage is an access; \(Seed.comment)")
  }

  // MARK: - Tracing

  @Test("A tracer hears of an access what it hears of the request, with a thread of that process")
  func traced() throws {
    let tracer = RecordingTracer()
    let kernel = try KernelSide(RecordingDevice(tracer: tracer))
    let own = UInt32(getpid())
    let box = try kernel.addMailbox(of: Self.writer, in: own)
    box.post(at: 8, thread: own)
    box.post(1, at: 16, store: Self.data, 4, thread: own)
    kernel.serve()
    let expected: [RecordingTracer.Call] = [
      .began(own), .answering(.load(8, 8), 0), .answered,
      .began(own), .answering(.store(16, 4, dropsPage: false), EINVAL), .answered,
    ]
    #expect(tracer.calls() == expected)
    // Another's thread, none at all, or one that nobody can see: the kernel will tell.
    for thread in [UInt32(1), 0, .max] {
      box.post(at: 8, thread: thread)
      kernel.serve()
      #expect(box[0] == .returned)
    }
    #expect(tracer.calls().isEmpty)
    let unseen = try kernel.addMailbox(of: Self.writer)
    unseen.post(at: 8, thread: own)
    kernel.serve()
    #expect(unseen[0] == .returned)
  }
}
