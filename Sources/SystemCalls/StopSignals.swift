internal import CSystemCalls
internal import Glibc

/// The signals that end a server in good order.
public enum StopSignals {
  /// Blocks SIGINT and SIGTERM in this thread and all that it starts; ignores SIGPIPE and SIGHUP.
  public static func block() { csystem_block_stop_signals() }

  /// Waits for SIGINT or SIGTERM.
  /// - Parameter event: ends the wait as well.
  /// - Returns: the signal, or nil when the event ended the wait.
  public static func wait(or event: borrowing Event) -> CInt? {
    let signal = csystem_wait_stop_signal(event.rawValue)
    return signal > 0 ? signal : nil
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
