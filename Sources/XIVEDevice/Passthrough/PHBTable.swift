internal import Synchronization
internal import XIVEModel

/// The PHBs of a device, by index.
///
/// A look is one atomic load; what it finds lives at least until the gate that the looker is in has been
/// drained. Adding and removing: one thread at a time.
@safe
final class PHBTable: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): a slot holds the address of a PHB that this table has retained. It is
  // released by `remove` after the slot was emptied and the gate drained, or when the table goes.
  private let slots = AtomicTable<UInt>(count: PHBIndex.maximumCount, repeating: 0)

  deinit {
    for slot in 0..<slots.count { unsafe Self.phb(slots[slot].load(ordering: .relaxed))?.release() }
  }

  /// The PHB of an index. To be called inside the gate, or by the thread that adds and removes.
  subscript(index: PHBIndex) -> PHB? {
    let bits = slots[Int(index.rawValue)].load(ordering: .sequentiallyConsistent)
    return unsafe Self.phb(bits)?.takeUnretainedValue()
  }

  func add(_ phb: PHB) {
    let bits = unsafe UInt(bitPattern: Unmanaged.passRetained(phb).toOpaque())
    slots[Int(phb.index.rawValue)].store(bits, ordering: .sequentiallyConsistent)
  }

  /// Empties a slot and lets go of the PHB once nobody can be looking at it.
  func remove(_ index: PHBIndex, afterDraining gate: borrowing AccessGate) {
    let bits = slots[Int(index.rawValue)].exchange(0, ordering: .sequentiallyConsistent)
    gate.drain()
    unsafe Self.phb(bits)?.release()
  }

  /// The first PHB from an index on.
  func first(from index: Int) -> PHBIndex? {
    (min(index, slots.count)..<slots.count)
      .first { slots[$0].load(ordering: .relaxed) != 0 }
      .flatMap { PHBIndex(rawValue: UInt16($0)) }
  }

  private static func phb(_ bits: UInt) -> Unmanaged<PHB>? {
    guard let pointer = unsafe UnsafeRawPointer(bitPattern: bits) else { return nil }
    return unsafe Unmanaged.fromOpaque(pointer)
  }
}
