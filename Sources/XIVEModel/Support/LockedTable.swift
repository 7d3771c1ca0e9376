public import Synchronization

/// A fixed number of values, each behind a lock of its own and in cache lines of its own.
///
/// No object: whoever uses it would count references to it, on a line that all threads write.
@safe
public struct LockedTable<Value: Sendable>: ~Copyable, @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`; every value is guarded by its mutex.
  @usableFromInline let memory: UnsafeMutableRawPointer
  @usableFromInline let stride: Int
  @usableFromInline let rank: LockRank
  /// The number of values.
  public let count: Int

  /// Creates a table whose values are all the same.
  /// - Parameters:
  ///   - rank: the place of its locks in the order; a thread holds one of them at a time.
  ///   - count: number of values.
  ///   - value: what each of them is.
  @inlinable
  public init(_ rank: LockRank, count: Int, repeating value: Value) {
    let lineByteCount = 64
    let size = MemoryLayout<Mutex<Value>>.size
    stride = (size + lineByteCount - 1) / lineByteCount * lineByteCount
    self.rank = rank
    self.count = count
    unsafe memory = .allocate(byteCount: max(count, 1) * stride, alignment: lineByteCount)
    for index in 0..<count {
      unsafe (memory + index * stride).bindMemory(to: Mutex<Value>.self, capacity: 1)
        .initialize(to: Mutex(value))
    }
  }

  @inlinable
  deinit {
    for index in 0..<count { unsafe mutex(index).deinitialize(count: 1) }
    unsafe memory.deallocate()
  }

  /// Calls a function with one of the values, while no other thread has it.
  /// - Parameters:
  ///   - index: which of them.
  ///   - body: the function; may take locks of higher ranks alone.
  /// - Returns: what it returns.
  @inlinable
  public func withLock<Result>(_ index: Int, _ body: (inout Value) -> Result) -> Result {
    LockOrder.take(rank)
    defer { LockOrder.release(rank) }
    return unsafe mutex(index).pointee.withLock { value in body(&value) }
  }

  @unsafe @inlinable
  func mutex(_ index: Int) -> UnsafeMutablePointer<Mutex<Value>> {
    precondition(index >= 0 && index < count, "number beyond the table")
    return unsafe (memory + index * stride).assumingMemoryBound(to: Mutex<Value>.self)
  }
}
