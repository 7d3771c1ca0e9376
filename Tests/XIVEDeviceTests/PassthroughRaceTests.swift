import Glibc
import PagedDevice
import Testing
import XIVEModel

@testable import XIVEDevice

/// What is done to source 1 and PHB 0 while consumers touch the source's pages.
enum BackingChange: CaseIterable, CustomTestStringConvertible {
  case map, unmap, removal

  var testDescription: String { "\(self)" }

  /// What serves source 1 before and after.
  var backings: (before: Backing, after: Backing) {
    let phb = Backing.phb(Rig.phb(0), Rig.irq(2))
    return self == .map ? (.ipi, phb) : (phb, .ipi)
  }

  /// Brings a device into the state before; the same device again and again, for a new one takes its time.
  ///
  /// PHB 0 has two messages in front of interrupt 2, and level interrupts behind it.
  func prepare(_ rig: Rig, _ pq: PQ = .reset) throws {
    if rig.device.phb(Rig.phb(0)) == nil { try rig.addPHB() }
    let isMapped = rig.backing(1) != .ipi
    if isMapped, self == .map { try rig.unmap(1, from: 2) }
    if !isMapped, self != .map { try rig.map(1, to: 2) }
    try rig.load(rig.offset(1, .management) + 0xc00 + UInt64(pq.rawValue) << 8)
    rig.updates()
  }

  func begin(_ rig: Rig, prefault: Bool = false) throws(DeviceError) -> Invalidation {
    switch self {
    case .map: try rig.device.map(Rig.run(1, 2), prefault: prefault)
    case .unmap: try rig.device.unmap(Rig.run(1, 2), prefault: prefault)
    case .removal: try rig.device.removePHB(Rig.phb(0))
    }
  }
}

extension Rig {
  /// Whether an image is that of a source's page as it is now, and something serves it; nil is `SIGBUS`.
  func shows(_ image: [UInt8]?, of source: UInt32, at page: UInt64, _ backing: Backing) -> Bool {
    guard let image, let signature = PageSignature(image: image) else { return false }
    var expected = PageSignature(backing: .ipi, deviceOffset: page)
    expected.lisn = source
    expected.half = UInt32(page >> map.pageShift & 1)
    expected.generation = UInt64(generation(source) ?? 0)
    if case .phb(let phb, let irq) = backing {
      expected.backing = .phb
      expected.phb = UInt32(phb.rawValue)
      expected.hardwareIRQ = UInt32(irq.rawValue)
    }
    return signature == expected
  }

  /// Ends the interrupt of a source until it is quiet, as a guest that takes every interrupt does.
  /// - Returns: how many interrupts it took because of that.
  @discardableResult
  func takeAll(_ source: UInt32) throws -> Int {
    var count = 0
    while try get(offset(source, .management)) & 2 != 0 {
      if try endOfInterrupt(offset(source, .management)) == 1 { count += 1 }
    }
    return count
  }
}

@Suite("Fills, accesses and stores in the midst of a change, in every order")
struct PassthroughRaceTests {
  /// What must be true of every page once the caller has been answered and all is quiet.
  private func expectFresh(_ kernel: FakeKernel, _ backing: Backing, _ order: Comment) {
    kernel.takeUpdates()
    for page in kernel.rig.pages(of: 1) {
      for consumer in 0..<2 {
        let seen = kernel.touch(page, by: consumer)
        let isFresh = kernel.rig.shows(seen, of: 1, at: page, backing)
        #expect(isFresh, order)
        guard consumer == 0, let seen, let image = try? kernel.rig.image(page) else { continue }
        // Not `==`, whose differences between thousands of bytes nobody reads.
        let isSame = unsafe memcmp(seen, image, seen.count) == 0
        #expect(isSame, "bytes of before at \(page); \(order)")
      }
    }
  }

  /// One change and one consumer that touches one page, until something says that enough was seen.
  @discardableResult
  private func loads(
    _ change: BackingChange, of pageIndex: Int, sabotage: Configuration.Sabotage? = nil,
    prefault: Bool = false, isEnough: () -> Bool = { false },
    expectations: @escaping (FakeKernel, Bool, Comment) -> Void
  ) throws -> Int {
    let rig = Rig(sabotage: sabotage)
    return try Interleavings.forEach(isEnough: isEnough) {
      try change.prepare(rig)
      let kernel = FakeKernel(rig)
      let page = rig.pages(of: 1)[pageIndex]
      var isAnswered = false
      var isStale = false
      let operation = Change(kernel, "change", answered: { isAnswered = true }) {
        () throws(DeviceError) in
        try change.begin(rig, prefault: prefault)
      }
      let touch = Touch(kernel, page, by: 0) { image in
        if isAnswered, !rig.shows(image, of: 1, at: page, change.backings.after) { isStale = true }
      }
      return .init([operation, touch]) { order in
        let seen = kernel.touch(page)
        if !rig.shows(seen, of: 1, at: page, change.backings.after) { isStale = true }
        expectations(kernel, isStale, order)
      }
    }
  }

  @Test(
    "6.34: after the answer nobody sees the old page, whenever it was filled",
    arguments: BackingChange.allCases, [0, 1, 2, 3])
  func fills(change: BackingChange, page: Int) throws {
    let count = try loads(change, of: page) { kernel, isStale, order in
      #expect(!isStale, order)
      expectFresh(kernel, change.backings.after, order)
    }
    #expect(count > 200, "the orders are not all there: \(count)")
  }

