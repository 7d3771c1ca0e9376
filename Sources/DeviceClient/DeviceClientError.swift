public import SystemPackage

/// Why a consumer's call on a device file was refused. Each names its object.
public enum DeviceClientError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file cannot be opened.
  case open(String, Errno)
  /// The path is a directory, a FIFO, a device node: no device file.
  case notAFile(String)
  /// An exact load or store at a device offset was refused.
  case access(offset: UInt64, Errno)
  /// A control request was refused; its number.
  case control(UInt32, Errno)
  /// A part of the file cannot be mapped.
  case map(offset: UInt64, byteCount: Int, Errno)
  /// A part of the file cannot be mapped so that touches trap.
  case trap(offset: UInt64, byteCount: Int, Errno)
  /// An offset or a size is not a multiple of the device page, or is empty.
  case unaligned(offset: UInt64, byteCount: Int)
  /// A private writable mapping would keep its stores to itself: it is refused with `EINVAL`.
  case privateMapping(offset: UInt64)
  /// The pages that exist cannot be listed.
  case segments(after: UInt64, Errno)

  /// The error number that a C caller gets.
  public var errno: Errno {
    switch self {
    case .open(_, let error), .access(_, let error), .control(_, let error),
      .map(_, _, let error), .trap(_, _, let error), .segments(_, let error):
      error
    case .notAFile, .unaligned, .privateMapping: .invalidArgument
    }
  }

  /// One line for the user.
  public var description: String {
    switch self {
    case .open(let path, let error):
      "\(path): cannot be opened: \(error)"
    case .notAFile(let path): "\(path): is not a regular file, and so no device file"
    case .access(let offset, let error): "offset \(hex(offset)): refused: \(error)"
    case .control(let number, let error): "request \(hex(UInt64(number))): refused: \(error)"
    case .map(let offset, let count, let error):
      "\(count) bytes at offset \(hex(offset)): cannot be mapped: \(error)"
    case .trap(let offset, let count, .notSupported):
      "\(count) bytes at offset \(hex(offset)): trapped windows need an x86-64 processor: "
        + "map the pages plainly, or load and store by exact calls"
    case .trap(let offset, let count, let error):
      "\(count) bytes at offset \(hex(offset)): no trapped window: \(error)"
    case .unaligned(let offset, let count):
      "\(count) bytes at offset \(hex(offset)): must be whole device pages"
    case .privateMapping(let offset):
      "offset \(hex(offset)): a private mapping would keep its stores to itself: map it shared"
    case .segments(let offset, let error):
      "the pages from offset \(hex(offset)) on cannot be listed: \(error)"
    }
  }

  private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
}
