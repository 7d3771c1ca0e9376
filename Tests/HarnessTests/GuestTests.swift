import CHarness
import CXIVE
import Glibc
import Synchronization
import SystemCalls
import Testing
import XIVEModel
import XIVETestSupport

/// Guests of KVM, on machines that have it.
enum Guest {
  /// Why there are none here.
  static var obstacle: String? {
    guard let reason = unsafe charness_guest_unavailable() else { return nil }
    return unsafe String(cString: reason)
  }

  static let isAvailable = Requirement.check(obstacle == nil, obstacle ?? "")
}

extension Rig {
  /// Runs a guest that watches all pages; `rounds` 0: until the operator says stop.
  func runGuest(
    slot: UInt32 = 0, rounds: UInt64 = 1, isReadOnly: Bool = false, triggerEvery: UInt64 = 0,
    triggerOffset: UInt64 = 0
  ) -> (status: CInt, result: charness_guest_result) {
    var options = charness_guest_options(
      slot: slot, flags: isReadOnly ? CHARNESS_GUEST_READ_ONLY : 0, first_page: 0,
      page_count: pages, rounds: rounds, trigger_every: triggerEvery, trigger_offset: triggerOffset)
    var result = charness_guest_result()
    let status = unsafe charness_guest_run(mapping, board, &options, &result)
    return (status, result)
  }
}

@Suite(
  "Guests of KVM", .enabled(if: Guest.isAvailable), .enabled(if: Requirement.canFault), .hangGuard)
struct GuestTests {
  @Test("A guest reads all pages in all rounds and never leaves", arguments: [false, true])
  func fine(_ isReadOnly: Bool) throws {
    let rig = try Rig(pages: 3, slots: 2, isWritable: !isReadOnly)
    for page in 0..<rig.pages {
      rig.announce(page: page, generation: 4)
      try rig.write(page: page, generation: 4)
      rig.raiseFloor(page: page, to: 4)
      rig.expect(CHARNESS_MUST_NOT_BE_HOLE, of: page)
    }
    let (status, result) = rig.runGuest(slot: 1, rounds: 1000, isReadOnly: isReadOnly)
    #expect(status == 0)
    #expect(result.entries == 1)
    #expect(result.halts == 1)
    #expect(rig.count(CHARNESS_READS, slot: 1) == 3000)
    #expect(rig.count(CHARNESS_READS) == 0)
    #expect(rig.violations == 0)
    #expect(rig.count(CHARNESS_UNJUDGED, slot: 1) == 0)
    #expect(rig.count(CHARNESS_CHANGES, slot: 1) == 0)
    #expect(unsafe charness_seen(rig.board, 1, 2) == 5)
    let said = unsafe charness_status(rig.board, 1)
    #expect(said.heartbeat == 1000)
    #expect(said.state == CHARNESS_ENDED.rawValue)
  }