  @Test("So it is when the new pages are pushed before the answer", arguments: [0, 3])
  func pushes(page: Int) throws {
    for change in [page == 0 ? BackingChange.map : .unmap] {
      try loads(change, of: page, prefault: true) { kernel, isStale, order in
        #expect(!isStale, order)
        #expect(kernel.rig.pages(of: 1).allSatisfy { kernel.find($0, by: 9) == .present }, order)
        expectFresh(kernel, change.backings.after, order)
      }
    }
  }

  @Test(
    "This kernel sees a stale page where pages are dropped before the backing is published",
    arguments: BackingChange.allCases)
  func zapFirst(change: BackingChange) throws {
    for page in 0..<4 {
      var staleCount = 0
      try loads(change, of: page, sabotage: .zapFirst, isEnough: { staleCount > 0 }) {
        _, isStale, _ in
        if isStale { staleCount += 1 }
      }
      #expect(staleCount > 0, "page \(page)")
    }
  }

  @Test(
    "This kernel sees a stale page where a window is left out", arguments: BackingChange.allCases)
  func skipAlias(change: BackingChange) throws {
    for page in 0..<4 {
      var staleCount = 0
      try loads(change, of: page, sabotage: .skipAlias, isEnough: { staleCount > 0 }) {
        _, isStale, _ in
        if isStale { staleCount += 1 }
      }
      #expect((staleCount > 0) == (page < 2), "page \(page): the kernel's window has pages 0 and 1")
    }
  }

  @Test(
    "A store to a mapped page and an exact trigger are each taken once, by one page or the other",
    arguments: BackingChange.allCases, [PQ.reset, .pending])
  func stores(change: BackingChange, pq: PQ) throws {
    for (stored, exact) in [(0, 3), (3, 2)] {
      let rig = Rig()
      try Interleavings.forEach {
        try change.prepare(rig, pq)
        let eventsBefore = rig.counters.events + rig.hostEvents
        let kernel = FakeKernel(rig)
        let pages = rig.pages(of: 1)
        _ = kernel.touch(pages[stored], by: 0)
        _ = kernel.touch(pages[stored], by: 1)
        let operation = Change(kernel, "change") {
          () throws(DeviceError) in
          try change.begin(rig)
        }
        let touch = Touch(kernel, pages[stored], by: 0, storing: 0)
        let access = ExactAccess { try? rig.store(pages[exact]) }
        return .init([operation, touch, access]) { order in
          kernel.synchronize()
          _ = try? rig.takeAll(1)
          let events = rig.counters.events + rig.hostEvents - eventsBefore
          // Two triggers that meet a pending interrupt are one event; each alone is never lost.
          #expect((1...2).contains(events), "\(events) events; \(order)")
          expectFresh(kernel, change.backings.after, order)
        }
      }
    }
  }

  @Test(
    "A store in a mapped page of before never acts after the answer",
    arguments: BackingChange.allCases)
  func noLateStore(change: BackingChange) throws {
    let rig = Rig()
    try Interleavings.forEach {
      try change.prepare(rig, .pending)
      let kernel = FakeKernel(rig)
      let page = rig.offset(1, .management)
      _ = kernel.touch(page)
      let old = OldState(rig, change)
      var atAnswer: SourceState?
      let operation = Change(kernel, "change", answered: { atAnswer = old.state }) {
        () throws(DeviceError) in
        try change.begin(rig)
      }
      // SET_PQ_00: nothing else brings the state of before to 00.
      let touch = Touch(kernel, page, by: 0, storing: 0xc00 / 8)
      return .init([operation, touch]) { order in
        kernel.synchronize()
        kernel.takeUpdates()
        #expect(old.state == atAnswer, order)
        expectFresh(kernel, change.backings.after, order)
      }
    }
  }

  @Test("A store to the signature of an old page does not act on the new one, nor shine through")
  func signatureStores() throws {
    for change in BackingChange.allCases {
      let rig = Rig()
      for slot in 504..<512 {
        try Interleavings.forEach {
          try change.prepare(rig)
          let stores = rig.counters.mappedStores
          let kernel = FakeKernel(rig)
          let page = rig.offset(1, .management)
          _ = kernel.touch(page)
          kernel.store(7, slot: slot, page)
          let operation = Change(kernel, "change") { () throws(DeviceError) in
            try change.begin(rig)
          }
          let tick = ExactAccess { kernel.synchronize() }
          let update = ExactAccess { kernel.takeUpdates() }
          return .init([operation, tick, update]) { order in
            #expect(rig.counters.mappedStores == stores + 1, order)
            expectFresh(kernel, change.backings.after, order)
          }
        }
      }
    }
  }
}

/// The state that the pages of before show: it outlives a PHB that goes.
private struct OldState {
  private let cells: SourceCells
  private let irq: HardwareIRQ?
  // Keeps the cells' memory.
  private let owner: AnyObject

  init(_ rig: Rig, _ change: BackingChange) {
    if change == .map {
      cells = rig.device.engine.cells
      owner = rig.device
      irq = nil
    } else {
      guard let phb = rig.device.phbs[Rig.phb(0)] else { preconditionFailure("no PHB") }
      cells = phb.cells
      owner = phb
      irq = Rig.irq(2)
    }
  }

  var state: SourceState {
    irq.map { cells.state(of: $0) } ?? cells.state(of: LISN(rawValue: 1))
  }
}
