internal import Glibc
internal import PagedDevice

extension Worker {
  /// Performs an access that was posted in a mailbox, as the request of the same access would be, and answers it.
  /// - Parameters:
  ///   - post: what was posted; any numbers.
  ///   - mailbox: where.
  ///   - cachedPages: pages that the kernel has to do something about; their accesses go back.
  func perform(_ post: Mailbox.Post, of mailbox: Mailbox, unless cachedPages: CachedPages) {
    guard (1...Self.registerByteCount).contains(post.byteCount), post.offset <= Self.lastOffset,
      !cachedPages.mayHave(post.offset),
      !cachedPages.mayHave(post.offset + UInt64(post.byteCount - 1))
    else { return mailbox.giveBack(post) }
    let tracer = tracer.flatMap { $0.isOn ? $0 : nil }
    // The kernel names the thread truly.
    guard tracer == nil || mailbox.isOwn(post) else { return mailbox.giveBack(post) }
    tracer?.began(RequestOrigin(threadID: post.threadID))
    defer { tracer?.answered() }
    let request: TracedRequest =
      post.isStore
      ? .store(post.offset, post.byteCount, dropsPage: false) : .load(post.offset, post.byteCount)
    var bytes = post.bytes
    do {
      if post.isStore {
        try store(&bytes, post, by: mailbox.opener)
      } else {
        try load(&bytes, post, by: mailbox.opener)
      }
      tracer?.answering(request, 0)
      mailbox.answer(post, Int32(post.byteCount), bytes: bytes)
    } catch {
      tracer?.answering(request, error.rawValue)
      mailbox.answer(post, -error.rawValue, bytes: bytes)
    }
  }

  /// The last place of a register of any size in the file, beyond which the kernel has a say.
  private static let lastOffset = UInt64(SessionContext.fileByteCount) - UInt64(registerByteCount)

  private func load(
    _ bytes: inout UInt64, _ post: Mailbox.Post, by opener: Opener
  ) throws(DeviceError) {
    guard opener.isReadable else { throw .badDescriptor }
    try unsafe withUnsafeMutableBytes(of: &bytes) { bytes throws(DeviceError) in
      var span = unsafe MutableRawSpan(_unsafeBytes: .init(rebasing: bytes[..<post.byteCount]))
      try device.load(at: post.offset, into: &span, by: opener)
    }
  }

  private func store(
    _ bytes: inout UInt64, _ post: Mailbox.Post, by opener: Opener
  ) throws(DeviceError) {
    guard opener.isWritable else { throw .badDescriptor }
    try unsafe withUnsafeMutableBytes(of: &bytes) { bytes throws(DeviceError) in
      let data = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<post.byteCount])
      let span = unsafe RawSpan(_unsafeBytes: data)
      try device.store(span, at: post.offset, by: opener)
    }
  }
}
