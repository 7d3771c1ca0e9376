import CHarness
import CXIVE
import Glibc
import SystemCalls
import Testing
import XIVEModel
import XIVETestSupport

/// A plain file in place of a device, watched through a trapped window: the word at 800 of a page is what it answers.
@safe
private final class TrappedRig: @unchecked Sendable {
  // SAFETY (@unchecked Sendable): as that of `Rig`.
  let rig: Rig
  let window: UnsafeMutablePointer<charness_mapping>

  init(
    pages: UInt32 = 1, slots: UInt32 = 1, layout: charness_layout = CHARNESS_WINDOW,
    isWritable: Bool = true
  ) throws {
    rig = try Rig(pages: 2 * pages, slots: slots, isWritable: isWritable)
    unsafe window = .allocate(capacity: 1)
    let mapped = unsafe charness_map_trapped(
      window, rig.board, rig.device.rawValue, layout, isWritable ? 1 : 0)
    guard mapped == 0 else { throw SupportFailure("trapped: \(mapped)") }
  }

  deinit {
    unsafe charness_unmap(window)
    unsafe window.deallocate()
  }

  /// The device's part: what a management page answers. Watched page `2n + 1` is that of source `n`.
  func answer(_ value: UInt64, page: UInt32 = 1) throws {
    let written = try unsafe withUnsafeBytes(of: value.bigEndian) { bytes in
      try unsafe rig.device.write(bytes, at: UInt64(page) * 4096 + UInt64(XIVE_ESB_GET))
    }
    guard written == 8 else { throw SupportFailure("short write") }
  }

  /// The operator's part.
  func expect(_ answers: UInt32, page: UInt32 = 1) {
    unsafe charness_expect_answers(rig.board, page, answers)
  }

  @discardableResult
  func watch(slot: UInt32 = 0, rounds: UInt64 = 1, stores: Bool = false) -> CInt {
    var options = charness_watch_options(
      slot: slot, flags: stores ? CHARNESS_STORE : 0, first_page: 0, page_count: rig.pages,
      rounds: rounds)
    return unsafe charness_watch_trapped(window, rig.board, &options)
  }
}

@Suite(
  "Watching through trapped windows", .serialized,
  .enabled(if: Requirement.canTrap && Requirement.canFault), .hangGuard)
struct TrappedWatcherTests {
  @Test("Every answer but the right ones is a violation that says what it was")
  func answers() throws {
    for (value, bit) in [(0, 1), (1, 2), (2, 4), (3, 8), (.max, 16), (4, 0)] as [(UInt64, UInt32)] {
      for right in [1, 2, 4, 8, 16, 32, 5, CHARNESS_ANY_ANSWER.rawValue] as [UInt32] {
        let rig = try TrappedRig()
        try rig.answer(value)
        rig.expect(right)
        #expect(rig.watch() == 0)
        #expect(rig.rig.count(CHARNESS_LOADS) == 1)
        guard bit & right == 0 else {
          #expect(rig.rig.violations == 0, "\(value) where \(right) is right")
          continue
        }
        let first = rig.rig.first()
        #expect(rig.rig.kind() == CHARNESS_WRONG_ANSWER && first?.page == 1)
        #expect(first?.seen.generation == UInt64(bit))
        #expect(first?.expected.generation == UInt64(right))
        #expect(rig.rig.count(CHARNESS_ANSWER_COUNT) == 1 && rig.rig.violations == 1)
      }
    }
  }

  @Test("Where nothing was said any answer is right; a trigger page is not asked")
  func unsaid() throws {
    let rig = try TrappedRig(pages: 2)
    rig.expect(1, page: 0)
    try rig.answer(3, page: 0)
    try rig.answer(2, page: 3)
    #expect(rig.watch(rounds: 3) == 0)
    #expect(rig.rig.count(CHARNESS_LOADS) == 6)
    #expect(rig.rig.violations == 0)
  }

  @Test("A device that refuses is SIGBUS, which must have been said")
  func busError() throws {
    let rig = try TrappedRig()
    rig.rig.truncate(beforePage: 1)
    rig.expect(CHARNESS_BUS_ERROR.rawValue)
    #expect(rig.watch(rounds: 2) == 0)
    #expect(rig.rig.count(CHARNESS_FAULTS) == 2 && rig.rig.violations == 0)
    rig.expect(CHARNESS_ALL_ONES.rawValue)
    #expect(rig.watch() == 0)
    #expect(rig.rig.kind() == CHARNESS_WRONG_ANSWER)
    #expect(rig.rig.first()?.seen.generation == UInt64(CHARNESS_BUS_ERROR.rawValue))
  }

