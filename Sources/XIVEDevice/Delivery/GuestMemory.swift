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

  /// The most bytes that all slots may have together.
  ///
  /// All of them are mapped, and a memfd takes no memory for what nobody touches: without a limit a caller could leave
  /// the server no addresses for anything else.
  static let limit: UInt64 = 1 << 44

  /// Bytes that the slots have, or that are being mapped for one.
  private(set) var byteCount: UInt64 = 0

  private var slots: [Slot?] = Array(repeating: nil, count: Int(XIVE_MEMORY_SLOTS))

  subscript(slot: Int) -> Slot? {
    get { slots[slot] }
    set { slots[slot] = newValue }
  }

  /// Takes a part of the limit, before anything is mapped.
  /// - Returns: false when it is more than is left.
  mutating func reserve(_ byteCount: UInt64) -> Bool {
    guard byteCount <= Self.limit - self.byteCount else { return false }
    self.byteCount += byteCount
    return true
  }

  /// Gives a part of the limit back.
  mutating func release(_ byteCount: UInt64) { self.byteCount -= byteCount }

  /// Takes all slots away; what is being mapped keeps its part of the limit.
  mutating func removeAll() {
    for index in slots.indices {
      if let slot = slots[index] { release(slot.byteCount) }
      slots[index] = nil
    }
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
