import CHarness
import CXIVE
import Glibc
import SystemCalls
import Testing
import XIVETestSupport

@Suite(
  "Watchers beside an operator that changes pages", .enabled(if: Requirement.canFault),
  .hangGuard)
struct WatcherTests {
  private static let watchers: UInt32 = 2
  private static let operations: UInt64 = 3000

  /// Runs watchers on all slots but for the operator's thread, which stops them at its end.
  private func run(_ rig: Rig, _ operate: @escaping @Sendable () -> Void) {
    Threads.run(Int(Self.watchers) + 1) { index in
      if index < Self.watchers {
        #expect(rig.watch(slot: UInt32(index), rounds: 0) == 0)
      } else {
        #expect(rig.awaitRound(of: Self.watchers) == 0)
        operate()
        rig.stop()
      }
    }
  }

  @Test(
    "Pages that change all the time raise no false alarm, and one that stays stale is seen by all")
  func changes() throws {
    let images = Int(CHARNESS_RING)
    let rig = try Rig(slots: Self.watchers, images: images)
    rig.announce(generation: 1)
    try rig.write(generation: 1)
    run(rig) {
      for generation in 2...Self.operations {
        rig.announce(generation: generation)
        let image = 1 + Int(generation) % images
        do { try rig.write(Rig.sight(page: 0, generation: generation), inFilePage: image) } catch {
          Issue.record(error)
        }
        rig.show(image)
        rig.raiseFloor(to: generation)
        // Slower than the ring is long, so that each image is out of use before it is written again.
        if generation % 4 == 0 { #expect(rig.awaitRound(of: Self.watchers) == 0) }
      }
      #expect(rig.violations == 0)
      // An operation that forgets its zap.
      rig.announce(generation: Self.operations + 1)
      rig.raiseFloor(to: Self.operations + 1)
      #expect(rig.awaitRound(of: Self.watchers) == 0)
    }
    for slot in 0..<Self.watchers {
      #expect(rig.kind(slot: slot) == CHARNESS_STALE)
      #expect(rig.first(slot: slot)?.seen.generation == Self.operations)
      #expect(rig.first(slot: slot)?.floor == Self.operations + 1)
      #expect(rig.count(CHARNESS_CHANGES, slot: slot) >= Self.operations / 4 - 1)
    }
    #expect(
      rig.violations == rig.count(CHARNESS_STALE_COUNT) + rig.count(CHARNESS_STALE_COUNT, slot: 1))
  }

