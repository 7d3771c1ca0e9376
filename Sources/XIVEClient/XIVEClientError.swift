public import DeviceClient
public import SystemPackage
public import XIVEModel

/// Why a consumer's call on a XIVE device file was refused.
public enum XIVEClientError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file refused it.
  case device(DeviceClientError)
  /// The file is no XIVE device: it does not answer the INFO attribute.
  case notXIVE(String)
  /// The source number lies beyond the device's.
  case noSuchSource(LISN, count: UInt32)
  /// The kernel's device maps from page offset 0 (at most 4 pages) and 4 (at most two a source) alone.
  case window(pageOffset: UInt64, pageCount: UInt64)
  /// A C caller passed a value that its parameter does not have; the parameter's name.
  case value(String, UInt64)

  /// The error number that a C caller gets.
  public var errno: Errno {
    switch self {
    case .device(let error): error.errno
    case .notXIVE: .inappropriateIOCTLForDevice
    case .noSuchSource: .argListTooLong
    case .window, .value: .invalidArgument
    }
  }

  /// One line for the user.
  public var description: String {
    switch self {
    case .device(let error): error.description
    case .notXIVE(let path): "\(path): is not a XIVE device: start one with xive serve \(path)"
    case .noSuchSource(let lisn, let count):
      "LISN \(lisn): this device has \(count) sources, numbered from 0"
    case .window(let offset, let count):
      "\(count) pages at page offset \(offset): the kernel's window has 4 TIMA pages at page offset 0 "
        + "and two ESB pages a source at page offset 4, each mapped from its start"
    case .value(let name, let value): "\(name): \(value) is not one of its values"
    }
  }
}
