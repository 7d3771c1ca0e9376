import CHarness
import Glibc
import SystemCalls
import Testing
import XIVETestSupport

@Suite("Board")
struct BoardTests {
  /// Maps a board once more, as another process does.
  private func map(_ file: borrowing OwnedDescriptor) -> (
    CInt, UnsafeMutablePointer<charness_board>?
  ) {
    var board: UnsafeMutablePointer<charness_board>?
    let status = unsafe charness_board_map(file.rawValue, &board)
    return unsafe (status, board)
  }

  @Test("What the operator says and what watchers count is seen through any mapping of the file")
  func shared() throws {
    let rig = try Rig(slots: 2)
    rig.announce(generation: 1)
    try rig.write(generation: 1)
    rig.watch(slot: 1)
    let (status, mapped) = unsafe map(rig.boardFile)
    #expect(status == 0)
    let other = try unsafe #require(mapped)
    defer { unsafe charness_board_unmap(other) }
    #expect(unsafe charness_sum(other, CHARNESS_READS) == 1)
    let said = unsafe charness_status(other, 1)
    #expect(said.state == CHARNESS_ENDED.rawValue)
    #expect(said.pid == UInt32(getpid()))
    #expect(said.heartbeat == 1)
    unsafe charness_raise_floor(other, 0, 2)
    rig.watch(slot: 0)
    #expect(rig.kind() == CHARNESS_STALE)
    #expect(unsafe charness_violations(other) == 1)
  }

  @Test("A file that is no board, or not whole, is refused")
  func refused() throws {
    let rig = try Rig()
    #expect(unsafe map(rig.device).0 == -EPROTO)
    let whole = try rig.boardFile.status()
    #expect(whole.isRegularFile)
    unsafe rig.board.pointee.version += 1
    #expect(unsafe map(rig.boardFile).0 == -EPROTO)
    unsafe rig.board.pointee.version -= 1
    #expect(unsafe map(rig.boardFile).0 == 0)
    unsafe rig.board.pointee.magic += 1
    #expect(unsafe map(rig.boardFile).0 == -EPROTO)
    unsafe rig.board.pointee.magic -= 1
    unsafe rig.board.pointee.byte_count += 4096
    #expect(unsafe map(rig.boardFile).0 == -EPROTO)
    unsafe rig.board.pointee.byte_count -= 4096
  }

  @Test("Crooked shapes, pages and slots are refused")
  func crooked() throws {
    let rig = try Rig(pages: 2)
    var board: UnsafeMutablePointer<charness_board>?
    for (pages, slots, offset, length) in [
      (0, 1, 0, 4096), (1, 0, 0, 4096), (1, 1, 1, 4096), (1, 1, 0, 4095), (1, 1, 0, 0),
      (UInt32.max, 1, 0, 4096),
    ] as [(UInt32, UInt32, UInt64, UInt64)] {
      var shape = charness_shape(
        pages: pages, slots: slots, window_offset: offset, window_length: length)
      #expect(unsafe charness_board_create(rig.device.rawValue, &shape, &board) == -EINVAL)
    }
    for (page, offset) in [(2, 0), (0, 8192), (0, 64)] as [(UInt32, UInt64)] {
      var setup = charness_page_setup(offset: offset, device_offset: 0, lisn: 0, half: 0)
      #expect(unsafe charness_set_page(rig.board, page, &setup) == -EINVAL)
    }
    for (slot, first, count) in [(1, 0, 1), (0, 0, 0), (0, 0, 3), (0, 2, 1), (0, 1, 2)]
      as [(UInt32, UInt32, UInt32)]
    {
      var options = charness_watch_options(
        slot: slot, flags: 0, first_page: first, page_count: count, rounds: 1)
      #expect(unsafe charness_watch(rig.mapping, rig.board, &options) == -EINVAL)
      #expect(unsafe charness_load(rig.device.rawValue, rig.board, &options) == -EINVAL)
    }
  }

  @Test("Nobody gets a slot that is taken; nobody waits for one that has ended")
  func slots() throws {
    let rig = try Rig(slots: 2)
    rig.announce(generation: 1)
    try rig.write(generation: 1)
    // Slot 1 has not begun: a wait for both cannot end.
    rig.watch(slot: 0)
    #expect(unsafe charness_await(rig.board, charness_begin_epoch(rig.board), 2, 20) == -ETIMEDOUT)
    #expect(unsafe charness_await(rig.board, charness_begin_epoch(rig.board), 1, 20) == 0)
    Threads.run(2) { index in
      if index == 0 {
        rig.watch(slot: 1, rounds: 0)
      } else {
        #expect(rig.awaitRound(of: 2) == 0)
        #expect(rig.watch(slot: 1) == -EBUSY)
        rig.stop()
      }
    }
    #expect(unsafe charness_await(rig.board, charness_begin_epoch(rig.board), 2, 0) == 0)
  }

  @Test("A wait for an epoch does not end while a watcher holds, and ends after it runs")
  func hold() throws {
    let rig = try Rig()
    rig.announce(generation: 1)
    try rig.write(generation: 1)
    unsafe charness_order(rig.board, CHARNESS_HOLD)
    Threads.run(2) { index in
      if index == 0 {
        #expect(rig.watch(rounds: 0) == 0)
      } else {
        let epoch = unsafe charness_begin_epoch(rig.board)
        #expect(unsafe charness_await(rig.board, epoch, 1, 50) == -ETIMEDOUT)
        #expect(rig.count(CHARNESS_READS) == 0)
        unsafe charness_order(rig.board, CHARNESS_RUN)
        #expect(unsafe charness_await(rig.board, epoch, 1, 20_000) == 0)
        #expect(rig.count(CHARNESS_READS) > 0)
        rig.stop()
      }
    }
  }
}
