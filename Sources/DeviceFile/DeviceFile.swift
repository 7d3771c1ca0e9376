internal import CFuse3
public import Logging
public import PagedDevice
public import SystemCalls
internal import SystemPackage

/// A paged device, served as one file.
///
/// The file is mounted over a regular file: its path *is* the device. Consumers of any kind open, map, load
/// from, store to and control it. Page fills and accesses are answered on request threads; what has changed
/// goes to the kernel on a thread of its own.
///
/// Thread rule: the methods belong to the thread that created it, which must not be one that serves requests.
public final class DeviceFile {
  /// How a device is served.
  public struct Options: Sendable {
    /// The name in the mount table: type `fuse.NAME`.
    public var name = "device"
    /// Time between two looks for stores to mappings, in milliseconds; 0: only `msync` delivers them.
    public var tickMilliseconds = 1
    /// Threads that serve requests: all but one may wait for others at once; fewer than 2 are taken for 2.
    public var threadCount = 4
    /// Looks for the next request before the request loop sleeps, where they pay; 0 never looks.
    public var spinCount = MonotonicClock.processorCount > 1 ? 200 : 0
    /// Frees consumers when this process is killed at a bad moment; nil: they may then hang.
    public var watchdog: Watchdog?

    /// Creates the usual options.
    public init() {}
  }

  /// The path of the file, without links.
  public let path: String
  private let session: Session
  private let loop: RequestLoop
  private let notifier: Notifier
  private let listener: EventListener
  private let ticker: Ticker
  /// Kept to the end: it goes with its last reference.
  private let watchdog: Watchdog?
  private let requestThreads = ThreadGroup()
  private let eventThread = ThreadGroup()
  private let otherThreads = ThreadGroup()

  /// Mounts a device and starts to serve it; when this returns the file can be used.
  /// - Parameters:
  ///   - device: what to serve.
  ///   - path: a regular file, created when missing.
  ///   - options: how.
  ///   - logger: told of a killed server's mount that was cleaned up.
  /// - Throws: ``DeviceFileError``, with nothing left behind.
  public init(
    serving device: any PagedDevice, at path: String, options: Options = Options(), logger: Logger
  ) throws(DeviceFileError) {
    let mountPoint = try MountPoint(path, type: options.name)
    if mountPoint.wasStale {
      logger.notice(
        "cleaned up the stale mount of a killed server", metadata: ["path": "\(mountPoint.path)"])
    }
    self.path = mountPoint.path
    watchdog = options.watchdog
    notifier = try Notifier()
    listener = try EventListener()
    device.attach(to: notifier)
    session = try Session(
      SessionContext(device, notifier, listener, mountPoint.underlying),
      at: mountPoint.path, name: options.name)
    loop = try RequestLoop(session, device, notifier, options)
    do {
      try OwnedDescriptor.makeNonblocking(unsafe fuse_session_fd(session.pointer))
      try eventThread.start("events") { [listener] in listener.run() }
      for index in 0..<loop.threadCount {
        try requestThreads.start("request-\(index)") { [loop] in loop.run() }
      }
      try otherThreads.start("notifier") { [notifier, session] in notifier.run(session, device) }
      // This open waits for the first request to be served: after it the file can be used.
      ticker = try Ticker(mountPoint.path, milliseconds: options.tickMilliseconds)
      try watchdog?.arm(mountPoint.path)
      // Last: whoever starts it has to stop it.
      try otherThreads.start("ticker") { [ticker] in ticker.run() }
    } catch {
      listener.stop()
      eventThread.join()
      notifier.stop()
      otherThreads.join()
      loop.stop()
      requestThreads.join()
      session.unmount()
      throw .system(mountPoint.path, error)
    }
  }

  /// Serves until SIGINT, SIGTERM, or until somebody unmounts the file.
  ///
  /// The signals must be blocked (``/SystemCalls/StopSignals/block()``) before the file is served.
  /// - Returns: the signal, or nil when the file was unmounted.
  public func waitForStop() -> Int32? {
    StopSignals.wait(or: loop.ended, while: { session.isMounted })
  }

  /// Delivers what has been stored to mappings and raised by eventfds, ends all threads and unmounts.
  ///
  /// Consumers that still have the file get `ENOTCONN`, and `SIGBUS` on pages that they had not touched.
  /// Pages that they have mapped stay as they were, and stores to those no longer reach anybody.
  public func stop() {
    // In this order: write-back and notifications wait for requests to be served, and what callers have raised changes
    // what the notifier tells.
    ticker.stop()
    listener.stop()
    eventThread.join()
    notifier.stop()
    otherThreads.join()
    loop.stop()
    requestThreads.join()
    session.unmount()
  }
}
