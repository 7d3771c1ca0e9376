import PagedDevice
import XIVEModel

@testable import XIVEDevice

/// A page of the device as consumers have it mapped: what the kernel would do, without the kernel.
struct MappedPage {
  let rig: Rig
  let offset: UInt64
  /// What the page shows.
  private(set) var bytes: [UInt8]

  /// Maps a page and touches it.
  init(_ rig: Rig, _ offset: UInt64) throws {
    self.rig = rig
    self.offset = offset
    bytes = try rig.image(offset)
  }

  /// A store by a consumer; the device does not see it yet.
  mutating func store(_ value: UInt64, slot: Int) { bytes.setSlot(slot, value) }

  /// The kernel writes the page back, as `msync` and the tick make it do.
  func writeBack() { rig.writeBack(bytes, at: offset) }

  /// A store that is delivered at once.
  mutating func storeAndWriteBack(_ value: UInt64, slot: Int) {
    store(value, slot: slot)
    writeBack()
  }

  /// Takes bytes that the device has changed.
  mutating func deliver(_ update: Update) {
    guard (offset..<offset + 4_096).contains(update.offset) else { return }
    let start = Int(update.offset - offset)
    bytes.replaceSubrange(start..<start + update.bytes.count, with: update.bytes)
  }

  /// Takes everything that the device has changed.
  @discardableResult
  mutating func deliverAll() -> [Update] {
    let updates = rig.updates()
    for update in updates { deliver(update) }
    return updates
  }
}

extension Rig {
  /// A mapped management page of source 1.
  func managementPage(_ window: ESBWindow = .esb) throws -> MappedPage {
    try MappedPage(self, offset(1, .management, window))
  }

  /// What stores to slots of a management page, in this order, do to a source.
  /// - Returns: its PQ, and how many events were forwarded.
  func expected(after slots: [Int], from pq: PQ) -> (pq: PQ, events: UInt64) {
    var state = SourceState(rawValue: pq.rawValue)
    var events: UInt64 = 0
    for slot in slots {
      let operation = ESBOperation.store(at: UInt64(slot) * 8, of: .management)
      guard let event = device.engine.event(for: operation) else { continue }
      if state.perform(event).forwards { events += 1 }
    }
    return (state.pq, events)
  }
}
