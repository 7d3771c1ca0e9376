internal import CSystemCalls
internal import Glibc
public import SystemPackage

/// The signals that end a server in good order.
public enum StopSignals {
  /// Blocks SIGINT and SIGTERM in this thread and all that it starts; ignores SIGPIPE and SIGHUP.
  public static func block() { csystem_block_stop_signals() }

  /// Waits for SIGINT or SIGTERM.
  /// - Parameters:
  ///   - event: ends the wait as well.
  ///   - isMounted: asked at first and after each change of the mounts; false ends the wait.
  /// - Returns: the signal, or nil when something else ended the wait.
  public static func wait(or event: borrowing Event, while isMounted: () -> Bool = { true })
    -> CInt?
  {
    guard let table = try? OwnedDescriptor(opening: MountTable.path, []) else {
      return wait(event.rawValue, -1, isMounted)
    }
    defer { extendLifetime(table) }
    return wait(event.rawValue, table.rawValue, isMounted)
  }

  private static func wait(_ event: CInt, _ mounts: CInt, _ isMounted: () -> Bool) -> CInt? {
    while isMounted() {
      let result = csystem_wait_stop_signal(event, mounts)
      if result != -EAGAIN { return result > 0 ? result : nil }
    }
    return nil
  }

  /// Has this process told to stop, by SIGTERM, when the process that started it ends.
  /// - Throws: the error of `pidfd_open` or of starting the thread that watches.
  public static func raiseWhenParentEnds() throws(Errno) {
    let parent = try valueOrErrno(csystem_open_parent())
    let watcher = ThreadGroup()
    try watcher.start("parent") {
      while csystem_wait_readable(parent, -1, -1) == 0 {}
      kill(getpid(), SIGTERM)
    }
    watcher.detach()
  }

  /// Whether one of them has arrived and waits to be taken; needs ``block()``.
  public static var isPending: Bool {
    var set = sigset_t()
    unsafe sigpending(&set)
    return unsafe sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1
  }
}

/// systemd's readiness protocol; does nothing where no service manager listens.
public enum ServiceManager {
  /// Sends a state line.
  /// - Parameter state: such as `READY=1`.
  public static func notify(_ state: String) { _ = unsafe csystem_notify_service_manager(state) }
}
