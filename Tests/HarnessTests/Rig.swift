import CHarness
import CXIVE
import Glibc
import SystemCalls
import XIVEModel
import XIVETestSupport

/// A plain file in place of a device, a board over it, and this process as operator and as consumer.
///
/// Page `n` of the file is watched page `n`; pages behind those are images that ``show(_:in:)`` can put in their
/// place, as a zap does: at once and for all threads.
@safe
final class Rig: @unchecked Sendable {
  // SAFETY (@unchecked Sendable): set once in `init`, freed once in `deinit`; the board is made for sharing, and
  // the mapping's descriptor is not changed.
  let board: UnsafeMutablePointer<charness_board>
  let mapping: UnsafeMutablePointer<charness_mapping>
  let device: OwnedDescriptor
  let boardFile: OwnedDescriptor
  let pages: UInt32

  static let pageSize = Int(CHARNESS_PAGE_SIZE)

  init(
    pages: UInt32 = 1, slots: UInt32 = 1, images: Int = 0,
    layout: charness_layout = CHARNESS_WINDOW, isWritable: Bool = false
  ) throws {
    let directory = try TemporaryDirectory()
    device = try OwnedDescriptor(opening: directory.path + "/device", [.readWrite, .create])
    boardFile = try OwnedDescriptor(opening: directory.path + "/board", [.readWrite, .create])
    self.pages = pages
    guard ftruncate(device.rawValue, (Int(pages) + images) * Self.pageSize) == 0 else {
      throw SupportFailure("ftruncate: errno \(errno)")
    }
    var shape = charness_shape(
      pages: pages, slots: slots, window_offset: 0,
      window_length: UInt64(pages) * UInt64(Self.pageSize))
    var made: UnsafeMutablePointer<charness_board>?
    let status = unsafe charness_board_create(boardFile.rawValue, &shape, &made)
    guard status == 0, let made = unsafe made else { throw SupportFailure("board: \(status)") }
    unsafe board = made
    unsafe mapping = .allocate(capacity: 1)
    for page in 0..<pages {
      var setup = charness_page_setup(
        offset: UInt64(page) * UInt64(Self.pageSize),
        device_offset: Self.sight(page: page).deviceOffset,
        lisn: Self.sight(page: page).lisn, half: Self.sight(page: page).half)
      guard unsafe charness_set_page(board, page, &setup) == 0 else { throw SupportFailure("page") }
    }
    let mapped = unsafe charness_map(mapping, board, device.rawValue, layout, isWritable ? 1 : 0)
    guard mapped == 0 else { throw SupportFailure("mapping: \(mapped)") }
    unsafe charness_order(board, CHARNESS_RUN)
  }

  deinit {
    unsafe charness_unmap(mapping)
    unsafe mapping.deallocate()
    unsafe charness_board_unmap(board)
  }

  // MARK: - The device's part

  /// What a watched page truly is in a generation.
  static func sight(page: UInt32, generation: UInt64 = 1) -> PageSignature {
    var sight = PageSignature(backing: .phb, deviceOffset: 0x100_0000_0000 + UInt64(page) * 4096)
    sight.lisn = 0x1300 + page / 2
    sight.half = page % 2
    sight.phb = UInt32(generation % 5)
    sight.hardwareIRQ = UInt32(generation % 1000) + page
    sight.generation = generation
    return sight
  }

  /// Writes a signature into a page of the file.
  func write(_ signature: PageSignature, inFilePage filePage: Int) throws {
    let registers = signature.registers
    let words = (0..<8).map { registers[$0].bigEndian }
    let written = try unsafe words.withUnsafeBytes { bytes in
      try unsafe device.write(
        bytes, at: UInt64(filePage * Self.pageSize + Int(XIVE_SIGNATURE_OFFSET)))
    }
    guard written == 64 else { throw SupportFailure("short write") }
  }

  /// Writes what a watched page truly is in a generation.
  func write(page: UInt32 = 0, generation: UInt64) throws {
    try write(Self.sight(page: page, generation: generation), inFilePage: Int(page))
  }

  /// Puts another page of the file where a watched page is: one behind its end is a hole.
  func show(_ filePage: Int, in page: UInt32 = 0) {
    let address = unsafe charness_address(mapping, board, page)
    let result = unsafe mmap(
      address, Self.pageSize, PROT_READ, MAP_SHARED | MAP_FIXED, device.rawValue,
      filePage * Self.pageSize)
    unsafe precondition(result == address, "mmap: errno \(errno)")
  }

  /// Ends the file before a page.
  func truncate(beforePage page: Int) { _ = ftruncate(device.rawValue, page * Self.pageSize) }

  // MARK: - The operator's part

  func announce(page: UInt32 = 0, generation: UInt64) {
    announce(page: page, as: Self.sight(page: page, generation: generation))
  }

  func announce(page: UInt32 = 0, as sight: PageSignature) {
    unsafe charness_announce(
      board, page, sight.generation, sight.backing.rawValue, sight.phb, sight.hardwareIRQ)
  }

  func raiseFloor(page: UInt32 = 0, to generation: UInt64) {
    unsafe charness_raise_floor(board, page, generation)
  }

  func expect(_ presence: charness_presence, of page: UInt32 = 0) {
    unsafe charness_expect(board, page, presence)
  }

  func stop() { unsafe charness_order(board, CHARNESS_STOP) }

  /// Waits until slots 0 to `watchers` - 1 have done a round that knows all that was said before.
  func awaitRound(of watchers: UInt32) -> CInt {
    unsafe charness_await(board, charness_begin_epoch(board), watchers, 20_000)
  }

  // MARK: - The consumer's part

  /// Watches all pages; `rounds` 0: until the operator says stop.
  @discardableResult
  func watch(slot: UInt32 = 0, rounds: UInt64 = 1, stores: Bool = false) -> CInt {
    var options = charness_watch_options(
      slot: slot, flags: stores ? CHARNESS_STORE : 0, first_page: 0, page_count: pages,
      rounds: rounds)
    return unsafe charness_watch(mapping, board, &options)
  }

  // MARK: - What was found

  func count(_ counter: charness_counter, slot: UInt32 = 0) -> UInt64 {
    unsafe charness_count(board, slot, counter)
  }

  var violations: UInt64 { unsafe charness_violations(board) }

  /// A slot's first violation.
  func first(slot: UInt32 = 0) -> charness_violation? {
    var violation = charness_violation()
    return unsafe charness_first_violation(board, slot, &violation) == 1 ? violation : nil
  }

  /// The kind of a slot's first violation.
  func kind(slot: UInt32 = 0) -> charness_kind {
    charness_kind(rawValue: first(slot: slot)?.kind ?? CHARNESS_NO_VIOLATION.rawValue)
  }
}
