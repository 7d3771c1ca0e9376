/// The image of 4 KiB of the file: a prebuilt body, and a short head and tail of its own.
///
/// The body is shared by all pages that look alike and is never copied; head and tail, at most 64 bytes each, are
/// what makes a page this page.
@safe
public struct PageImage {
  /// Bytes of an image: what the kernel fills at a time.
  public static let byteCount = 4_096

  /// Bytes of a head or a tail.
  public static let lineByteCount = 64
  /// The 64 bytes of a head or a tail, as they lie in memory.
  public typealias Line = InlineArray<8, UInt64>
  /// The tail's 64 bytes.
  public typealias Tail = Line

  /// The first bytes of the image: 4,032 (a tail follows) or all 4,096.
  public let body: UnsafeRawBufferPointer
  /// The first 64 bytes, in place of the body's, for a page whose registers lie there; nil for the body's.
  public let head: Line?
  /// The last 64 bytes, where the body leaves room for them.
  public let tail: Tail

  /// Creates an image of a body and a tail.
  /// - Parameters:
  ///   - head: the first 64 bytes, where they are the page's own.
  ///   - body: of its first 4,032 bytes those are used that the head leaves.
  ///   - tail: the last 64 bytes.
  public init(head: Line? = nil, body: PageBody, tail: Tail) {
    self.head = head
    unsafe self.body = UnsafeRawBufferPointer(rebasing: body.bytes[..<4_032])
    self.tail = tail
  }

  /// Creates an image that is a body and nothing else.
  public init(body: PageBody) {
    head = nil
    unsafe self.body = body.bytes
    tail = .init(repeating: 0)
  }
}

/// 4 KiB of prebuilt image.
///
/// A device builds its bodies once and keeps them for as long as it lives; copies of this value are only
/// pointers, so that the fault path counts no references.
@safe
public struct PageBody: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init` and deliberately never freed, so that no image on
  // its way to the kernel can dangle; a process builds a handful. Written only in `init` and `store`.
  fileprivate let base: UnsafeMutableRawPointer

  /// Builds a body of equal bytes.
  /// - Parameter byte: the value of every byte.
  public init(repeating byte: UInt8) {
    unsafe base = .allocate(byteCount: PageImage.byteCount, alignment: PageImage.byteCount)
    unsafe base.initializeMemory(as: UInt8.self, repeating: byte, count: PageImage.byteCount)
  }

  /// The body's bytes, for reading.
  public var bytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: base, count: PageImage.byteCount)
  }

  /// Writes a value, while the body is being built or when a register that it shows has changed.
  ///
  /// One thread at a time. A fill that is under way may show the old value, or bytes of both: follow a change
  /// by an update (``PagedDevice/takeUpdates(_:)``), which the kernel puts behind that fill.
  /// - Parameters:
  ///   - value: stored in the machine's byte order.
  ///   - offset: byte offset, a multiple of the value's size, inside the body.
  public func store<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
    precondition(offset >= 0 && offset + MemoryLayout<Value>.size <= PageImage.byteCount)
    unsafe base.storeBytes(of: value, toByteOffset: offset, as: Value.self)
  }
}

/// Bytes of a page that have changed while it may be mapped.
@safe
public struct PageUpdate {
  /// Where in the file the bytes belong.
  public let offset: UInt64
  /// The bytes; valid until the delivery returns.
  public let bytes: UnsafeRawBufferPointer

  /// Creates an update.
  /// - Parameters:
  ///   - offset: byte offset in the file.
  ///   - bytes: within one 4 KiB page.
  public init(offset: UInt64, unsafeBytes bytes: UnsafeRawBufferPointer) {
    self.offset = offset
    unsafe self.bytes = bytes
  }
}
