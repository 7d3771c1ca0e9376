public import SystemPackage

/// Why a recorded file cannot be read or written: which, and why.
public struct TraceFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Why.
  public enum Reason: Hashable, Sendable {
    /// The file cannot be read.
    case reading(Errno)
    /// The file cannot be written.
    case writing(Errno)
    /// It does not begin as recorded files do.
    case notATrace
    /// It was recorded on a machine of the other byte order.
    case byteOrder
    /// Another version of the format.
    case version(UInt32)
    /// Its first block, which describes the device, is not whole: there is nothing to use.
    case noDevice
    /// A part of it is damaged.
    case damaged(TraceFileDamage)
  }

  /// The file.
  public let path: String
  /// Why.
  public let reason: Reason

  /// Puts a file and a reason together.
  public init(_ path: String, _ reason: Reason) {
    self.path = path
    self.reason = reason
  }

  /// One line for the user.
  public var description: String {
    let words =
      switch reason {
      case .reading(let error): "cannot be read: \(error.reason)"
      case .writing(let error): "cannot be written: \(error.reason)"
      case .notATrace: "is no recorded trace: xive trace PATH -o FILE makes one"
      case .byteOrder:
        "was recorded on a machine of the other byte order: convert it there, with xive trace convert"
      case .version(let version):
        "has format version \(version), and this program knows version \(TraceFormat.version): use the one "
          + "that wrote it"
      case .noDevice: "is damaged at its beginning: copy it again, or record again"
      case .damaged(let damage): "\(damage)"
      }
    return "\(path): \(words)"
  }
}

/// Where a recorded file is damaged; what comes before that can be used.
public struct TraceFileDamage: Hashable, Sendable, CustomStringConvertible {
  /// What is wrong there.
  public enum Kind: Hashable, Sendable {
    /// The file ends inside a block: its recorder was killed, or still writes.
    case truncated
    /// A block is not what was written.
    case corrupt
  }

  /// What is wrong.
  public let kind: Kind
  /// Where the block begins, in bytes.
  public let offset: UInt64
  /// Records in front of it.
  public let recordCount: Int
  /// Bytes of the file from there on, which are not used.
  public let lostByteCount: UInt64

  /// One line for the user, without the file's name.
  public var description: String {
    let what = kind == .truncated ? "ends inside a block" : "is damaged in the block"
    return
      "\(what) at byte \(offset): the \(recordCount) records before it are used, and \(lostByteCount) bytes are not"
  }
}

extension Errno {
  /// Why a file cannot be read or written.
  var reason: String {
    switch self {
    case .isDirectory: "it is a directory"
    case .invalidArgument: "it is no regular file"
    default: "\(self)"
    }
  }
}
