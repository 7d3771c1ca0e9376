/// There is no page at this offset: the toucher gets `SIGBUS`.
public struct PageFault: Error, Hashable, Sendable {
  /// Creates the fault.
  public init() {}
}

/// Why a device refuses an access or a request; the raw value is Linux's error number.
public enum DeviceError: Int32, Error, Hashable, Sendable, CaseIterable {
  /// The server may not do that to the caller. The corresponding C error is `EPERM`.
  case notPermitted = 1
  /// No such object. The corresponding C error is `ENOENT`.
  case notFound = 2
  /// The device has no such attribute, or no such thing now. The corresponding C error is `ENXIO`.
  case noSuchAttribute = 6
  /// A number is out of range. The corresponding C error is `E2BIG`.
  case outOfRange = 7
  /// The descriptor is none, or may not change anything. The corresponding C error is `EBADF`.
  case badDescriptor = 9
  /// There is no memory for it. The corresponding C error is `ENOMEM`.
  case outOfMemory = 12
  /// The caller's memory cannot be read or written. The corresponding C error is `EFAULT`.
  case badAddress = 14
  /// The thing is in use. The corresponding C error is `EBUSY`.
  case busy = 16
  /// The thing exists already. The corresponding C error is `EEXIST`.
  case exists = 17
  /// A size, an offset or a value is not valid. The corresponding C error is `EINVAL`.
  case invalid = 22
  /// The device does not know the request. The corresponding C error is `ENOTTY`.
  case unknownRequest = 25
}
