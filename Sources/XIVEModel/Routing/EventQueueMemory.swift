internal import Synchronization

/// The guest memory that an event queue lies in.
///
/// An entry is one atomic 32-bit store, big-endian, released: whoever reads it has everything that came before, and
/// whoever is notified afterwards finds it.
/// Source: QEMU `hw/intc/xive.c`, `xive_end_enqueue`.
@safe
public struct EventQueueMemory: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): the owner keeps the memory alive; every access is atomic.
  private let entries: UnsafeMutablePointer<Atomic<UInt32>>
  /// The number of entries.
  public let count: Int
  private let owner: (any AnyObject & Sendable)?

  /// Lays a queue over memory.
  /// - Parameters:
  ///   - memory: entries of 4 bytes, aligned to 4; others may read and write it at any time.
  ///   - owner: lives as long as this value does; nil where the memory outlives it anyway.
  public init(
    unsafeMemory memory: UnsafeMutableRawBufferPointer, owner: (any AnyObject & Sendable)?
  ) {
    guard let base = memory.baseAddress, Int(bitPattern: base) % 4 == 0 else {
      preconditionFailure("memory for a queue must be aligned to 4 bytes")
    }
    count = memory.count / 4
    unsafe entries = base.bindMemory(to: Atomic<UInt32>.self, capacity: count)
    self.owner = owner
  }

  /// Writes one entry.
  func write(_ entry: UInt32, at index: Int) {
    precondition(index < count, "entry beyond the queue")
    unsafe entries[index].store(entry.bigEndian, ordering: .releasing)
  }
}
