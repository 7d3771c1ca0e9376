internal import CFuse3
internal import CSystemCalls
internal import Glibc
internal import PagedDevice
internal import Synchronization

/// Tells the kernel that those who wait in `poll` for a descriptor shall ask again.
///
/// Devices keep it, in their wakers, for longer than the file is served: it holds the session's descriptor by its
/// number alone, and uses it only before ``close()``.
/// Source: Linux `fs/fuse/file.c`, `fuse_file_poll`, `fuse_notify_poll_wakeup`: the kernel finds the waiting
/// descriptor by the number that it gave it, takes no page's lock, and waits for nobody.
///
/// Thread rule: wakers from any thread; ``close()`` by the owner, once.
final class PollNotifications: Sendable {
  private let descriptor: CInt
  /// How many threads are writing, and ``closed`` once nobody may begin to.
  private let users = Atomic<UInt64>(0)

  private static let closed: UInt64 = 1 << 63

  /// Takes the number of a session's descriptor, which stays open until ``close()`` has returned.
  init(on descriptor: CInt) { self.descriptor = descriptor }

  /// Makes what wakes those who wait for one descriptor.
  /// - Parameter waiters: the kernel's number for it.
  /// - Returns: a waker that does not keep the session.
  func waker(for waiters: UInt64) -> PollWaker { PollWaker { self.wake(waiters) } }

  private func wake(_ waiters: UInt64) {
    // Counted before the look: whoever closes waits for those that were let through.
    let before = users.wrappingAdd(1, ordering: .acquiring).oldValue
    if before & Self.closed == 0 { send(fuse_notify_poll_wakeup_out(kh: waiters)) }
    users.wrappingSubtract(1, ordering: .releasing)
  }

  private func send(_ body: fuse_notify_poll_wakeup_out) {
    struct Notification {
      var header: fuse_out_header
      var body: fuse_notify_poll_wakeup_out
    }
    let header = fuse_out_header(
      len: UInt32(MemoryLayout<Notification>.size), error: Int32(FUSE_NOTIFY_POLL.rawValue),
      unique: 0)
    var message = Notification(header: header, body: body)
    unsafe withUnsafeMutableBytes(of: &message) { bytes in
      var part = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
      // It fails only when the file has been unmounted from outside: that wakes everybody.
      _ = unsafe csystem_writev(descriptor, &part, 1)
    }
  }

  /// Makes all wakers do nothing from here on; the descriptor may be closed then.
  func close() {
    var users = users.bitwiseOr(Self.closed, ordering: .acquiringAndReleasing).newValue
    // Each of them is in one system call that does not wait.
    while users != Self.closed {
      sched_yield()
      users = self.users.load(ordering: .acquiring)
    }
  }
}
