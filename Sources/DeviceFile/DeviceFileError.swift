public import SystemPackage

/// Why a device cannot be served. Each names the object and the remedy.
public enum DeviceFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// `/dev/fuse` is missing.
  case noFuse
  /// `/dev/fuse` may not be opened.
  case noPermission(Errno)
  /// The path is a directory.
  case isDirectory(String)
  /// The path is neither a regular file nor missing.
  case notAFile(String)
  /// The path cannot be used at all.
  case path(String, Errno)
  /// A living server has the path.
  case alreadyServed(String)
  /// A server has the path and does not answer.
  case silentServer(String)
  /// A dead server's mount is in the way and cannot be taken off.
  case staleMount(String, Errno)
  /// Something else is mounted there; its type.
  case busy(String, String)
  /// The mount failed; libfuse's words.
  case mountFailed(String, String)
  /// A system call failed.
  case system(String, Errno)

  /// One line for the user.
  public var description: String {
    switch self {
    case .noFuse: "/dev/fuse: not there: load the kernel's fuse module (modprobe fuse)"
    case .noPermission(let error):
      "/dev/fuse: \(error): run as root, or let this user open it"
    case .isDirectory(let path): "\(path): is a directory: name a file, it will be the device"
    case .notAFile(let path): "\(path): is not a regular file: name a file, it will be the device"
    case .path(let path, let error): "\(path): \(error)"
    case .alreadyServed(let path):
      "\(path): is being served already: end that server first, or choose another path"
    case .silentServer(let path):
      "\(path): its server does not answer: end that process, then: umount -l \(path)"
    case .staleMount(let path, let error):
      "\(path): the mount of a killed server cannot be taken off: \(error): run fusermount3 -u -z \(path)"
    case .busy(let path, let type):
      "\(path): busy, a file system of type \(type) is mounted there: choose another path"
    case .mountFailed(let path, let reason): "\(path): cannot be mounted: \(reason)"
    case .system(let call, let error): "\(call): \(error)"
    }
  }
}
