import CXIVE
import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// How long random tests go on: `XIVE_FUZZ_ITERATIONS` from the environment, else a short run.
let fuzzIterations = Requirement.environment("XIVE_FUZZ_ITERATIONS").flatMap { Int($0) } ?? 1_500

/// Random things to do to a device, most of them nearly right.
struct Attacker {
  var random: SplitMix64

  init(stream: UInt64) {
    var seeds = Seed.generator(stream: stream)
    random = SplitMix64(seed: seeds.next())
  }

  mutating func below(_ limit: UInt64) -> UInt64 { random.next() % limit }
  mutating func pick<Element>(_ list: [Element]) -> Element { list[Int(below(UInt64(list.count)))] }
  mutating func isRare() -> Bool { below(8) == 0 }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  mutating func number() -> UInt64 {
    let near: [UInt64] = [0, 1, 7, 8, 9, 1 << 20, 1 << 32, 1 << 63, .max]
    switch below(4) {
    case 0: return pick(near) &+ below(3)
    case 1: return random.next()
    default: return below(10)
    }
  }

  /// An offset in one of the regions, near a page that exists.
  mutating func offset(_ map: DeviceMap) -> UInt64 {
    if isRare() { return random.next() }
    let region: UInt64 = pick([0, 0, 1, 1, 1, 2, 3, 16, 0x1000, 0x1001, 1 << 22])
    let page = below(24) << map.pageShift
    return region << 40 + page + below(map.pageByteCount) & ~(isRare() ? 0 : 7)
  }

  mutating func opener() -> Opener { isRare() ? Rig.reader : Rig.writer }

  mutating func request() -> (number: UInt32, input: [UInt8], memory: FakeMemory) {
    let known =
      KVMRequest.allCases.map(\.rawValue) + [xive_set_attr_request, xive_get_attr_request]
    var number = isRare() ? UInt32(truncatingIfNeeded: random.next()) : pick(known)
    if isRare() { number ^= 1 << UInt32(below(32)) }
    let size = Int(number >> 16 & 0x3fff)
    let count = isRare() ? Int(below(4_097)) : min(size, 4_096)
    let group =
      isRare() ? UInt32(truncatingIfNeeded: number) : pick([2, 0x50, 1, 0x40, 0x41, 0x42])
    let flags: UInt32 = isRare() ? 1 : 0
    let value = isRare() ? bytes(4_096) : below(8).memoryBytes
    let input = flags.memoryBytes + group.memoryBytes + self.number().memoryBytes + value
    let padding = [UInt8](repeating: 0, count: max(0, count - input.count))
    let memory = isRare() ? FakeMemory() : FakeMemory(at: below(8), below(4))
    return (number, Array((input + padding).prefix(count)), memory)
  }
}

extension Attacker {
  /// A request about PHBs, most of them about ones that exist.
  fileprivate mutating func passthrough() -> (UInt32, UInt64, [UInt32]) {
    let flags: UInt32 = isRare() ? 1 << UInt32(below(32)) : UInt32(below(4))
    switch below(8) {
    case 0:
      let removes = below(2) == 0
      let words = (0..<4).map { UInt32(removes || $0 > 1 ? 0 : below(8)) }
      return (0x40, isRare() ? number() : below(4), words)
    case 1...5:
      let words = [UInt32(below(4)), UInt32(below(7)), UInt32(below(4)), flags]
      return (0x41, isRare() ? number() : below(13), words)
    default:
      let words = [UInt32(below(7)), isRare() ? 1 : 0]
      return (0x42, below(4) << 32 | below(8), words)
    }
  }
}

@Suite("Random requests, accesses and images")
struct FuzzTests {
  private static let geometries = ESBGeometry.allCases

  @Test("A refused control request changes nothing, and no request crashes", arguments: geometries)
  func controlRequests(geometry: ESBGeometry) {
    let rig = Rig(geometry: geometry)
    var attacker = Attacker(stream: 90)
    var taken = 0
    for index in 0..<fuzzIterations {
      let (number, input, memory) = attacker.request()
      let states = rig.states
      let counters = rig.counters
      do {
        _ = try rig.control(number, input, by: attacker.opener(), memory: memory)
        taken += 1
      } catch {
        #expect(rig.states == states, "request \(index) \(error); \(Seed.comment)")
      }
      #expect(rig.counters == counters, "request \(index); \(Seed.comment)")
    }
    // Enough of them are right for the others to be nearly right.
    #expect(taken > fuzzIterations / 200, "\(Seed.comment)")
  }

