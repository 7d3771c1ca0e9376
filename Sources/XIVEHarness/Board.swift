internal import CHarness
internal import SystemCalls
internal import SystemPackage
internal import XIVEModel

/// A page that watchers read.
struct WatchedPage: Hashable {
  /// What it belongs to.
  enum Owner: Hashable {
    /// A source: the page changes its backing with it.
    case source(LISN)
    /// A PHB's own region: the page is there while the PHB is plugged.
    case phb(PHBIndex, HardwareIRQ)
  }

  let owner: Owner
  /// Which of a source's pages; a PHB has management pages alone.
  let half: ESBHalf
  /// Where it is in the device file.
  let offset: UInt64
}

/// What the operator says and watchers see, in memory that all of them share (module `CHarness`).
///
/// Thread rule: one thread operates; counters may be read by any.
@safe
final class Board {
  // SAFETY: mapped in `init`, unmapped in `deinit`; all that others write in it is atomic.
  private let board: UnsafeMutablePointer<charness_board>
  private let file: OwnedDescriptor
  /// The board's file, for consumers to map.
  let path: String
  /// The pages, by index.
  let pages: [WatchedPage]
  private let indices: [WatchedPage.Owner: [UInt32]]
  /// Slots that watchers have been given.
  private(set) var slotCount: UInt32 = 0
  private var released: [Range<UInt32>] = []

  /// Room for watching threads.
  private static let slotLimit: UInt32 = 512
  /// Milliseconds within which every watcher has read every page once.
  private static let patience: UInt32 = 20_000

  /// Makes a board for some pages of a device file; the watched window reaches from the file's start behind the last.
  init(_ path: String, _ pages: [WatchedPage]) throws {
    let file = try OwnedDescriptor(opening: path, [.readWrite, .create])
    var shape = charness_shape()
    shape.pages = UInt32(pages.count)
    shape.slots = Self.slotLimit
    shape.window_length = (pages.map(\.offset).max() ?? 0) + UInt64(CHARNESS_PAGE_SIZE)
    var board: UnsafeMutablePointer<charness_board>?
    try valueOrErrno(unsafe charness_board_create(file.rawValue, &shape, &board))
    guard let board = unsafe board else { throw Errno.noMemory }
    unsafe self.board = board
    self.file = file
    self.path = path
    self.pages = pages
    var indices: [WatchedPage.Owner: [UInt32]] = [:]
    for (index, page) in pages.enumerated() {
      indices[page.owner, default: []].append(UInt32(index))
      try unsafe Self.setUp(board, UInt32(index), page)
    }
    self.indices = indices
  }

  deinit { unsafe charness_board_unmap(board) }

  private static func setUp(
    _ board: UnsafeMutablePointer<charness_board>, _ index: UInt32, _ page: WatchedPage
  ) throws(Errno) {
    var setup = charness_page_setup()
    setup.offset = page.offset
    setup.device_offset = page.offset
    setup.half = page.half.rawValue
    switch page.owner {
    case .source(let lisn): setup.lisn = lisn.rawValue
    case .phb: setup.lisn = PageSignature.noSource
    }
    try valueOrErrno(unsafe charness_set_page(board, index, &setup))
  }

  /// What a page must look like.
  struct Identity: Hashable {
    let generation: UInt64
    let backing: PageSignature.Backing
    var phb: UInt16 = 0
    var irq: UInt16 = 0
  }

  /// Says what the pages of an owner will look like, before the operation that changes them.
  func announce(_ owner: WatchedPage.Owner, _ identity: Identity) {
    for index in indices[owner] ?? [] {
      unsafe charness_announce(
        board, index, identity.generation, identity.backing.rawValue, UInt32(identity.phb),
        UInt32(identity.irq))
    }
  }

  /// Says that older pages of an owner must not be seen any more, after the operation has returned.
  func raise(_ owner: WatchedPage.Owner, to generation: UInt64) {
    for index in indices[owner] ?? [] { unsafe charness_raise_floor(board, index, generation) }
  }

  /// Whether a touch must find a page; nil: while an operation runs, either is right.
  func expect(_ owner: WatchedPage.Owner, _ half: ESBHalf? = nil, isThere: Bool?) {
    let presence =
      switch isThere {
      case true?: CHARNESS_MUST_NOT_BE_HOLE
      case false?: CHARNESS_MUST_BE_HOLE
      case nil: CHARNESS_MAY_BE_HOLE
      }
    for index in indices[owner] ?? [] where half == nil || pages[Int(index)].half == half {
      unsafe charness_expect(board, index, presence)
    }
  }

  /// Says what a load of PQ through a trapped window answers in an owner's management pages.
  /// - Parameters:
  ///   - owner: whose pages.
  ///   - answer: that it is; nil: while an operation runs, any is right.
  func expect(_ owner: WatchedPage.Owner, _ answer: Answer?) {
    let bits: UInt32 =
      switch answer {
      case nil: CHARNESS_ANY_ANSWER.rawValue
      case .nobody?: CHARNESS_ALL_ONES.rawValue
      case .state(let pq)?: UInt32(1) << UInt32(pq.rawValue)
      }
    for index in indices[owner] ?? [] { unsafe charness_expect_answers(board, index, bits) }
  }

  /// An answer to a load of PQ.
  enum Answer: Hashable {
    /// All ones: nobody serves the page, or a PHB that is fenced.
    case nobody
    case state(PQ)
  }

