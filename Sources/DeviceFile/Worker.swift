internal import CFuse3
internal import Glibc
internal import PagedDevice
internal import SystemCalls

/// What one request thread owns: the buffer that requests arrive in, and the parts of an answer.
///
/// libfuse allocates the buffer at the first request; from then on fills, loads and stores allocate nothing.
@safe
final class Worker {
  // SAFETY: all memory is allocated in `init`, freed in `deinit` and used by one thread.
  private let session: OpaquePointer
  private let descriptor: CInt
  let device: any PagedDevice
  private let notifier: Notifier
  private let pollNotifications: PollNotifications
  private let waiting: WaitingRequests
  let tracer: (any RequestTracer)?
  private let cachedPages: CachedPages
  private var buffer = unsafe fuse_buf()
  /// Which updates the request that was received knows for certain.
  private var round: UInt64 = 0
  private let parts: UnsafeMutablePointer<iovec>
  /// What an answer has of its own: heads and tails of pages, or a structure.
  private let lines: UnsafeMutablePointer<PageImage.Line>

  private static let maximumPages = WireRequest.maximumByteCount / PageImage.byteCount

  init(
    _ session: Session, _ device: any PagedDevice, _ notifier: Notifier, _ waiting: WaitingRequests
  ) {
    unsafe self.session = session.pointer
    unsafe descriptor = fuse_session_fd(session.pointer)
    pollNotifications = session.pollNotifications
    self.device = device
    self.notifier = notifier
    self.waiting = waiting
    tracer = device.tracer
    cachedPages = session.cachedPages
    unsafe parts = .allocate(capacity: 1 + PageImage.maximumPartCount * Self.maximumPages)
    unsafe lines = .allocate(capacity: PageImage.maximumLineCount * Self.maximumPages)
  }

  deinit {
    unsafe free(buffer.mem)
    unsafe parts.deallocate()
    unsafe lines.deallocate()
  }

  /// Reads one request, without waiting.
  /// - Returns: whether there is one, none yet, or never again.
  func receive() -> Received {
    round = device.updateRound
    let result = unsafe fuse_session_receive_buf(session, &buffer)
    if result > 0 { return .request }
    return result == -EAGAIN || result == -EINTR ? .nothing : .ended
  }

  enum Received { case request, nothing, ended }

  /// Handles the request that was received.
  /// - Parameters:
  ///   - waitingSince: since when it is known to have waited.
  ///   - mayBlock: called before anything that could wait for another request to be served, or that takes long.
  func handle(waitingSince: UInt64?, beforeBlocking mayBlock: () -> Void) {
    let message = unsafe UnsafeRawBufferPointer(start: buffer.mem, count: buffer.size)
    // Shorter than any request, and so without a number to answer to; the kernel never does that.
    guard message.count >= MemoryLayout<fuse_in_header>.size else { return }
    let request = unsafe WireRequest(message)
    let header = unsafe message.loadUnaligned(as: fuse_in_header.self)
    let reply = unsafe Reply(to: header.unique, on: descriptor, unsafeParts: parts)
    let tracer = tracer.flatMap { $0.isOn ? $0 : nil }
    tracer?.began(RequestOrigin(threadID: header.pid, waitingSince: waitingSince))
    defer { tracer?.answered() }
    switch request {
    case .pageFill(let offset, let byteCount):
      give(fill(offset, byteCount), to: .fill(offset, byteCount), reply, tracer)
    case .exactLoad(let offset, let byteCount, let handle):
      if byteCount > Self.registerByteCount { mayBlock() }
      give(
        load(offset, byteCount, Opener(handle: handle)), to: .load(offset, byteCount), reply, tracer
      )
    case .exactStore(let offset, let data, let handle, let isCached):
      if data.count > Self.registerByteCount { mayBlock() }
      give(
        unsafe store(message[data], offset, Opener(handle: handle)),
        to: .store(offset, data.count, dropsPage: !isCached), reply, tracer)
      // The kernel has put the bytes into the cached page as well, where they mean nothing.
      if isCached { notifier.zap(offset..<offset + UInt64(data.count)) }
    case .writeBack(let offset, let data):
      give(
        unsafe writeBack(message[data], offset), to: .writeBack(offset, data.count), reply, tracer)
    case .poll(let handle, let waiters, let events):
      give(poll(Opener(handle: handle), waiters, for: events), to: .other, reply, tracer)
    case .interrupt:
      reply.omit()
    case .malformed:
      reply.fail(EIO)
    case .other:
      reply.omit()
      unsafe fuse_session_process_buf(session, &buffer)
    case .control(let number, let input):
      reply.omit()
      if unsafe isPrompt(number, message[input]) {
        unsafe fuse_session_process_buf(session, &buffer)
        return
      }
      guard unsafe waiting.begin(message) else { return }
      mayBlock()
      unsafe fuse_session_process_buf(session, &buffer)
      while let next = waiting.next() { process(next) }
    }
  }

  /// The largest register. Whoever loads or stores more at once moves records, which takes longer.
  static let registerByteCount = 8