  @Test("A refused request about PHBs changes nothing, and taken ones leave tables that agree")
  func passthroughRequests() throws {
    let rig = Rig(sources: 12, existing: 9)
    for phb: UInt16 in [0, 2] { try rig.addPHB(phb) }
    var attacker = Attacker(stream: 94)
    var taken: Set<UInt32> = []
    for index in 0..<max(1, fuzzIterations / 2) {
      let (group, attribute, words) = attacker.passthrough()
      let opener = attacker.opener()
      let route = attacker.pick(PayloadRoute.allCases)
      let before = Snapshot(rig, phbCount: 4)
      do {
        try rig.set(group, attribute, words, route, by: opener)
        taken.insert(group)
      } catch {
        let isSame = Snapshot(rig, phbCount: 4) == before
        #expect(isSame, "request \(index) \(error); \(Seed.comment)")
      }
      #expect(rig.tablesAgree, "request \(index); \(Seed.comment)")
    }
    #expect(taken == [0x40, 0x41, 0x42], "\(Seed.comment)")
  }

  @Test("An access or an image of a PHB's page changes the interrupt behind it alone")
  func passthroughAccesses() throws {
    let rig = try Rig.withPHB(storeEOI: true)
    try rig.addPHB(1)
    try rig.map(1, to: 2)
    try rig.map(2, to: 4)
    var attacker = Attacker(stream: 95)
    for index in 0..<max(1, fuzzIterations / 2) {
      let offset = attacker.offset(rig.map)
      if attacker.isRare() {
        try rig.hardware(attacker.pick([.fence, .unfence, .unfence]), 0)
      }
      let before = rig.owners
      switch attacker.below(3) {
      case 0: _ = try? rig.load(offset, by: attacker.opener())
      case 1: try? rig.store(offset, by: attacker.opener())
      default:
        let page = offset & ~4_095
        var image = (try? rig.image(page)) ?? attacker.bytes(4_096)
        image.setSlot(Int(attacker.below(512)), attacker.random.next())
        rig.writeBack(image, at: page)
      }
      let changed = before.filter { rig.owners[$0.key] != $0.value }.keys
      let target = rig.map.target(at: offset).flatMap { rig.device.served($0) }
      #expect(
        changed.allSatisfy { $0 == target.map(Rig.owner) },
        "access \(index) at \(offset); \(Seed.comment)")
    }
  }

  @Test("An access changes its own source or, refused, nothing", arguments: geometries)
  func accesses(geometry: ESBGeometry) {
    let rig = Rig(geometry: geometry, storeEOI: true)
    var attacker = Attacker(stream: 91)
    for index in 0..<fuzzIterations {
      let offset = attacker.offset(rig.map)
      let count = attacker.isRare() ? Int(attacker.below(18)) : 8
      let opener = attacker.opener()
      let before = rig.states
      let counters = rig.counters
      do {
        if attacker.random.next() & 1 == 0 {
          try rig.load(offset, byteCount: count, by: opener)
        } else {
          try rig.store(offset, attacker.bytes(count), by: opener)
        }
        rig.expectOnlyTarget(of: offset, changedFrom: before, "access \(index); \(Seed.comment)")
      } catch {
        #expect(
          rig.states == before && rig.counters == counters, "access \(index); \(Seed.comment)")
      }
    }
  }

  @Test("A written-back image changes its own source alone", arguments: geometries)
  func images(geometry: ESBGeometry) {
    let rig = Rig(geometry: geometry, storeEOI: true)
    var attacker = Attacker(stream: 92)
    for index in 0..<max(1, fuzzIterations / 8) {
      let offset = attacker.offset(rig.map) & (attacker.isRare() ? .max : ~4_095)
      var image = (try? rig.image(offset)) ?? [UInt8](repeating: 0xff, count: 4_096)
      switch attacker.below(4) {
      case 0: image = attacker.bytes(attacker.isRare() ? Int(attacker.below(9_000)) : 4_096)
      case 1: break
      default:
        for _ in 0..<attacker.below(4) + 1 {
          image.setSlot(Int(attacker.below(512)), attacker.random.next())
        }
      }
      let before = rig.states
      rig.writeBack(image, at: offset)
      rig.expectOnlyTarget(of: offset, changedFrom: before, "image \(index); \(Seed.comment)")
      if attacker.isRare() { rig.expectSoundUpdates("image \(index); \(Seed.comment)") }
    }
  }

  @Test("Fills and seeks anywhere change nothing", arguments: geometries)
  func fills(geometry: ESBGeometry) {
    let rig = Rig(geometry: geometry)
    var attacker = Attacker(stream: 93)
    let states = rig.states
    for index in 0..<fuzzIterations {
      let offset = attacker.offset(rig.map)
      if let image = try? rig.image(offset) { #expect(image.count == 4_096) }
      if let segment = rig.device.segment(endingAfter: offset) {
        #expect(segment.upperBound > offset && !segment.isEmpty, "fill \(index); \(Seed.comment)")
      }
    }
    #expect(rig.states == states)
  }
}

