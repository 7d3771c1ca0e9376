internal import PagedDevice
internal import Synchronization

/// The mailboxes of a device file, which all request threads know of and one of them, the leader, looks into.
///
/// Thread rule: any thread, but for the leader's part, which belongs to whoever has the baton.
final class Mailboxes: @unchecked Sendable {
  // SAFETY (@unchecked Sendable): the variables are touched by the holder of the baton alone.

  /// Guards the list alone.
  private let list = Mutex<[Mailbox]>([])
  /// Counts the changes of the list.
  private let version = Atomic<UInt64>(0)
  /// Which pages only the kernel can access exactly.
  private let cachedPages: CachedPages

  /// The list as the leader has last seen it, and what it was then.
  private var watched: [Mailbox] = []
  private var watchedVersion: UInt64 = 0
  private var isAwake = false

  init(_ cachedPages: CachedPages) { self.cachedPages = cachedPages }

  /// `XIVE_MAX_MAILBOXES`: the leader looks into each.
  static let maximumCount = 64

  /// Adds a mailbox, of which the leader hears when it looks next.
  /// - Throws: ``/PagedDevice/DeviceError/outOfMemory`` when there are too many.
  func add(_ mailbox: Mailbox) throws(DeviceError) {
    // The leader finds those that were left when it is awake next; whoever needs the room does not wait for that.
    if list.withLock({ $0.count >= Self.maximumCount }) { close(where: \.isLeft) }
    try list.withLock { list throws(DeviceError) in
      guard list.count < Self.maximumCount else { throw .outOfMemory }
      list.append(mailbox)
    }
    version.wrappingAdd(1, ordering: .releasing)
  }

  /// Ends all mailboxes of a descriptor: when this returns nothing more is performed for it.
  func close(_ opener: Opener) { close { $0.opener == opener } }

  private func close(where isMeant: (Mailbox) -> Bool) {
    let closed = list.withLock { list in
      let meant = list.filter(isMeant)
      if !meant.isEmpty { list.removeAll(where: isMeant) }
      return meant
    }
    guard !closed.isEmpty else { return }
    version.wrappingAdd(1, ordering: .releasing)
    // Outside the lock: an access that is under way is waited for.
    for mailbox in closed { mailbox.close() }
  }

  // MARK: - The leader's part

  /// Says that what is posted will be found soon: the leader does not sleep.
  func wake() {
    guard !isAwake else { return }
    isAwake = true
    for mailbox in watched { mailbox.setAwake(true) }
  }

  /// Says that nobody looks any more. What was posted before is found by one more look; who posts later sees this.
  /// - Returns: whether somebody did look, and that one more look is due.
  @discardableResult
  func rest() -> Bool {
    guard isAwake else { return false }
    isAwake = false
    for mailbox in watched { mailbox.setAwake(false) }
    return true
  }

  /// Performs what is posted: in each mailbox, each slot once.
  /// - Returns: whether anything was.
  func serve(by worker: Worker) -> Bool {
    if version.load(ordering: .acquiring) != watchedVersion { refresh() }
    var hasServed = false
    for mailbox in watched {
      let posted = mailbox.take()
      guard posted != 0 else { continue }
      serve(posted & ~Mailbox.left, of: mailbox, by: worker)
      hasServed = true
      if posted & Mailbox.left != 0 { close { $0 === mailbox } }
    }
    return hasServed
  }

  private func serve(_ posted: UInt64, of mailbox: Mailbox, by worker: Worker) {
    var rest = posted
    mailbox.whileOpen {
      while rest != 0 {
        if let post = mailbox.takePost(rest.trailingZeroBitCount) {
          worker.perform(post, of: mailbox, unless: cachedPages)
        }
        rest &= rest - 1
      }
    }
  }

  private func refresh() {
    // First: a change that comes in between is seen again the next time.
    watchedVersion = version.load(ordering: .acquiring)
    watched = list.withLock { $0 }
    if isAwake { for mailbox in watched { mailbox.setAwake(true) } }
  }
}