  @Test(
    "Answers that change under watchers raise no false alarm, and one that stays is seen by all")
  func changes() throws {
    let rig = try TrappedRig(slots: 3)
    let watchers = ThreadGroup()
    for slot in 0..<3 as Range<UInt32> {
      try watchers.start("watch") { _ = rig.watch(slot: slot, rounds: 0) }
    }
    for operation in 0..<2_000 as Range<UInt64> {
      rig.expect(CHARNESS_ANY_ANSWER.rawValue)
      try rig.answer(operation % 4)
      rig.expect(1 << UInt32(operation % 4))
      if operation % 64 == 0 { #expect(rig.rig.awaitRound(of: 3) == 0) }
    }
    #expect(rig.rig.violations == 0)
    // An operation whose old backing still answers.
    rig.expect(CHARNESS_ANY_ANSWER.rawValue)
    rig.expect(1)
    #expect(rig.rig.awaitRound(of: 3) == 0)
    rig.rig.stop()
    watchers.join()
    for slot in 0..<3 as Range<UInt32> {
      #expect(rig.rig.kind(slot: slot) == CHARNESS_WRONG_ANSWER)
      #expect(rig.rig.first(slot: slot)?.seen.generation == 8)
    }
  }

  @Test("Both kinds watch in one process, and survive each other's faults")
  func both() throws {
    let rig = try TrappedRig(slots: 2)
    rig.rig.truncate(beforePage: 0)
    for page in 0..<2 as Range<UInt32> { rig.rig.expect(CHARNESS_MUST_BE_HOLE, of: page) }
    rig.expect(CHARNESS_BUS_ERROR.rawValue)
    let mapped = ThreadGroup()
    try mapped.start("mapped") { rig.rig.watch(slot: 0, rounds: 200) }
    rig.watch(slot: 1, rounds: 200)
    mapped.join()
    #expect(rig.rig.count(CHARNESS_FAULTS, slot: 0) == 400)
    #expect(rig.rig.count(CHARNESS_FAULTS, slot: 1) == 200)
    #expect(rig.rig.violations == 0)
  }

  @Test("Stores go where the board says, and only there, if they are asked for")
  func stores() throws {
    let rig = try TrappedRig()
    #expect(unsafe charness_set_store(rig.rig.board, 1, 0xc08, 0x0102_0304_0506_0708) == 0)
    rig.watch()
    #expect(rig.rig.count(CHARNESS_STORES) == 0)
    #expect(rig.watch(rounds: 3, stores: true) == 0)
    #expect(rig.rig.count(CHARNESS_STORES) == 3)
    var bytes = [UInt8](repeating: 0xff, count: 8192)
    _ = try unsafe bytes.withUnsafeMutableBytes { try unsafe rig.rig.device.read(into: $0, at: 0) }
    #expect(bytes.indices.filter { bytes[$0] != 0 } == Array(0x1c08..<0x1c10))
    #expect(Array(bytes[0x1c08..<0x1c10]) == [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(try TrappedRig(isWritable: false).watch(stores: true) == -EACCES)
  }

  @Test("Page by page, and after a part was mapped again, each address has its own page")
  func layouts() throws {
    for layout in [CHARNESS_WINDOW, CHARNESS_PER_PAGE] {
      let rig = try TrappedRig(pages: 4, layout: layout)
      for page in 0..<8 as Range<UInt32> where page % 2 == 1 {
        try rig.answer(UInt64(page / 2), page: page)
        rig.expect(1 << (page / 2), page: page)
      }
      #expect(rig.watch() == 0)
      let split = unsafe charness_split(rig.window, rig.rig.board, 2 * 4096, 3 * 4096)
      #expect(split == (layout == CHARNESS_WINDOW ? 0 : -EINVAL))
      #expect(rig.watch() == 0)
      #expect(rig.rig.count(CHARNESS_LOADS) == 8 && rig.rig.violations == 0)
    }
  }
}
