/// A device whose registers are pages of a file.
///
/// `DeviceFile` serves any such device: consumers open the file, map it, fault on it, and load and store
/// in it. A page that is mapped is *memory*: the device is asked for its image once (``image(at:)``), says
/// when bytes of it change (``takeUpdates(_:)``), and sees stores late, as a whole image
/// (``writeBack(_:at:)``). Only reads and writes on a descriptor opened with `O_DIRECT` are single loads
/// and stores (``load(at:into:by:)``, ``store(_:at:by:)``).
///
/// A device has to answer ``image(at:)`` and ``writeBack(_:at:)``; what it does not implement of the rest is
/// refused, or does nothing.
///
/// Thread rule: every method can be called from several threads at once.
public protocol PagedDevice: AnyObject, Sendable {
  /// The device's own page size in bytes, a power of two of at least 4,096.
  ///
  /// Images are always ``PageImage/byteCount`` bytes; a larger device page is several of them.
  var pageByteCount: Int { get }

  /// Who follows the device's requests; always the same one. Nil costs nothing.
  var tracer: (any RequestTracer)? { get }

  /// Tells the device where it is served. Called once, before anything else.
  /// - Parameter host: wakes the thread that takes updates.
  func attach(to host: any DeviceHost)

  /// Names the image of the 4 KiB of the file at an offset.
  ///
  /// This is the fault path: it takes no lock, does not allocate and has no side effect that a consumer
  /// could see, for fills are repeated, speculative, and made for neighbours.
  /// - Parameter offset: byte offset in the file, a multiple of 4,096.
  /// - Returns: the image as it is now.
  /// - Throws: ``PageFault`` where there is no page; the toucher gets `SIGBUS`, and nothing is cached.
  func image(at offset: UInt64) throws(PageFault) -> PageImage

  /// Performs one load.
  /// - Parameters:
  ///   - offset: byte offset in the file.
  ///   - bytes: filled whole; its size is the size of the access.
  ///   - opener: the descriptor that it comes from.
  /// - Throws: ``DeviceError`` for a size or offset that the device does not take; nothing has changed then.
  func load(at offset: UInt64, into bytes: inout MutableRawSpan, by opener: Opener)
    throws(DeviceError)

  /// Performs one store.
  /// - Parameters:
  ///   - bytes: what is stored; its size is the size of the access.
  ///   - offset: byte offset in the file.
  ///   - opener: the descriptor that it comes from.
  /// - Throws: ``DeviceError`` for a size or offset that the device does not take; nothing has changed then.
  func store(_ bytes: RawSpan, at offset: UInt64, by opener: Opener) throws(DeviceError)

  /// Takes the image of a page that consumers stored to through their mappings.
  ///
  /// Returns when the stores took effect. Must not wait for updates to be taken: the page may be locked.
  /// - Parameters:
  ///   - image: the page's bytes, ``PageImage/byteCount`` of them.
  ///   - offset: byte offset in the file, a multiple of 4,096.
  func writeBack(_ image: RawSpan, at offset: UInt64)

  /// Takes the image of a page that consumers stored to, as ``writeBack(_:at:)``, for devices that change
  /// pages by updates: an image may be older than an update that was delivered before it arrives here.
  /// - Parameters:
  ///   - image: the page's bytes, ``PageImage/byteCount`` of them.
  ///   - offset: byte offset in the file, a multiple of 4,096.
  ///   - round: ``updateRound`` as it was before the image was made.
  func writeBack(_ image: RawSpan, at offset: UInt64, since round: UInt64)

  /// How many calls of ``takeUpdates(_:)`` have returned; a device without updates may always say 0.
  var updateRound: UInt64 { get }

  /// Performs a control request (an `ioctl`).
  /// - Parameter request: number, payload and answer.
  /// - Returns: the caller's return value, 0 or more.
  /// - Throws: ``DeviceError``; ``DeviceError/unknownRequest`` for a number that the device does not know.
  func control(_ request: inout ControlRequest) throws(DeviceError) -> Int32

  /// Whether a control request is handled as a load is: soon, and without waiting.
  ///
  /// A promise for the sake of speed: whoever reads requests then handles it at once instead of waking another
  /// thread to read on, and all fills wait meanwhile. Such a request must not touch the caller's memory, whose
  /// pages may be the device's own.
  /// - Parameters:
  ///   - number: the request's number.
  ///   - input: the argument's bytes.
  /// - Returns: whether that is promised.
  func isPrompt(_ number: UInt32, _ input: RawSpan) -> Bool

