#if DEBUG
internal import Glibc
#endif

/// The order in which a thread may take locks: one of a higher rank inside one of a lower rank, never the other
/// way, and never two of the same rank.
///
/// Debug builds stop the program at the first lock that is taken out of order, whether or not it would have waited;
/// release builds check nothing.
public enum LockRank: Int, CaseIterable, Sendable {
  /// Which PHBs exist and what they serve.
  case hotplug
  /// Where events go: EASs, queues, which vCPU has which descriptor.
  case configuration
  /// Draining accesses that are under way.
  case drain
  /// The changes of backings that are on their way.
  case transitions
  /// The stores that have been found in written-back images.
  case ledger
  /// Which eventfds raise which lines, and where messages go.
  case injection
  /// Which contexts a thread has pushed.
  case context
  /// One END.
  case end
  /// One NVT.
  case target
  /// One thread's TIMA.
  case thread
  /// Who waits in `poll` for one vCPU.
  case waiters
}

/// Checks the order of locks, thread by thread.
public enum LockOrder {
  #if DEBUG
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    let result = unsafe pthread_key_create(&key, nil)
    precondition(result == 0, "no room for the order of locks")
    return key
  }()

  private static var held: Int {
    get { unsafe Int(bitPattern: pthread_getspecific(key)) }
    set { _ = unsafe pthread_setspecific(key, UnsafeRawPointer(bitPattern: newValue)) }
  }
  #endif

  /// Notes that a lock is about to be taken.
  /// - Parameter rank: its rank.
  @inlinable
  public static func take(_ rank: LockRank) {
    #if DEBUG
    note(rank)
    #endif
  }

  /// Notes that a lock has been released.
  /// - Parameter rank: its rank.
  @inlinable
  public static func release(_ rank: LockRank) {
    #if DEBUG
    forget(rank)
    #endif
  }

  #if DEBUG
  @usableFromInline
  static func note(_ rank: LockRank) {
    let held = held
    precondition(
      held < 1 << rank.rawValue, "lock order: \(rank) is taken inside \(ranks(held))")
    self.held = held | 1 << rank.rawValue
  }

  @usableFromInline
  static func forget(_ rank: LockRank) { held &= ~(1 << rank.rawValue) }

  private static func ranks(_ held: Int) -> [LockRank] {
    LockRank.allCases.filter { held & 1 << $0.rawValue != 0 }
  }
  #endif
}
