internal import CXIVE
internal import PagedDevice
internal import XIVEModel

/// The guest's RAM, as far as the VMM has shared it: where event queues may lie.
struct GuestMemory: Sendable {
  /// A part of it.
  struct Slot: Sendable {
    let guestAddress: UInt64
    let byteCount: UInt64
    /// Where in the caller's memfd it begins.
    let offset: UInt64
    let memory: any SharedMemory

    var range: Range<UInt64> { guestAddress..<guestAddress + byteCount }
  }

  private var slots: [Slot?] = Array(repeating: nil, count: Int(XIVE_MEMORY_SLOTS))

  subscript(slot: Int) -> Slot? {
    get { slots[slot] }
    set { slots[slot] = newValue }
  }

  /// Whether a range shares addresses with a slot.
  func overlaps(_ range: Range<UInt64>) -> Bool {
    slots.contains { $0?.range.overlaps(range) == true }
  }

  /// The memory of a queue that lies in one slot; nil when it does not.
  func queue(at address: UInt64, byteCount: UInt64) -> EventQueueMemory? {
    let (end, overflow) = address.addingReportingOverflow(byteCount)
    guard !overflow,
      let slot = slots.lazy.compactMap({ $0 })
        .first(where: { $0.range.lowerBound <= address && end <= $0.range.upperBound })
    else { return nil }
    let start = Int(address - slot.guestAddress)
    let bytes = unsafe UnsafeMutableRawBufferPointer(
      rebasing: slot.memory.bytes[start..<start + Int(byteCount)])
    return unsafe EventQueueMemory(unsafeMemory: bytes, owner: slot.memory)
  }
}
