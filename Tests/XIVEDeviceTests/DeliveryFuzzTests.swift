import CXIVE
import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// Random requests about delivery, most of them nearly right.
private struct Guest {
  var attacker: Attacker
  let memory = SharedBytes(byteCount: 4 * 65_536)

  /// Sends one request.
  /// - Returns: its group; 0 for a connection or its end.
  mutating func send(to rig: Rig) throws(DeviceError) -> UInt32 {
    let opener = attacker.opener()
    let route = attacker.pick(PayloadRoute.allCases)
    let number = attacker.number()
    switch attacker.below(14) {
    case 0:
      let attribute = attacker.below(4)
      let count = UInt32(truncatingIfNeeded: number)
      try rig.set(1, attribute, attribute == 1 ? 0 : count, route, by: opener)
      return 1
    case 1...4:
      let server = UInt32(truncatingIfNeeded: attacker.isRare() ? number : attacker.below(4))
      let value = xive_source_config(
        server, UInt32(5 + attacker.below(3)), 7, attacker.isRare() ? 1 : 0)
      try rig.set(3, attacker.isRare() ? number : attacker.below(6), value, route, by: opener)
      return 3
    case 5, 6:
      var eq = xive_eq(at: (4 + attacker.below(5)) << 16, UInt32(attacker.below(2)))
      if attacker.isRare() { eq.qshift = UInt32(attacker.below(20)) }
      if attacker.isRare() { eq.qaddr = number }
      if attacker.isRare() { eq.qindex = UInt32(truncatingIfNeeded: number) }
      let name = xive_eq_id(UInt32(attacker.below(4)), UInt32(5 + attacker.below(3)))
      try rig.set(4, name, eq, route, by: opener)
      return 4
    case 7:
      try rig.set(5, attacker.isRare() ? number : attacker.below(6), 0 as UInt64, route, by: opener)
      return 5
    case 8, 9:
      let size: UInt64 = attacker.pick([0, 65_536, 2 * 65_536, 4 * 65_536])
      var value = xive_memory(gpa: attacker.below(9) << 16, size: size, fd: 9, zero: 0, offset: 0)
      if attacker.isRare() { value.gpa = number }
      let slot = attacker.isRare() ? number : attacker.below(3)
      try rig.set(XIVE_GROUP_MEMORY, slot, value, route, by: opener, sharing: [9: memory])
      return XIVE_GROUP_MEMORY
    case 10, 11:
      try rig.set(
        XIVE_GROUP_END, attacker.isRare() ? number : attacker.below(32), end().structure, route,
        by: opener)
      return XIVE_GROUP_END
    case 12:
      let opener = Machine.opener(UInt32(attacker.below(5)))
      let server = attacker.isRare() ? number : attacker.below(5)
      try rig.connect(opener, to: server)?.completion()
    default: rig.device.closed(Machine.opener(UInt32(attacker.below(5))))?.completion()
    }
    return 0
  }

  /// Sets up the whole way of an event, which random requests seldom do, as far as what is there lets it, and sends one.
  func setUp(_ rig: Rig) {
    let part = xive_memory(gpa: 4 << 16, size: 4 * 65_536, fd: 9, zero: 0, offset: 0)
    try? rig.set(XIVE_GROUP_MEMORY, 0, part, .inline, by: Rig.writer, sharing: [9: memory])
    try? rig.connect(Machine.opener(0), to: 0)?.completion()
    try? rig.set(4, xive_eq_id(0, 6), xive_eq(at: 4 << 16, 1), .inline, by: Rig.writer)
    try? rig.set(3, 0, xive_source_config(0, 6, 7, 0), .inline, by: Rig.writer)
    rig.setPQ(0, .reset)
    try? rig.store(rig.offset(0, .trigger))
  }