  /// Hands over the bytes of mapped pages that have changed since the last call.
  ///
  /// Called on a thread that serves no requests, after ``DeviceHost/updatesAreReady()``.
  /// - Parameter deliver: called for each run of bytes; they are in the mappings when it returns.
  func takeUpdates(_ deliver: (PageUpdate) -> Void)

  /// Finds the first run of existing pages that ends behind an offset, for `SEEK_DATA` and `SEEK_HOLE`.
  /// - Parameter offset: byte offset in the file.
  /// - Returns: byte offsets of the run, or nil when there is none.
  func segment(endingAfter offset: UInt64) -> Range<UInt64>?

  /// Whether a descriptor is readable in the sense of `poll`.
  ///
  /// Must not wait. The device keeps `waker` before it looks, whatever it then answers, and wakes it when the
  /// descriptor becomes readable next: one who waits for edges (`EPOLLET`) asks again only when woken. Whoever has been
  /// woken asks again, so that a waker may be forgotten once it has been used. A later call for the same descriptor
  /// replaces it, ``closed(_:)`` drops it.
  /// - Parameters:
  ///   - opener: the descriptor.
  ///   - waker: wakes those who wait for it; may be woken in vain.
  /// - Returns: whether there is something to read now.
  func isReadable(_ opener: Opener, orWake waker: PollWaker) -> Bool

  /// Tells that a descriptor's last reference has gone.
  /// - Parameter opener: the descriptor.
  /// - Returns: pages that went with it; nobody waits for that.
  func closed(_ opener: Opener) -> Invalidation?
}

/// What a simple device does without: registers that only mappings reach, that never change by themselves, and
/// that have neither requests nor anything that hangs on a descriptor.
extension PagedDevice {
  /// The smallest page: 4,096 bytes.
  public var pageByteCount: Int { PageImage.byteCount }

  /// Nobody.
  public var tracer: (any RequestTracer)? { nil }

  /// Forgets the host: no mapped page ever changes.
  public func attach(to host: any DeviceHost) {}

  /// Refuses every load, whatever its size.
  public func load(at offset: UInt64, into bytes: inout MutableRawSpan, by opener: Opener)
    throws(DeviceError)
  {
    throw .invalid
  }

  /// Refuses every store, whatever its size.
  public func store(_ bytes: RawSpan, at offset: UInt64, by opener: Opener) throws(DeviceError) {
    throw .invalid
  }

  /// Knows no request.
  public func control(_ request: inout ControlRequest) throws(DeviceError) -> Int32 {
    throw .unknownRequest
  }

  /// Promises nothing: any request may wait.
  public func isPrompt(_ number: UInt32, _ input: RawSpan) -> Bool { false }

  /// Hands over nothing.
  public func takeUpdates(_ deliver: (PageUpdate) -> Void) {}

  /// Lists no pages, which keeps nobody from touching them.
  public func segment(endingAfter offset: UInt64) -> Range<UInt64>? { nil }

  /// Always says so.
  public func isReadable(_ opener: Opener, orWake waker: PollWaker) -> Bool { true }

  /// Does nothing.
  public func closed(_ opener: Opener) -> Invalidation? { nil }

  /// Takes the image without asking how old it is.
  public func writeBack(_ image: RawSpan, at offset: UInt64, since round: UInt64) {
    writeBack(image, at: offset)
  }

  /// Says that updates are not counted.
  public var updateRound: UInt64 { 0 }
}

/// Wakes those who wait in `poll` or `epoll` for one descriptor; they ask again.
public struct PollWaker: Sendable {
  private let wakeUp: @Sendable () -> Void

  /// Creates a waker.
  /// - Parameter wakeUp: what wakes them; must not wait, and may be called from any thread.
  public init(_ wakeUp: @escaping @Sendable () -> Void) { self.wakeUp = wakeUp }

  /// Wakes them. Does not wait; safe from any thread and on every path.
  public func wake() { wakeUp() }
}

/// What a device may ask of whoever serves it.
public protocol DeviceHost: AnyObject, Sendable {
  /// Wakes the thread that takes updates. Does not wait; safe from any thread and on every path.
  func updatesAreReady()
}

/// An open file description of the device file.
public struct Opener: Hashable, Sendable {
  /// A number of its own for as long as it is open.
  public let id: UInt64
  /// Whether it was opened for writing; without that nothing may be changed through it.
  public let isWritable: Bool
  /// Whether it was opened for reading; without that nothing may be loaded through it.
  public let isReadable: Bool

  /// Creates the description of an opener.
  public init(id: UInt64, isWritable: Bool, isReadable: Bool = true) {
    self.id = id
    self.isWritable = isWritable
    self.isReadable = isReadable
  }
}
