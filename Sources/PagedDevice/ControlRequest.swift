/// A control request (an `ioctl`) on its way through a device.
public struct ControlRequest {
  /// The request's number, with direction and size encoded as Linux's `_IOC` does.
  public let number: UInt32
  /// The argument's bytes as the caller passed them; empty for a request without a payload.
  public let input: [UInt8]
  /// The argument itself: an address in the caller, or the value of a request without a payload.
  public let argument: UInt64
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
  ///   - argument: the argument itself.
  ///   - outputByteCount: how many bytes go back.
  ///   - opener: the descriptor that it comes from.
  ///   - caller: whoever asks.
  public init(
    number: UInt32, input: [UInt8], argument: UInt64 = 0, outputByteCount: Int, opener: Opener,
    caller: any Caller
  ) {
    self.number = number
    self.input = input
    self.argument = argument
    self.opener = opener
    self.caller = caller
    output = [UInt8](repeating: 0, count: outputByteCount)
  }
}
