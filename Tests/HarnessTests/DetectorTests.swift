import CHarness
import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Stale-page detector: its rules, one by one", .enabled(if: Requirement.canFault), .hangGuard)
struct DetectorTests {
  @Test("Announced pages at or above their floor are fine")
  func fine() throws {
    let rig = try Rig(pages: 3)
    for page in 0..<rig.pages {
      rig.announce(page: page, generation: 4)
      try rig.write(page: page, generation: 4)
    }
    rig.raiseFloor(to: 4)
    rig.raiseFloor(page: 1, to: 3)
    rig.expect(CHARNESS_MUST_NOT_BE_HOLE, of: 2)
    #expect(rig.watch(rounds: 5) == 0)
    #expect(rig.violations == 0)
    #expect(rig.first() == nil)
    #expect(rig.count(CHARNESS_READS) == 15)
    #expect(rig.count(CHARNESS_CHANGES) == 0)
    #expect(unsafe charness_seen(rig.board, 0, 2) == 5)
  }

  @Test("A generation below the floor is stale, and the first one is kept")
  func stale() throws {
    let rig = try Rig(pages: 2)
    for page in 0..<rig.pages {
      rig.announce(page: page, generation: 6)
      try rig.write(page: page, generation: 6)
    }
    rig.raiseFloor(page: 0, to: 7)
    rig.watch(rounds: 3)
    #expect(rig.count(CHARNESS_STALE_COUNT) == 3)
    #expect(rig.violations == 3)
    rig.raiseFloor(page: 1, to: 9)
    rig.watch()
    #expect(rig.count(CHARNESS_STALE_COUNT) == 5)
    let first = try #require(rig.first())
    #expect(first.kind == CHARNESS_STALE.rawValue)
    #expect(first.page == 0)
    #expect(first.floor == 7)
    #expect(first.seen.generation == 6)
    #expect(first.seen.lisn == Rig.sight(page: 0).lisn)
    #expect(first.nanoseconds > 0)
  }

  @Test("A floor never sinks")
  func floorOnlyRises() throws {
    let rig = try Rig()
    rig.announce(generation: 6)
    try rig.write(generation: 6)
    rig.raiseFloor(to: 7)
    rig.raiseFloor(to: 2)
    rig.watch()
    #expect(rig.kind() == CHARNESS_STALE)
  }

  @Test("A watcher that has seen a generation must not see an older one, whatever the floor")
  func backward() throws {
    let rig = try Rig()
    for generation: UInt64 in [2, 3, 2] {
      rig.announce(generation: generation)
      try rig.write(generation: generation)
      rig.watch()
    }
    #expect(rig.kind() == CHARNESS_BACKWARD)
    #expect(rig.violations == 1)
    #expect(rig.count(CHARNESS_CHANGES) == 2)
    #expect(rig.first()?.seen.generation == 2)
  }

  @Test("A generation below the floor and below one seen before is one violation, not two")
  func staleAndBackward() throws {
    let rig = try Rig()
    for generation: UInt64 in [3, 2] {
      rig.announce(generation: generation)
      try rig.write(generation: generation)
      rig.raiseFloor(to: 3)
      rig.watch()
    }
    #expect(rig.kind() == CHARNESS_STALE)
    #expect(rig.violations == 1)
  }

  /// One word of a signature, changed.
  enum Slip: CaseIterable {
    case lisn, half, backing, phb, hardwareIRQ, deviceOffset

    func apply(to sight: PageSignature) -> PageSignature {
      var slipped = sight
      switch self {
      case .lisn: slipped.lisn += 1
      case .half: slipped.half ^= 1
      case .backing: slipped.backing = .ipi
      case .phb: slipped.phb += 1
      case .hardwareIRQ: slipped.hardwareIRQ += 1
      case .deviceOffset: slipped.deviceOffset += 4096
      }
      return slipped
    }
  }