  @Test("Pages that come and go raise no false alarm, and a hole that stays is seen by all")
  func holes() throws {
    let rig = try Rig(slots: Self.watchers)
    rig.announce(generation: 1)
    try rig.write(generation: 1)
    run(rig) {
      for operation in 1...4 * Self.operations {
        rig.expect(CHARNESS_MUST_NOT_BE_HOLE)
        Self.pause(operation % 64)
        rig.expect(CHARNESS_MAY_BE_HOLE)
        rig.show(1)
        rig.expect(CHARNESS_MUST_BE_HOLE)
        Self.pause(operation % 64)
        rig.expect(CHARNESS_MAY_BE_HOLE)
        rig.show(0)
        if operation % 64 == 0 { #expect(rig.awaitRound(of: Self.watchers) == 0) }
      }
      #expect(rig.violations == 0)
      rig.expect(CHARNESS_MUST_NOT_BE_HOLE)
      rig.show(1)
      #expect(rig.awaitRound(of: Self.watchers) == 0)
    }
    for slot in 0..<Self.watchers {
      #expect(rig.kind(slot: slot) == CHARNESS_UNEXPECTED_HOLE)
      #expect(rig.count(CHARNESS_FAULTS, slot: slot) > 0)
    }
  }

  /// Passes a little time, of another length each time, so that all places of a watcher's look are met.
  private static func pause(_ steps: UInt64) {
    for _ in 0..<steps { _ = MonotonicClock.nanoseconds }
  }

  @Test(
    "Once a watcher has finished a round of an epoch, it has seen what was there when that began")
  func epochs() throws {
    // In the middle of a long round: half of them are past it when it changes, and the next is not there yet
    // when the operator looks.
    let rig = try Rig(pages: 8192, slots: Self.watchers)
    let middle = rig.pages / 2
    try rig.write(generation: 1)
    for page in 0..<rig.pages {
      var setup = charness_page_setup(
        offset: page == middle ? 0 : 4096, device_offset: 0, lisn: 0, half: 0)
      #expect(unsafe charness_set_page(rig.board, page, &setup) == 0)
    }
    run(rig) {
      for generation in 2...100 as ClosedRange<UInt64> {
        do { try rig.write(generation: generation) } catch { Issue.record(error) }
        #expect(rig.awaitRound(of: Self.watchers) == 0)
        for slot in 0..<Self.watchers {
          #expect(unsafe charness_seen(rig.board, slot, middle) == generation + 1)
        }
      }
    }
  }

  @Test(
    "A window that is taken apart and put together under the watchers is a gap, not a violation")
  func split() throws {
    let rig = try Rig(pages: 8, slots: Self.watchers)
    for page in 0..<rig.pages {
      rig.announce(page: page, generation: 1)
      try rig.write(page: page, generation: 1)
      rig.expect(CHARNESS_MUST_NOT_BE_HOLE, of: page)
    }
    run(rig) {
      // As often as it takes: only a touch in the short time without a page is a gap.
      for _ in 0..<1_000_000 where rig.count(CHARNESS_GAPS) == 0 {
        #expect(unsafe charness_split(rig.mapping, rig.board, 2 * 4096, 3 * 4096) == 0)
      }
      #expect(rig.awaitRound(of: Self.watchers) == 0)
    }
    #expect(rig.count(CHARNESS_GAPS) > 0)
    #expect(rig.violations == 0)
    for (offset, length) in [(7, 2), (9, 1), (0, 0)] as [(UInt64, UInt64)] {
      let status = unsafe charness_split(rig.mapping, rig.board, offset * 4096, length * 4096)
      #expect(status == -EINVAL, "pages \(offset) + \(length)")
    }
  }

  @Test("One VMA per page, and a split window has more than one")
  func layouts() throws {
    let separate = try Rig(pages: 4, layout: CHARNESS_PER_PAGE)
    for page in 0..<separate.pages {
      separate.announce(page: page, generation: 1)
      try separate.write(page: page, generation: 1)
    }
    #expect(try Self.areas(of: separate) == 4)
    separate.watch()
    #expect(separate.count(CHARNESS_READS) == 4)
    #expect(separate.violations == 0)
    #expect(unsafe charness_split(separate.mapping, separate.board, 0, 4096) == -EINVAL)
    #expect(try Self.areas(of: Rig(pages: 4)) == 1)
  }

  /// The areas of this process that map the rig's device.
  private static func areas(of rig: Rig) throws -> Int {
    var status = stat()
    try #require(unsafe fstat(rig.device.rawValue, &status) == 0)
    let maps = TextFile.contents(of: "/proc/self/maps")
    return maps.split(separator: "\n").count {
      $0.split(separator: " ").contains("\(status.st_ino)")
    }
  }

  @Test("Stores go where the board says, and only there, if they are asked for")
  func stores() throws {
    let rig = try Rig(pages: 2, isWritable: true)
    for page in 0..<rig.pages {
      rig.announce(page: page, generation: 1)
      try rig.write(page: page, generation: 1)
    }
    #expect(unsafe charness_set_store(rig.board, 1, 0xc08, 0x0102_0304_0506_0708) == 0)
    rig.watch()
    #expect(rig.count(CHARNESS_STORES) == 0)
    #expect(rig.watch(rounds: 3, stores: true) == 0)
    #expect(rig.count(CHARNESS_STORES) == 3)
    var page = [UInt8](repeating: 0xff, count: 8192)
    #expect(
      try unsafe page.withUnsafeMutableBytes { try unsafe rig.device.read(into: $0, at: 0) } == 8192
    )
    let set = page.indices.filter { page[$0] != 0 && $0 & 0xfff < 0xfc0 }
    #expect(set == Array(0x1c08..<0x1c10))
    #expect(Array(page[0x1c08..<0x1c10]) == [1, 2, 3, 4, 5, 6, 7, 8])
    for (page, at) in [(0, 4), (0, XIVE_SIGNATURE_OFFSET), (2, 0)] as [(UInt32, UInt32)] {
      #expect(unsafe charness_set_store(rig.board, page, at, 0) == -EINVAL)
    }
    #expect(try Rig().watch(stores: true) == -EACCES)
  }

  @Test("Exact loads are counted and judge nothing")
  func exactLoads() throws {
    let rig = try Rig(pages: 2)
    var options = charness_watch_options(
      slot: 0, flags: 0, first_page: 0, page_count: 2, rounds: 3)
    #expect(unsafe charness_load(rig.device.rawValue, rig.board, &options) == 0)
    #expect(rig.count(CHARNESS_LOADS) == 6)
    rig.truncate(beforePage: 1)
    #expect(unsafe charness_load(rig.device.rawValue, rig.board, &options) == 0)
    #expect(rig.count(CHARNESS_LOADS) == 9)
    #expect(rig.count(CHARNESS_LOAD_ERRORS) == 3)
    #expect(rig.violations == 0)
  }
}