  /// Lets storing watchers store where it has no effect: the place in a management page where PQ is shown. Such a
  /// store makes the page dirty, so that a zap has to write it back, and the device drops it.
  func allowStores() throws(Errno) {
    for (index, page) in pages.enumerated() where page.half == .management {
      try valueOrErrno(unsafe charness_set_store(board, UInt32(index), 0xbf8, 0xa5a5))
    }
  }

  /// Lets storing watchers trigger.
  func allowTriggers() throws(Errno) {
    for (index, page) in pages.enumerated() where page.half == .trigger {
      try valueOrErrno(unsafe charness_set_store(board, UInt32(index), 0, 0))
    }
  }

  // MARK: - Watchers

  /// Gives watchers their slots, those of a process that was killed first.
  /// - Returns: as many as were asked for.
  func takeSlots(_ count: Int) throws(HarnessFailure) -> Range<UInt32> {
    if let index = released.firstIndex(where: { $0.count == count }) {
      return released.remove(at: index)
    }
    let slots = slotCount..<slotCount + UInt32(count)
    guard slots.upperBound <= Self.slotLimit else {
      throw .system("the board", "there is no room for more than \(Self.slotLimit) watchers")
    }
    slotCount = slots.upperBound
    return slots
  }

  /// Takes the slots back of watchers that were killed.
  func release(_ slots: Range<UInt32>) {
    for slot in slots { unsafe charness_end_slot(board, slot) }
    released.append(slots)
  }

  /// Lets all watchers begin.
  func run() { unsafe charness_order(board, CHARNESS_RUN) }

  /// Tells all watchers to end.
  func stop() { unsafe charness_order(board, CHARNESS_STOP) }

  /// Waits until every watcher has looked at every page once more.
  /// - Throws: ``HarnessFailure/silent(_:)`` when one does not.
  func settle(milliseconds: UInt32 = Board.patience) throws(HarnessFailure) {
    let epoch = unsafe charness_begin_epoch(board)
    let result = unsafe charness_await(board, epoch, slotCount, milliseconds)
    if result != 0 { throw .silent("a watcher, in \(milliseconds) ms") }
  }

  /// Signatures that all watchers have read, and answers that they got.
  var reads: UInt64 { sum(CHARNESS_READS) + sum(CHARNESS_LOADS) }

  /// A counter over all watchers.
  func sum(_ counter: charness_counter) -> UInt64 { unsafe charness_sum(board, counter) }

  /// Throws the first thing that a watcher has seen and that must not be.
  func look() throws(HarnessFailure) {
    guard unsafe charness_violations(board) > 0 else { return }
    for slot in 0..<slotCount {
      var violation = charness_violation()
      if unsafe charness_first_violation(board, slot, &violation) == 1 {
        throw verdict(violation)
      }
    }
  }

  private func verdict(_ violation: charness_violation) -> HarnessFailure {
    let page = pages[Int(violation.page)]
    let place = "\(page.text), watcher \(violation.slot)"
    let seen = Self.text(violation.seen)
    let expected = Self.text(violation.expected)
    switch violation.kind {
    case CHARNESS_STALE.rawValue:
      return .stale("\(place): saw \(seen) after generation \(violation.floor) had been answered")
    case CHARNESS_BACKWARD.rawValue:
      return .stale("\(place): saw \(seen) after a newer one")
    case CHARNESS_UNEXPECTED_HOLE.rawValue:
      return .unexpected(place, expected: "a page", seen: "SIGBUS")
    case CHARNESS_UNEXPECTED_PAGE.rawValue:
      return .stale("\(place): saw \(seen) after it had gone")
    case CHARNESS_WRONG_ANSWER.rawValue:
      let (seen, right) = (violation.seen.generation, violation.expected.generation)
      return .stale(
        "\(place), trapped: answered \(Self.answers(seen)), "
          + "but who serves it has \(Self.answers(right))")
    case CHARNESS_UNSIGNED.rawValue:
      return .unexpected(place, expected: "a signature", seen: "none")
    default: return .unexpected(place, expected: expected, seen: seen)
    }
  }

  /// Answers to a load of PQ in words, from their bits.
  private static func answers(_ bits: UInt64) -> String {
    if bits == 0 { return "what is no PQ" }
    let states = PQ.allCases.filter { bits >> $0.rawValue & 1 != 0 }.map { "PQ \($0)" }
    let ones = bits & UInt64(CHARNESS_ALL_ONES.rawValue) == 0 ? [] : ["all ones"]
    let bus = bits & UInt64(CHARNESS_BUS_ERROR.rawValue) == 0 ? [] : ["SIGBUS"]
    return (states + ones + bus).joined(separator: " or ")
  }

  private static func text(_ sight: charness_sight) -> String {
    if sight.magic == 0 { return "nothing that was announced" }
    let backing = PageSignature.Backing(rawValue: sight.backing).map { "\($0)" } ?? "?"
    return "\(backing) page of LISN \(LISN(rawValue: sight.lisn)), half \(sight.half), "
      + "PHB \(sight.phb) irq \(sight.hwirq), generation \(sight.generation), "
      + "offset 0x\(String(sight.device_offset, radix: 16))"
  }
}

extension WatchedPage {
  /// What people call it.
  var text: String {
    let window = offset >> Region.shift == 0 ? "kernel window" : "device"
    switch owner {
    case .source(let lisn): return "\(half.name) page of LISN \(lisn) in the \(window)"
    case .phb(let phb, let irq): return "own page of PHB \(phb.rawValue) irq \(irq.rawValue)"
    }
  }
}