  /// An END whose queue may be there.
  private mutating func end() -> END {
    var end = Machine.end(UInt32(attacker.below(4)), UInt32(attacker.below(8)))
    end.w0 ^= UInt32(truncatingIfNeeded: attacker.random.next()) & 0x1f00_0000
    if attacker.isRare() { end.w0 = UInt32(truncatingIfNeeded: attacker.random.next()) }
    (end.w2, end.w3) = (0, UInt32(attacker.below(9)) << 16)
    if attacker.isRare() { end.w1 = UInt32(truncatingIfNeeded: attacker.random.next()) }
    end.w4 = UInt32(attacker.below(40))
    if attacker.isRare() { end.w6 = UInt32(truncatingIfNeeded: attacker.random.next()) }
    return end
  }

  /// One event or access on the way of events.
  mutating func act(on rig: Rig) {
    let source = UInt32(attacker.below(6))
    switch attacker.below(4) {
    case 0:
      rig.setPQ(source, .reset)
      try? rig.store(rig.offset(source, .trigger))
    case 1: _ = try? rig.load(Region.end.start + attacker.below(64) << 12 + attacker.below(512) * 8)
    default:
      let size: UInt64 = attacker.pick([1, 2, 4, 8])
      let page = rig.tima(UInt32(attacker.below(4)), attacker.pick(TIMAView.allCases))
      let special: [UInt64] = [0x10, 0x11, 0x18, 0x31, 0x38, 0x810, 0x812, 0x818, 0x828, 0x830]
      let offset = attacker.isRare() ? attacker.below(4_096) : attacker.pick(special)
      let address = page + offset & ~(size - 1)
      if attacker.below(2) == 0 {
        _ = try? rig.load(address, byteCount: Int(size))
      } else {
        try? rig.store(address, attacker.bytes(Int(size)))
      }
    }
  }
}

@Suite("Random requests about delivery")
struct DeliveryFuzzTests {
  @Test("A refused one changes nothing, and what the tables say of each other stays true")
  func requests() throws {
    let rig = Rig(sources: 6, existing: 5, servers: 4)
    var guest = Guest(attacker: Attacker(stream: 96))
    var taken: Set<UInt32> = []
    for index in 0..<fuzzIterations {
      if index.isMultiple(of: 50) { guest.setUp(rig) }
      let before = DeliverySnapshot(rig)
      do {
        taken.insert(try guest.send(to: rig))
      } catch {
        let isSame = DeliverySnapshot(rig) == before
        #expect(isSame, "request \(index) \(error); \(Seed.comment)")
      }
      #expect(rig.deliveryAgrees, "request \(index); \(Seed.comment)")
      for _ in 0..<3 { guest.act(on: rig) }
    }
    #expect(
      taken == [0, 1, 3, 4, 5, XIVE_GROUP_MEMORY, XIVE_GROUP_END], "\(Seed.comment)")
    #expect(rig.device.router.counts.entries > 0, "\(Seed.comment)")
  }
}

extension Rig {
  /// Whether each END's number of sources is what the sources say, each queue lies in memory, each server that is
  /// connected is one descriptor's, and END pages show what is true.
  fileprivate var deliveryAgrees: Bool {
    let router = device.router
    var counts: [ENDIndex: Int] = [:]
    for source in 0..<device.configuration.sourceCount {
      let eas = router.eas(of: LISN(rawValue: source))
      if eas.isValid, !eas.isMasked { counts[eas.end, default: 0] += 1 }
    }
    let state = device.delivery.withLock { $0 }
    guard state.sourceCounts.filter({ $0.value != 0 }) == counts else { return false }
    guard Set(state.servers.values).count == state.servers.count else { return false }
    return (0..<device.configuration.serverCount * 8).allSatisfy { number in
      let index = ENDIndex(rawValue: number)
      let end = router.end(at: index)
      let isShown = device.watch.pq(of: index, .notification) == end.states?.notification
      guard end.isValid, end.isEnqueued else { return isShown }
      return isShown
        && state.memory.queue(at: end.queueAddress, byteCount: 1 << UInt64(end.queueShift)) != nil
    }
  }
}