  @Test(
    "A page that differs in one word from what was announced is the wrong page",
    arguments: Slip.allCases)
  func wrongPage(_ slip: Slip) throws {
    let rig = try Rig()
    let truth = Rig.sight(page: 0, generation: 3)
    rig.announce(generation: 3)
    try rig.write(slip.apply(to: truth), inFilePage: 0)
    rig.watch()
    #expect(rig.kind() == CHARNESS_WRONG_PAGE)
    #expect(rig.violations == 1)
    let first = try #require(rig.first())
    #expect(first.expected.hwirq == truth.hardwareIRQ)
    #expect(first.expected.lisn == truth.lisn)
    #expect(first.seen.hwirq == slip.apply(to: truth).hardwareIRQ)
  }

  @Test("A generation that nobody announced is the wrong page", arguments: [0, 3] as [UInt64])
  func unannounced(_ announced: UInt64) throws {
    let rig = try Rig()
    // In the same place of the ring as the one that appears, or nothing at all.
    if announced != 0 { rig.announce(generation: announced) }
    try rig.write(generation: 3 + UInt64(CHARNESS_RING))
    rig.watch()
    #expect(rig.kind() == CHARNESS_WRONG_PAGE)
    #expect(rig.first()?.expected.lisn == 0)
  }

  @Test("An identity that the ring holds no more is not judged")
  func overwritten() throws {
    let rig = try Rig()
    rig.announce(generation: 3)
    rig.announce(generation: 3 + UInt64(CHARNESS_RING))
    try rig.write(generation: 3)
    rig.watch()
    #expect(rig.violations == 0)
    #expect(rig.count(CHARNESS_UNJUDGED) == 1)
  }

  @Test("A page without a signature is reported")
  func unsigned() throws {
    let rig = try Rig()
    rig.announce(generation: 0)
    rig.watch()
    #expect(rig.kind() == CHARNESS_UNSIGNED)
    #expect(rig.violations == 1)
  }

  /// What is expected of a page, what it is, and what a watcher must find.
  struct Hole: CustomTestStringConvertible {
    let presence: charness_presence
    let isThere: Bool
    let kind: charness_kind
    var testDescription: String { "presence \(presence.rawValue), \(isThere ? "hole" : "page")" }
  }

  static let holeCases = [
    Hole(presence: CHARNESS_MAY_BE_HOLE, isThere: true, kind: CHARNESS_NO_VIOLATION),
    Hole(presence: CHARNESS_MAY_BE_HOLE, isThere: false, kind: CHARNESS_NO_VIOLATION),
    Hole(presence: CHARNESS_MUST_BE_HOLE, isThere: true, kind: CHARNESS_NO_VIOLATION),
    Hole(presence: CHARNESS_MUST_BE_HOLE, isThere: false, kind: CHARNESS_UNEXPECTED_PAGE),
    Hole(presence: CHARNESS_MUST_NOT_BE_HOLE, isThere: true, kind: CHARNESS_UNEXPECTED_HOLE),
    Hole(presence: CHARNESS_MUST_NOT_BE_HOLE, isThere: false, kind: CHARNESS_NO_VIOLATION),
  ]

  @Test("Holes are counted, and judged by what is expected", arguments: holeCases)
  func holes(_ hole: Hole) throws {
    let rig = try Rig(pages: 2)
    for page in 0..<rig.pages {
      rig.announce(page: page, generation: 1)
      try rig.write(page: page, generation: 1)
    }
    rig.expect(hole.presence, of: 1)
    if hole.isThere { rig.truncate(beforePage: 1) }
    rig.watch(rounds: 2)
    #expect(rig.kind() == hole.kind)
    #expect(rig.count(CHARNESS_FAULTS) == (hole.isThere ? 2 : 0))
    #expect(rig.count(CHARNESS_READS) == (hole.isThere ? 2 : 4))
    #expect(rig.violations == (hole.kind == CHARNESS_NO_VIOLATION ? 0 : 2))
  }

  @Test("An expectation that is said again is another one")
  func expectationsAreCounted() throws {
    let rig = try Rig()
    func word() -> UInt64 {
      unsafe UnsafeRawPointer(charness_page_at(rig.board, 0)).load(
        fromByteOffset: 8, as: UInt64.self)
    }
    var words: Set<UInt64> = [word()]
    for _ in 1...3 {
      rig.expect(CHARNESS_MUST_NOT_BE_HOLE)
      #expect(word() & 3 == UInt64(CHARNESS_MUST_NOT_BE_HOLE.rawValue))
      #expect(words.insert(word()).inserted)
    }
  }
}
