/// A control request (an `ioctl`) on its way through a device.
public struct ControlRequest {
  /// The request's number, with direction and size encoded as Linux's `_IOC` does.
  public let number: UInt32
  /// The argument's bytes as the caller passed them; empty for a request without a payload.
  public let input: [UInt8]
  /// The descriptor that it comes from.
  public let opener: Opener
  /// Whoever asks, for payloads that hold pointers or descriptors.
  public let caller: any Caller
  /// The bytes that go back to the caller; starts as zeros of the size that the number encodes.
  public var output: [UInt8]
  /// What has to be true of the pages that consumers hold before the caller is answered; nil: nothing.
  ///
  /// The request is answered without an error once it has been carried out, by another thread: the device never
  /// waits for it.
  public var invalidation: Invalidation?

  /// Creates a request.
  /// - Parameters:
  ///   - number: the request's number.
  ///   - input: the argument's bytes.
  ///   - outputByteCount: how many bytes go back.
  ///   - opener: the descriptor that it comes from.
  ///   - caller: whoever asks.
  public init(
    number: UInt32, input: [UInt8], outputByteCount: Int, opener: Opener,
    caller: any Caller
  ) {
    self.number = number
    self.input = input
    self.opener = opener
    self.caller = caller
    output = [UInt8](repeating: 0, count: outputByteCount)
  }
}

/// The process that a request comes from: its memory, read and written as the kernel would, and its descriptors.
///
/// Thread rule: only while the request is being handled, on the thread that handles it; the calls may wait
/// for the caller's pages, even for pages of the device itself.
public protocol Caller {
  /// Reads the caller's memory.
  /// - Parameters:
  ///   - address: an address in the caller.
  ///   - byteCount: how much to read.
  /// - Returns: exactly so many bytes.
  /// - Throws: ``DeviceError/badAddress`` when not all of it can be read.
  func read(at address: UInt64, byteCount: Int) throws(DeviceError) -> [UInt8]

  /// Writes the caller's memory.
  /// - Parameters:
  ///   - bytes: what to write.
  ///   - address: an address in the caller.
  /// - Throws: ``DeviceError/badAddress`` when not all of it can be written.
  func write(_ bytes: [UInt8], at address: UInt64) throws(DeviceError)

  /// Maps memory that the caller shares by a descriptor, for reading and writing.
  /// - Parameters:
  ///   - descriptor: a descriptor of the caller's, of a memfd that is sealed against shrinking.
  ///   - offset: where in it the part begins, in bytes; a multiple of the system's page size.
  ///   - byteCount: bytes to map, more than 0.
  /// - Returns: the memory; it stays mapped for as long as somebody holds it, whatever the caller does.
  /// - Throws: ``DeviceError/badDescriptor`` for a descriptor that is not open, ``DeviceError/notPermitted`` where
  ///   the server may not take it, ``DeviceError/invalid`` for one that is no memfd, may shrink, lies in huge pages of
  ///   the system's pool (which may run out under a hole), cannot be written, or is smaller than that.
  func share(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(DeviceError)
    -> any SharedMemory

  /// Whether a descriptor of the caller's is one of this device's file.
  /// - Parameter descriptor: a descriptor of the caller's.
  /// - Returns: false for another file.
  /// - Throws: ``DeviceError/badDescriptor`` for a descriptor that is not open, ``DeviceError/notPermitted`` where
  ///   the server may not look.
  func isDevice(_ descriptor: Int32) throws(DeviceError) -> Bool
}

/// Memory that a caller shares with the device.
public protocol SharedMemory: AnyObject, Sendable {
  /// The memory; it can be used for as long as this object lives.
  ///
  /// Others write it at any time: only atomic accesses, or single ones, mean anything.
  var bytes: UnsafeMutableRawBufferPointer { get }
}
