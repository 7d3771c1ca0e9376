/// A control request (an `ioctl`) on its way through a device.
public struct ControlRequest {
  /// The request's number, with direction and size encoded as Linux's `_IOC` does.
  public let number: UInt32
  /// The argument's bytes as the caller passed them; empty for a request without a payload.
  public let input: [UInt8]
  /// The descriptor that it comes from.
  public let opener: Opener
  /// The caller's address space, for payloads that hold pointers.
  public let memory: any CallerMemory
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
  ///   - memory: the caller's address space.
  public init(
    number: UInt32, input: [UInt8], outputByteCount: Int, opener: Opener,
    memory: any CallerMemory
  ) {
    self.number = number
    self.input = input
    self.opener = opener
    self.memory = memory
    output = [UInt8](repeating: 0, count: outputByteCount)
  }
}

/// The memory of the process that a request comes from, read and written as the kernel would.
///
/// Thread rule: only while the request is being handled, on the thread that handles it; the call may wait
/// for the caller's pages, even for pages of the device itself.
public protocol CallerMemory {
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
}