  @Test(
    "Pages change under a running guest, which sees them without an exit", arguments: [false, true])
  func changes(_ isReadOnly: Bool) throws {
    let images = Int(CHARNESS_RING)
    let last: UInt64 = 1000
    let rig = try Rig(images: images)
    rig.announce(generation: 1)
    try rig.write(generation: 1)
    Threads.run(2) { index in
      if index == 0 {
        let (status, result) = rig.runGuest(rounds: 0, isReadOnly: isReadOnly)
        #expect(status == 0)
        #expect(result.entries - result.interruptions == 1)
        return
      }
      for generation in 2...last {
        rig.announce(generation: generation)
        let image = 1 + Int(generation) % images
        do { try rig.write(Rig.sight(page: 0, generation: generation), inFilePage: image) } catch {
          Issue.record(error)
        }
        rig.show(image)
        rig.raiseFloor(to: generation)
        if generation % 4 == 0 { #expect(rig.awaitRound(of: 1) == 0) }
      }
      #expect(rig.violations == 0)
      rig.announce(generation: last + 1)
      rig.raiseFloor(to: last + 1)
      #expect(rig.awaitRound(of: 1) == 0)
      rig.stop()
    }
    #expect(rig.kind() == CHARNESS_STALE)
    #expect(rig.first()?.seen.generation == last)
    #expect(rig.first()?.floor == last + 1)
    #expect(rig.violations == rig.count(CHARNESS_STALE_COUNT))
    #expect(rig.count(CHARNESS_CHANGES) >= last / 4 - 1)
  }

  @Test("A generation below the floor is stale, and the first one is kept")
  func stale() throws {
    let rig = try Rig(pages: 2)
    for page in 0..<rig.pages {
      rig.announce(page: page, generation: 6)
      try rig.write(page: page, generation: 6)
    }
    rig.raiseFloor(page: 0, to: 7)
    #expect(rig.runGuest(rounds: 3).status == 0)
    rig.raiseFloor(page: 1, to: 9)
    #expect(rig.runGuest().status == 0)
    #expect(rig.count(CHARNESS_STALE_COUNT) == 5)
    #expect(rig.violations == 5)
    let first = try #require(rig.first())
    #expect(first.kind == CHARNESS_STALE.rawValue)
    #expect(first.page == 0)
    #expect(first.floor == 7)
    #expect(first.seen.magic == XIVE_SIGNATURE_MAGIC)
    #expect(first.seen.generation == 6)
  }

  @Test("A guest that has seen a generation must not see an older one")
  func backward() throws {
    let rig = try Rig(slots: 2)
    for generation: UInt64 in [2, 3, 2] {
      rig.announce(generation: generation)
      try rig.write(generation: generation)
      #expect(rig.runGuest(slot: 1).status == 0)
    }
    #expect(rig.kind(slot: 1) == CHARNESS_BACKWARD)
    #expect(rig.violations == 1)
    #expect(rig.count(CHARNESS_CHANGES, slot: 1) == 2)
  }

  @Test("A generation below the floor and below one seen before is one violation, not two")
  func staleAndBackward() throws {
    let rig = try Rig()
    for generation: UInt64 in [3, 2] {
      rig.announce(generation: generation)
      try rig.write(generation: generation)
      rig.raiseFloor(to: 3)
      #expect(rig.runGuest().status == 0)
    }
    #expect(rig.kind() == CHARNESS_STALE)
    #expect(rig.violations == 1)
  }

  @Test(
    "A page that differs in one word from what was announced is the wrong page",
    arguments: DetectorTests.Slip.allCases.filter { $0 != .deviceOffset })
  func wrongPage(_ slip: DetectorTests.Slip) throws {
    let rig = try Rig(pages: 2)
    let truth = Rig.sight(page: 1, generation: 3)
    let seen = slip.apply(to: truth)
    for page in 0..<rig.pages { rig.announce(page: page, generation: 3) }
    try rig.write(page: 0, generation: 3)
    try rig.write(seen, inFilePage: 1)
    #expect(rig.runGuest().status == 0)
    #expect(rig.kind() == CHARNESS_WRONG_PAGE)
    #expect(rig.violations == 1)
    let first = try #require(rig.first())
    #expect(first.page == 1)
    #expect(Self.words(of: first.seen) == Self.words(of: seen))
    #expect(Self.words(of: first.expected) == Self.words(of: truth))
  }

  private static func words(of sight: charness_sight) -> [UInt64] {
    [sight.generation]
      + [sight.lisn, sight.half, sight.backing, sight.phb, sight.hwirq].map(UInt64.init)
  }

  private static func words(of sight: PageSignature) -> [UInt64] {
    [sight.generation]
      + [sight.lisn, sight.half, sight.backing.rawValue, sight.phb, sight.hardwareIRQ].map(
        UInt64.init)
  }

  @Test(
    "A generation that nobody announced is the wrong page; one that the ring lost is not judged")
  func ring() throws {
    let rig = try Rig()
    rig.announce(generation: 3)
    try rig.write(generation: 3 + UInt64(CHARNESS_RING))
    #expect(rig.runGuest().status == 0)
    #expect(rig.kind() == CHARNESS_WRONG_PAGE)
    #expect(rig.first()?.expected.lisn == 0)
    let late = try Rig()
    late.announce(generation: 3 + UInt64(CHARNESS_RING))
    try late.write(generation: 3)
    #expect(late.runGuest().status == 0)
    #expect(late.violations == 0)
    #expect(late.count(CHARNESS_UNJUDGED) == 1)
  }

  @Test("A page without a signature is reported")
  func unsigned() throws {
    let rig = try Rig()
    rig.announce(generation: 0)
    #expect(rig.runGuest().status == 0)
    #expect(rig.kind() == CHARNESS_UNSIGNED)
    #expect(rig.violations == 1)
  }

  @Test(
    "A hole takes the guest out, is counted, judged, and stepped over",
    arguments: DetectorTests.holeCases, [false, true])
  func holes(_ hole: DetectorTests.Hole, _ isReadOnly: Bool) throws {
    let rig = try Rig(pages: 3)
    for page in 0..<rig.pages {
      rig.announce(page: page, generation: 1)
      try rig.write(page: page, generation: 1)
    }
    rig.expect(hole.presence, of: 1)
    if hole.isThere { rig.show(3, in: 1) }
    let (status, result) = rig.runGuest(rounds: 2, isReadOnly: isReadOnly)
    #expect(status == 0)
    #expect(rig.kind() == hole.kind)
    #expect(rig.count(CHARNESS_FAULTS) == (hole.isThere ? 2 : 0))
    #expect(rig.count(CHARNESS_READS) == (hole.isThere ? 4 : 6))
    #expect(rig.violations == (hole.kind == CHARNESS_NO_VIOLATION ? 0 : 2))
    #expect(result.faults == (hole.isThere ? 2 : 0))
    #expect(result.entries - result.interruptions == result.faults + 1)
  }

  @Test("Each signal of the guest becomes one exact store to the trigger page, without an exit")
  func triggers() throws {
    let rig = try Rig(images: 1)
    rig.announce(generation: 1)
    try rig.write(generation: 1)
    let page = [UInt8](repeating: 0xff, count: 16)
    #expect(try unsafe page.withUnsafeBytes { try unsafe rig.device.write($0, at: 4096) } == 16)
    let (status, result) = rig.runGuest(rounds: 1009, triggerEvery: 10, triggerOffset: 4096)
    #expect(status == 0)
    #expect(result.entries - result.interruptions == 1)
    #expect(result.trigger_errors == 0)
    #expect(rig.count(CHARNESS_TRIGGERS) == 100)
    #expect(rig.count(CHARNESS_READS) == 1009)
    var after = page
    #expect(
      try unsafe after.withUnsafeMutableBytes { try unsafe rig.device.read(into: $0, at: 4096) }
        == 16)
    #expect(after == [UInt8](repeating: 0, count: 8) + [UInt8](repeating: 0xff, count: 8))
    // A store that is refused.
    let refused = rig.runGuest(rounds: 30, triggerEvery: 10, triggerOffset: UInt64(Int64.max))
    #expect(refused.status == 0)
    #expect(refused.result.trigger_errors == 3)
    #expect(rig.count(CHARNESS_TRIGGERS) == 100)
  }

