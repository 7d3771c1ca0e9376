internal import SystemCalls
internal import SystemPackage

/// A regular file that a device can be mounted over.
struct MountPoint {
  /// The path without links.
  let path: String
  /// Owner and permissions of the file below the mount.
  let underlying: FileStatus
  /// Whether a dead server's mount had to be taken off first.
  let wasStale: Bool

  /// How long a server may take to answer before it counts as silent, in milliseconds.
  private static let patience = 2_000

  /// Looks at a path, creates the file when it is missing, and takes a killed server's mount off.
  /// - Throws: the reason why nothing can be served there.
  init(_ given: String, type: String) throws(DeviceFileError) {
    try Self.checkFuse()
    var path = try Self.resolve(given)
    var wasStale = false
    while let mounted = MountTable.fileSystemType(at: path) {
      guard mounted == "fuse.\(type)" else { throw .busy(path, mounted) }
      try Self.removeDeadMount(path)
      wasStale = true
    }
    self.wasStale = wasStale
    underlying = try Self.file(path)
    // Once more: the last name may have been a link to a file that is new.
    do { path = try MountTable.realPath(path) } catch { throw .path(path, error) }
    self.path = path
  }

  private static func checkFuse() throws(DeviceFileError) {
    do {
      _ = try OwnedDescriptor(opening: "/dev/fuse", .readWrite)
    } catch {
      // A node without its module behind it is ENODEV.
      let isMissing: [Errno] = [
        .noSuchFileOrDirectory, .noSuchAddressOrDevice, .operationNotSupportedByDevice,
      ]
      throw isMissing.contains(error) ? .noFuse : .noPermission(error)
    }
  }

  /// Resolves links in front of the last name at least: the file itself may be missing or dead.
  private static func resolve(_ given: String) throws(DeviceFileError) -> String {
    do {
      return try MountTable.realPath(given)
    } catch {
      guard error == .noSuchFileOrDirectory || error == .socketNotConnected else {
        throw .path(given, error)
      }
    }
    let path = FilePath(given)
    guard let name = path.lastComponent else { throw .path(given, .invalidArgument) }
    let folder = path.removingLastComponent()
    do {
      return FilePath(try MountTable.realPath(folder.isEmpty ? "." : folder.string))
        .appending(name).string
    } catch { throw .path(given, error) }
  }

  /// Unmounts when the server is dead; refuses while it lives or cannot be asked.
  private static func removeDeadMount(_ path: String) throws(DeviceFileError) {
    do {
      try MountTable.probe(path, within: patience)
    } catch {
      switch error {
      case .socketNotConnected, .connectionAbort:
        do { try MountTable.unmountLazily(path) } catch { throw .staleMount(path, error) }
        return
      case .timedOut: throw .silentServer(path)
      default: break  // Somebody answers, be it by a refusal.
      }
    }
    throw .alreadyServed(path)
  }

  private static func file(_ path: String) throws(DeviceFileError) -> FileStatus {
    do {
      let existing = try? FileStatus(ofPath: path)
      if let existing, existing.isDirectory { throw DeviceFileError.isDirectory(path) }
      if let existing, !existing.isRegularFile { throw DeviceFileError.notAFile(path) }
      if let existing { return existing }
      _ = try OwnedDescriptor(opening: path, [.readWrite, .create])
      return try FileStatus(ofPath: path)
    } catch let error as Errno {
      throw .path(path, error)
    } catch let error as DeviceFileError {
      throw error
    } catch {
      throw .path(path, .ioError)
    }
  }
}
