internal import Synchronization

/// A fixed number of atomic values, allocated together.
@safe
final class AtomicTable<Value: AtomicRepresentable & Sendable>: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`, every cell is atomic.
  private let cells: UnsafeMutableBufferPointer<Atomic<Value>>

  init(count: Int, repeating value: Value) where Value: Copyable {
    unsafe cells = .allocate(capacity: count)
    for index in 0..<count { unsafe cells.initializeElement(at: index, to: Atomic(value)) }
  }

  deinit {
    unsafe cells.deinitialize()
    unsafe cells.deallocate()
  }

  var count: Int { unsafe cells.count }

  subscript(index: Int) -> Atomic<Value> {
    _read { yield unsafe cells[index] }
  }
}
