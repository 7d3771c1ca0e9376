internal import CSystemCalls
public import SystemPackage

/// A child process that keeps a killed server from hanging its consumers.
///
/// A server that is killed while one of its threads waits in a notification for a page fill cannot end: the
/// fill will never be answered, and the thread keeps the connection open. Everybody who touches the file then
/// waits for ever. The child sees the death and has the kernel end the connection.
///
/// Start it before the process grows: the child is a fork. Thread rule: belongs to the thread that starts it.
public final class Watchdog: Sendable {
  private let watchdog: csystem_watchdog

  /// Starts the child.
  /// - Throws: the error of `fork`, `pipe` or `pthread_create`.
  public init() throws(Errno) {
    var watchdog = csystem_watchdog()
    try valueOrErrno(unsafe csystem_start_watchdog(&watchdog))
    self.watchdog = watchdog
  }

  /// Tells the child which mount to watch.
  /// - Parameter path: the mount point, absolute and without links.
  /// - Throws: the error of looking at the mount.
  public func arm(_ path: String) throws(Errno) {
    var watchdog = watchdog
    try valueOrErrno(unsafe csystem_arm_watchdog(&watchdog, path))
  }

  deinit {
    var watchdog = watchdog
    unsafe csystem_end_watchdog(&watchdog)
  }
}
