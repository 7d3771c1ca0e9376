public import SystemPackage

/// Why a saved state, or the file that it is in, cannot be used.
public enum StateFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file cannot be read.
  case reading(Errno)
  /// The file cannot be written.
  case writing(Errno)
  /// It does not begin as saved states do.
  case notAState
  /// Another version of the format.
  case version(UInt32)
  /// Its size is not what it should be, in bytes.
  case length(expected: UInt64, found: UInt64)
  /// Its checksum is not that of its contents.
  case checksum(expected: UInt32, found: UInt32)
  /// A part of it cannot be: which, and what it is.
  case inconsistent(String, String)

  /// The error number that fits.
  public var errno: Errno {
    switch self {
    case .reading(let error), .writing(let error): error
    default: .invalidArgument
    }
  }

  /// One line for the user, without the file's name.
  public var description: String {
    switch self {
    case .reading(let error): "cannot be read: \(error.reason)"
    case .writing(let error): "cannot be written: \(error.reason)"
    case .notAState: "is no saved state: xive save makes one"
    case .version(let version):
      "has format version \(version), and this program knows version \(StateFormat.version): use the one "
        + "that wrote it"
    case .length(let expected, let found):
      "has \(found) bytes, and should have \(expected): copy it again, or save again"
    case .checksum(let expected, let found):
      "is damaged: its checksum is \(hex(found)), and that of its contents \(hex(expected)): copy it again, "
        + "or save again"
    case .inconsistent(let part, let what):
      "cannot be: \(part): \(what): it was not written by xive save"
    }
  }

  private func hex(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }
}

extension Errno {
  /// Why a file cannot be read or written.
  fileprivate var reason: String {
    switch self {
    case .isDirectory: "it is a directory"
    case .invalidArgument: "it is no regular file"
    default: "\(self)"
    }
  }
}
