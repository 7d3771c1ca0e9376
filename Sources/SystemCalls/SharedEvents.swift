internal import CSystemCalls
public import SystemPackage

/// An eventfd that another process has as well, which may be hostile.
///
/// Its flags belong to both: they are left as they are, and no call waits, whether it is a blocking one or not.
extension OwnedDescriptor {
  /// Which eventfd this is, as ``ForeignDescriptor/eventIdentity()`` says it of another process's descriptor.
  /// - Returns: its number; nil for anything else.
  /// - Throws: an error when `/proc` cannot be read.
  public func eventIdentity() throws(Errno) -> UInt64? {
    var identity: UInt64 = 0
    return try valueOrErrno(unsafe csystem_identify_eventfd(0, rawValue, &identity)) == 1
      ? identity : nil
  }

  /// Takes what the eventfd counts, or one of it for `EFD_SEMAPHORE`.
  /// - Returns: whether there was anything.
  public func takeEvents() -> Bool { csystem_take_eventfd(rawValue) == 1 }
}

/// Adds to eventfds that others have as well, and never waits for them.
///
/// A `write` waits while a blocking eventfd is full, and whether it is full may change between a look and the write. So the
/// kernel is made to add, as it does when an asynchronous request ends, which never waits: the request reads nothing.
/// A counter that is seen full stays so; one that another fills after the look may go one higher, to where `poll` says
/// `POLLERR`, and a read takes it to zero from there as well.
///
/// Where the system has no such requests, or no more of them (`fs.aio-max-nr`), it is a look and a write: then whoever fills a
/// blocking eventfd in between has the thread wait until somebody reads it. Linux offers nothing better.
/// Source: Linux `fs/aio.c`, `iocb_put`; `fs/eventfd.c`, `eventfd_signal_mask`.
///
/// Thread rule: any thread, several at once.
public struct EventRaiser: ~Copyable, Sendable {
  private let raiser: csystem_raiser

  /// Prepares.
  /// - Throws: the error of opening `/dev/null`.
  public init() throws(Errno) {
    var raiser = csystem_raiser()
    try valueOrErrno(unsafe csystem_open_raiser(&raiser))
    self.raiser = raiser
  }

  deinit {
    var raiser = raiser
    unsafe csystem_close_raiser(&raiser)
  }

  /// Adds one, unless the counter is full.
  /// - Parameter event: an eventfd.
  public func raise(_ event: borrowing OwnedDescriptor) {
    var raiser = raiser
    unsafe csystem_raise_eventfd(&raiser, event.rawValue)
  }

  /// Whether the kernel adds, so that nothing can make a thread wait.
  public var neverWaits: Bool { raiser.context != 0 }
}

/// How many descriptors this process may have.
public enum DescriptorLimit {
  /// Raises the soft limit to the hard one, for a server that takes its callers' descriptors.
  ///
  /// Children inherit it; nothing here uses `select`, which is why the soft limit is low.
  /// - Throws: the error of `setrlimit`.
  public static func raise() throws(Errno) { try valueOrErrno(csystem_raise_descriptor_limit()) }
}