  /// What a request is answered with: parts behind the header's, or an error number.
  private enum Answer {
    case parts(Int, byteCount: Int)
    case error(CInt)
  }

  private func give(
    _ answer: Answer, to request: TracedRequest, _ reply: consuming Reply,
    _ tracer: (any RequestTracer)?
  ) {
    switch answer {
    case .parts(let count, let byteCount):
      tracer?.answering(request, 0)
      reply.send(partCount: count, byteCount: byteCount)
    case .error(let number):
      tracer?.answering(request, number)
      reply.fail(number)
    }
  }

  private func isPrompt(_ number: UInt32, _ input: Slice<UnsafeRawBufferPointer>) -> Bool {
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: input)
    return device.isPrompt(number, unsafe RawSpan(_unsafeBytes: bytes))
  }

  /// Has libfuse handle a request that was put aside.
  private func process(_ request: WaitingRequests.Request) {
    var message = request.message
    unsafe message.withUnsafeMutableBytes { bytes in
      let tracer = tracer.flatMap { $0.isOn ? $0 : nil }
      let header = unsafe bytes.loadUnaligned(as: fuse_in_header.self)
      tracer?.began(RequestOrigin(threadID: header.pid, waitingSince: request.since))
      defer { tracer?.answered() }
      var buffer = unsafe fuse_buf()
      unsafe buffer.mem = bytes.baseAddress
      unsafe buffer.size = bytes.count
      unsafe fuse_session_process_buf(session, &buffer)
    }
  }

  private func fill(_ offset: UInt64, _ byteCount: Int) -> Answer {
    var part = 1
    for page in 0..<byteCount / PageImage.byteCount {
      do {
        let start = offset + UInt64(page * PageImage.byteCount)
        let image = try device.image(at: start)
        cachedPages.add(start)
        part += unsafe image.name(
          in: parts + part, lines: lines + page * PageImage.maximumLineCount)
      } catch {
        return .error(ENXIO)
      }
    }
    // Never less than was asked for: a short answer would shrink the file in the kernel's eyes.
    return .parts(part - 1, byteCount: byteCount)
  }

  private func load(_ offset: UInt64, _ byteCount: Int, _ opener: Opener) -> Answer {
    // The request has been decoded, so that its buffer is free to take the answer.
    let bytes = unsafe UnsafeMutableRawBufferPointer(start: buffer.mem, count: byteCount)
    do {
      var span = unsafe MutableRawSpan(_unsafeBytes: bytes)
      try device.load(at: offset, into: &span, by: opener)
    } catch {
      return .error(error.rawValue)
    }
    unsafe parts[1] = iovec(iov_base: bytes.baseAddress, iov_len: byteCount)
    return .parts(1, byteCount: byteCount)
  }

  private func store(
    _ data: Slice<UnsafeRawBufferPointer>, _ offset: UInt64, _ opener: Opener
  ) -> Answer {
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: data)
    do {
      try device.store(unsafe RawSpan(_unsafeBytes: bytes), at: offset, by: opener)
    } catch {
      return .error(error.rawValue)
    }
    return written(bytes.count)
  }

  private func writeBack(_ data: Slice<UnsafeRawBufferPointer>, _ offset: UInt64) -> Answer {
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: data)
    let size = PageImage.byteCount
    for start in stride(from: 0, through: bytes.count - size, by: size) {
      let image = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<start + size])
      device.writeBack(
        unsafe RawSpan(_unsafeBytes: image), at: offset + UInt64(start), since: round)
    }
    return written(bytes.count)
  }

  /// Tells which of some events are there, and has the device wake those who wait for the one that is not.
  private func poll(_ opener: Opener, _ waiters: UInt64, for events: Int32) -> Answer {
    var found: Int32 = 0
    if events & Self.readable != 0,
      device.isReadable(opener, orWake: pollNotifications.waker(for: waiters))
    {
      found |= Self.readable
    }
    // A store is always taken.
    if opener.isWritable { found |= Self.writable }
    return structure(fuse_poll_out(revents: UInt32(bitPattern: found & events), padding: 0))
  }

  private static let readable = POLLIN | POLLRDNORM
  private static let writable = POLLOUT | POLLWRNORM

  /// Accepts all bytes, for the kernel would write the rest of a short answer through its cache.
  private func written(_ byteCount: Int) -> Answer {
    structure(fuse_write_out(size: UInt32(byteCount), padding: 0))
  }

  /// An answer of one structure of the protocol, which takes the place of a tail.
  private func structure<Value: BitwiseCopyable>(_ value: Value) -> Answer {
    let size = MemoryLayout<Value>.size
    precondition(size <= MemoryLayout<PageImage.Tail>.size, "an answer of \(size) bytes")
    unsafe UnsafeMutableRawPointer(lines).storeBytes(of: value, as: Value.self)
    unsafe parts[1] = iovec(iov_base: lines, iov_len: size)
    return .parts(1, byteCount: size)
  }
}
