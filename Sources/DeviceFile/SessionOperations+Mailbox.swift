internal import CFuse3
internal import PagedDevice

/// The one request that a device file handles itself: a client hands a mailbox over.
///
/// Source: `Sources/CXIVE/include/xive.h`, `struct xive_mailbox`.
enum MailboxRequest {
  /// `XIVE_MAILBOX`, `_IOW('X', 3, struct xive_mailbox)`.
  static let number: UInt32 = 0x4010_5803

  private static let version: UInt32 = 1

  /// Takes a mailbox over from the thread that asks.
  /// - Throws: ``/PagedDevice/DeviceError/invalid`` for a payload or a memory that is no mailbox, and the errors of
  ///   ``/PagedDevice/Caller/share(_:offset:byteCount:)`` and ``Mailboxes/add(_:)``.
  static func perform(
    _ request: ControlRequest, ofThread threadID: Int32, _ mailboxes: Mailboxes
  ) throws(DeviceError) {
    let words = request.input.words
    guard words.count == 4, words[0] == version, words[1] == 0, words[3] == 0 else {
      throw .invalid
    }
    let memory = try request.caller.share(
      Int32(bitPattern: words[2]), offset: 0, byteCount: Mailbox.byteCount)
    let process = Mailbox.process(of: UInt32(bitPattern: threadID))
    try mailboxes.add(Mailbox(memory, of: request.opener, in: process))
  }
}

extension [UInt8] {
  /// The words of 4 bytes that a payload is made of.
  fileprivate var words: [UInt32] {
    unsafe withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count - 3, by: 4).map {
        unsafe bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self)
      }
    }
  }
}
