import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// What may happen to one mapped page, drawn at random, with what must come of it.
private struct RandomPage {
  /// Where stores go: few slots, so that they meet; none in the PQ window.
  static let slots = [0, 1, 0x400 / 8, 0xc00 / 8, 0xd00 / 8, 503, 504, 511]
  static let page: UInt64 = 1 << 40 | 0x1000
  static let tail: PageImage.Tail = .init { UInt64($0) &* 0x0101_0101 }

  let ledger = WriteBackLedger()
  var random: SplitMix64
  /// The values that stores may have; none is what the page shows by itself.
  let values: [UInt64]
  /// What the page shows, in the machine's byte order.
  var memory: [UInt64] = (0..<512).map { Self.served($0) }
  /// The slots that were stored to since the page was last written back.
  var stored: Set<Int> = []
  /// Of these, the ones that show something that they did not show before.
  var fresh: [Int: UInt64] = [:]
  /// What the device has seen in slots and not completely put back, and in which write-back: the same value
  /// once more may coalesce with the one before it.
  var seen: [Int: (value: UInt64, writeBack: Int)] = [:]
  var writeBackCount = 0
  var failures: [String] = []

  static func served(_ slot: Int) -> UInt64 {
    switch slot {
    case 256..<384: 2
    case 504...: tail[slot - 504]
    default: .max
    }
  }

  init(seed: UInt64, values: [UInt64]) {
    random = SplitMix64(seed: seed)
    self.values = values
  }

  mutating func store() {
    let slot = Self.slots[Int(random.next() % 8)]
    // Without a list every value is a new one.
    let value =
      values.isEmpty ? random.next() | 1 : values[Int(random.next() % UInt64(values.count))]
    if memory[slot] != value && seen[slot]?.value != value { fresh[slot] = value }
    memory[slot] = value
    stored.insert(slot)
  }

  /// The kernel writes back dirty pages only; each difference is a store, and nothing else is.
  mutating func writeBack() {
    guard !stored.isEmpty else { return }
    let found = ledger.stores(
      in: unsafe memory.span.bytes, at: .init(offset: Self.page, generation: 1), tail: Self.tail,
      isTrigger: false,
      since: ledger.round)
    if found != found.sorted() || Set(found).count != found.count {
      failures.append("order of \(found)")
    }
    if !stored.isSuperset(of: found) {
      failures.append("\(found) where only \(stored) were stored")
    }
    let visible = fresh.filter { memory[$0.key] == $0.value }.keys
    if !Set(found).isSuperset(of: visible) { failures.append("\(visible) lost, found \(found)") }
    writeBackCount += 1
    for slot in Self.slots where memory[slot] != Self.served(slot) {
      seen[slot] = (memory[slot], writeBackCount)
    }
    stored = []
    fresh = [:]
  }

  /// Puts back what is left, while consumers go on.
  mutating func putBack(isDisturbed: Bool) {
    let start = writeBackCount
    ledger.restore { update in
      if isDisturbed { disturb() }
      let slot = Int(update.offset - Self.page) / 8
      let bytes = Update(update).bytes
      let value = bytes.slot(0).bigEndian
      if bytes.count != 8 || value != Self.served(slot) {
        failures.append("slot \(slot) put back as \(value)")
      }
      memory[slot] = value
      if isDisturbed { disturb() }
    }
    seen = seen.filter { $0.value.writeBack > start }
  }

  mutating func disturb() {
    if random.next() % 4 == 0 { store() }
    if random.next() % 4 == 0 { writeBack() }
  }

  /// Stops storing, and looks whether everything gets back to what was served.
  mutating func settle() {
    writeBack()
    for _ in 0..<2 { putBack(isDisturbed: false) }
    let left = memory.indices.filter { memory[$0] != Self.served($0) }
    if !left.isEmpty { failures.append("\(left) never put back") }
  }
}

@Suite("Write-back against a model of the page")
struct WriteBackModelTests {
  private static let lists: [[UInt64]] = [[], [0x10], [0x10, 0x20], [0x10, 0x20, 0x30, 0x40]]

  @Test(
    "No store is lost, invented, or turned into another, however stores and deliveries interleave",
    arguments: lists)
  func interleavings(values: [UInt64]) {
    var seeds = Seed.generator(stream: 72)
    for round in 0..<50 {
      var page = RandomPage(seed: seeds.next(), values: values)
      for _ in 0..<60 {
        switch page.random.next() % 4 {
        case 0, 1: page.store()
        case 2: page.writeBack()
        default: page.putBack(isDisturbed: true)
        }
      }
      page.settle()
      #expect(page.failures == [], "page \(round); \(Seed.comment)")
    }
  }

  @Test(
    "One slot, one store a write-back: none is lost, whatever is put back when", arguments: lists)
  func oneSlot(values: [UInt64]) {
    for slot in [0, 200, 384, 511] {
      var random = Seed.generator(stream: 71)
      var memory = (0..<512).map { RandomPage.served($0) }
      let ledger = WriteBackLedger()
      var found = 0
      for _ in 0..<500 {
        memory[slot] = values.randomElement(using: &random) ?? random.next() | 1
        if random.next() & 1 == 0 { ledger.restore { _ in memory[slot] = RandomPage.served(slot) } }
        let image = memory.flatMap(\.memoryBytes)
        found +=
          ledger.stores(
            in: unsafe image.span.bytes, at: .init(offset: 0, generation: 1), tail: RandomPage.tail,
            isTrigger: false,
            since: ledger.round
          ).count
        if random.next() & 1 == 0 { ledger.restore { _ in memory[slot] = RandomPage.served(slot) } }
      }
      // Only a first store that is put back unseen has nothing to be told by; here there is none.
      #expect(found == 500, "slot \(slot); \(Seed.comment)")
    }
  }
}
