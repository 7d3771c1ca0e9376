public import Synchronization

/// A mutex that knows its place in the order of locks.
public struct OrderedMutex<Value>: ~Copyable, Sendable {
  @usableFromInline let mutex: Mutex<Value>
  @usableFromInline let rank: LockRank

  /// Creates a mutex.
  /// - Parameters:
  ///   - rank: its place in the order.
  ///   - value: what it guards.
  @inlinable
  public init(_ rank: LockRank, _ value: sending Value) {
    mutex = Mutex(value)
    self.rank = rank
  }

  /// Calls a function with the value, while no other thread has it.
  /// - Parameter body: the function; may take locks of higher ranks alone.
  /// - Returns: what it returns.
  /// - Throws: what it throws.
  @inlinable
  public func withLock<Result, Failure>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    LockOrder.take(rank)
    defer { LockOrder.release(rank) }
    return try mutex.withLock(body)
  }
}
