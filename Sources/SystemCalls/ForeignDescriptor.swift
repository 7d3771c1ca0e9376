internal import CSystemCalls
public import SystemPackage

/// A descriptor of another process, by its number there.
///
/// Thread rule: any thread, while the thread that has the descriptor cannot end.
public struct ForeignDescriptor: Sendable {
  /// A thread of that process, as this process sees it.
  public let threadID: CInt
  /// The descriptor's number in it.
  public let rawValue: CInt

  /// Names a descriptor; whether there is one is found out when it is used.
  /// - Parameters:
  ///   - rawValue: its number.
  ///   - threadID: a thread that has it, as this process sees it.
  public init(_ rawValue: CInt, ofThread threadID: CInt) {
    self.threadID = threadID
    self.rawValue = rawValue
  }

  /// Takes a copy; the file stays open until both are closed.
  ///
  /// Source: pidfd_getfd(2). It needs the right to trace that process.
  /// - Returns: a descriptor of the same open file.
  /// - Throws: `EBADF` when the descriptor is not open, `ESRCH` when there is no such thread, `EPERM` when this
  ///   process may not take it, and other errors of the call.
  public func copy() throws(Errno) -> OwnedDescriptor {
    OwnedDescriptor(rawValue: try valueOrErrno(csystem_take_descriptor(threadID, rawValue)))
  }

  /// The number of the file system that the descriptor leads to.
  ///
  /// Copies nothing and asks the file system nothing, so that its own server may call it.
  /// Source: Linux `fs/proc/fd.c`, `proc_fd_link`; `fs/fuse/dir.c`, `fuse_getattr`.
  /// - Returns: major and minor number, as ``MountTable/device(at:)`` gives them.
  /// - Throws: `EBADF` when the descriptor is not open, another error when this process may not look.
  public func fileSystem() throws(Errno) -> String {
    var (major, minor) = (CUnsignedInt(0), CUnsignedInt(0))
    try valueOrErrno(unsafe csystem_find_file_system(threadID, rawValue, &major, &minor))
    return "\(major):\(minor)"
  }

  /// Whether the descriptor leads to an eventfd.
  ///
  /// Copies nothing and asks nobody, as ``fileSystem()``; whatever it leads to, whoever holds that up cannot have the
  /// caller wait.
  /// Source: Linux `fs/proc/fd.c`, `proc_fd_link`; `fs/eventfd.c`, `do_eventfd`.
  /// - Throws: `EBADF` when the descriptor is not open, another error when this process may not look.
  public func isEventfd() throws(Errno) -> Bool {
    try valueOrErrno(csystem_is_eventfd(threadID, rawValue)) == 1
  }

  /// Which eventfd the descriptor leads to, for a process that is not hostile: one that puts something else in its place
  /// meanwhile, whose lock it holds, could have the caller wait.
  ///
  /// Copies nothing and asks the file system nothing, as ``fileSystem()``.
  /// Source: Linux `fs/eventfd.c`, `eventfd_show_fdinfo`, since 5.2.
  /// - Returns: a number that no other eventfd has for as long as this one lives; nil for anything else.
  /// - Throws: `EBADF` when the descriptor is not open, another error when this process may not look.
  public func eventIdentity() throws(Errno) -> UInt64? {
    var identity: UInt64 = 0
    let found = unsafe csystem_identify_eventfd(threadID, rawValue, &identity)
    return try valueOrErrno(found) == 1 ? identity : nil
  }
}