extension Rig {
  /// Expects that no source has changed but the one whose page an offset lies in.
  fileprivate func expectOnlyTarget(
    of offset: UInt64, changedFrom before: [UInt8], _ comment: Comment,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var expected = before
    if case .esb(let lisn, _) = map.target(at: offset) {
      let index = Int(lisn.rawValue)
      let pq: UInt8 = 0b11
      // Only PQ may have changed, and only of a source that exists.
      if device.backingWord(of: lisn) != nil {
        expected[index] = before[index] & ~pq | states[index] & pq
      }
    }
    #expect(states == expected, comment, sourceLocation: sourceLocation)
  }

  /// Expects that updates are of whole slots inside pages that exist.
  fileprivate func expectSoundUpdates(
    _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for update in updates() {
      let byteCounts: [Int] =
        switch map.target(at: update.offset) {
        // A TIMA's or an END's page that was stored to gets all of its bytes again, in pieces: never a whole page,
        // which the kernel would take for filled.
        case .connectedTIMA, .tima, .end: [8, 64, 1_024, 3_968, 4_032]
        default: [8, 1_024]
        }
      let isSound = byteCounts.contains(update.bytes.count) && update.offset % 8 == 0
      #expect(isSound, comment, sourceLocation: sourceLocation)
      #expect(resolves(update.offset), comment, sourceLocation: sourceLocation)
    }
  }
}

extension Rig {
  /// Whether what sources and PHBs say of each other is the same.
  fileprivate var tablesAgree: Bool {
    let phbs = (0..<UInt16(4)).compactMap { device.phbs[Self.phb($0)] }
    var mapped = 0
    for source in 0..<device.configuration.sourceCount {
      guard case .phb(let index, let irq) = backing(source) else { continue }
      mapped += 1
      guard device.phbs[index]?.lisn(servedBy: irq)?.rawValue == source else { return false }
    }
    return changesUnderWay == 0 && phbs.reduce(0) { $0 + $1.mappedCount } == mapped
  }

  /// The state of all sources and interrupts, by a name of their own.
  fileprivate var owners: [String: UInt8] {
    var owners: [String: UInt8] = [:]
    for (source, state) in states.enumerated() { owners["source \(source)"] = state }
    for phb in (0..<UInt16(2)).compactMap({ device.phbs[Self.phb($0)] }) {
      for irq in phb.irqs {
        owners["\(phb.index.rawValue):\(irq.rawValue)"] = phb.cells.state(of: irq).rawValue
      }
    }
    return owners
  }

  fileprivate static func owner(_ page: ServedPage) -> String {
    switch page.owner {
    case .source(let lisn): "source \(lisn.rawValue)"
    case .phb(let phb, let irq): "\(phb.index.rawValue):\(irq.rawValue)"
    }
  }
}