  @Test("A guest holds when it is told to, and goes on")
  func hold() throws {
    // A guest that has not even begun does not hold: on a machine that is busy it is given more time.
    for patience: UInt32 in [200, 2_000, 20_000] where try halts(holdingFor: patience) == 2 {
      return
    }
    Issue.record("the guest did not hold")
  }

  /// Has a guest hold for so many milliseconds, and then go on.
  /// - Returns: how often it halted.
  private func halts(holdingFor patience: UInt32) throws -> UInt64 {
    let rig = try Rig()
    rig.announce(generation: 1)
    try rig.write(generation: 1)
    unsafe charness_order(rig.board, CHARNESS_HOLD)
    let halts = Mutex<UInt64>(0)
    Threads.run(2) { index in
      if index == 0 {
        let (status, result) = rig.runGuest(rounds: 0)
        #expect(status == 0)
        halts.withLock { $0 = UInt64(result.halts) }
      } else {
        let epoch = unsafe charness_begin_epoch(rig.board)
        #expect(unsafe charness_await(rig.board, epoch, 1, patience) == -ETIMEDOUT)
        #expect(rig.count(CHARNESS_READS) == 0)
        unsafe charness_order(rig.board, CHARNESS_RUN)
        #expect(unsafe charness_await(rig.board, epoch, 1, 20_000) == 0)
        rig.stop()
      }
    }
    return halts.withLock { $0 }
  }

  @Test("What a guest cannot have is refused")
  func refused() throws {
    #expect(try Rig(layout: CHARNESS_PER_PAGE).runGuest().status == -EINVAL)
    #expect(try Rig().runGuest(slot: 1).status == -EINVAL)
    #expect(try Rig(pages: 262_145).runGuest().status == -E2BIG)
  }
}

@Suite("Guests where there is no KVM")
struct NoGuestTests {
  @Test("The reason is said in words", .enabled(if: Guest.obstacle != nil))
  func reason() throws {
    #expect(Guest.obstacle?.isEmpty == false)
    #expect(try Rig().runGuest().status == -ENOTSUP)
  }
}
