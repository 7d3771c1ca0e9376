public import Synchronization

/// A fixed number of atomic values, allocated together.
@safe
public final class AtomicTable<Value: AtomicRepresentable & Sendable>: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`, every cell is atomic.
  @usableFromInline let cells: UnsafeMutableBufferPointer<Atomic<Value>>

  /// Creates a table whose values are all the same.
  /// - Parameters:
  ///   - count: number of values.
  ///   - value: what each of them is.
  @inlinable
  public init(count: Int, repeating value: Value) where Value: Copyable {
    unsafe cells = .allocate(capacity: count)
    for index in 0..<count { unsafe cells.initializeElement(at: index, to: Atomic(value)) }
  }

  deinit {
    unsafe cells.deinitialize()
    unsafe cells.deallocate()
  }

  /// The number of values.
  @inlinable public var count: Int { unsafe cells.count }

  /// One of the values, to be read and changed where it lies.
  @inlinable
  public subscript(index: Int) -> Atomic<Value> {
    _read { yield unsafe cells[index] }
  }
}
