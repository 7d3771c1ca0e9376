import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Fills and changes of TIMA and END pages, in every order")
struct ConnectRaceTests {
  /// What happens to vCPUs while consumers touch the pages that show them.
  enum Event: CaseIterable, CustomTestStringConvertible {
    /// The first vCPU comes, a second one, one of two goes, the only one goes.
    case first, second, leaving, last
    /// The only vCPU goes, and another descriptor becomes the same server's.
    case replacement

    var testDescription: String { "\(self)" }

    /// The vCPUs before, and each descriptor that is connected or closed meanwhile.
    var cpus: [UInt32] {
      switch self {
      case .first: []
      case .second, .last, .replacement: [0]
      case .leaving: [0, 1]
      }
    }
  }

  private static let successor = Opener(id: 77, isWritable: true)

  /// Begins an event, and hands over what must be carried out.
  private func begin(_ event: Event, _ rig: Rig) throws(DeviceError) -> Invalidation {
    switch event {
    case .first: return try rig.connect(Machine.opener(0), to: 0) ?? Invalidation([])
    case .second: return try rig.connect(Machine.opener(1), to: 1) ?? Invalidation([])
    case .leaving, .last: return rig.device.closed(Machine.opener(0)) ?? Invalidation([])
    case .replacement:
      let old = rig.device.closed(Machine.opener(0))?.ranges ?? []
      let new = try rig.connect(Self.successor, to: 0)?.ranges ?? []
      return Invalidation(old + new)
    }
  }

  @Test(
    "After the answer nobody sees a page of before, whenever it was filled",
    arguments: Event.allCases, [false, true])
  func fills(event: Event, isOwnWindow: Bool) throws {
    let rig = Rig(servers: 2)
    let count = try Interleavings.forEach {
      for opener in [Machine.opener(0), Machine.opener(1), Self.successor] {
        rig.device.closed(opener)?.completion()
      }
      for server in event.cpus {
        try rig.connect(Machine.opener(server), to: UInt64(server))?.completion()
      }
      let kernel = FakeKernel(rig)
      let page = isOwnWindow ? 2 * rig.map.pageByteCount : rig.tima(0, .os)
      var isAnswered = false
      var isStale = false
      let touch = Touch(kernel, page, by: 0) { image in
        if isAnswered, (try? rig.image(page)) != image { isStale = true }
      }
      let change = Change(kernel, "\(event)", answered: { isAnswered = true }) {
        () throws(DeviceError) in
        try begin(event, rig)
      }
      return .init([change, touch]) { order in
        let isTrue = kernel.touch(page) == (try? rig.image(page))
        #expect(isTrue && !isStale, order)
      }
    }
    #expect(count > 15, "the orders are not all there: \(count)")
  }

  @Test("A change of a ring or an END in the midst of a fill is seen in the end, in every order")
  func liveChanges() throws {
    let machine = try Machine(Rig(servers: 1), cpus: 1)
    let rig = machine.rig
    for isEND in [false, true] {
      try Interleavings.forEach {
        try machine.setCPPR(0, 0)
        try machine.setQueue(0, 6)
        rig.device.watch.watchedTIMAs.forget(0)
        rig.device.watch.watchedENDs.forget(6)
        rig.updates()
        let kernel = FakeKernel(rig)
        let page = isEND ? rig.endPage(0, 6) : rig.tima(0, .os)
        let touch = Touch(kernel, page, by: 0)
        let change = ExactAccess {
          if isEND {
            _ = try? rig.load(page + 0xf00)
          } else {
            try? machine.setCPPR(0, 5)
          }
        }
        let notifier = NotifierTurn(kernel)
        return .init([touch, change, notifier]) { order in
          kernel.takeUpdates()
          let isTrue = kernel.load(page) == (try? rig.image(page))
          #expect(isTrue, order)
        }
      }
    }
  }

  /// One turn of the thread that takes updates.
  private final class NotifierTurn: Party {
    let name = "notifier"
    private let kernel: FakeKernel
    private(set) var isDone = false

    init(_ kernel: FakeKernel) { self.kernel = kernel }

    var isBlocked: Bool { kernel.isAnythingLocked }

    func step() {
      kernel.takeUpdates()
      isDone = true
    }
  }

  @Test("After all is quiet a page shows what is true, filled and changed by two threads at once")
  func stress() throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    var end = Machine.end(0, 6)
    end.notifiesAlways = false
    try machine.setEND(0, 6, end)
    let meeting = Meeting()
    let wrong = Atomic<Int>(0)
    let rounds = 3_000
    Threads.run(2) { thread in
      var shown: [UInt64: UInt64] = [:]
      let ring = rig.tima(0, .os)
      let page = rig.endPage(0, 6)
      for round in 1...rounds {
        if thread == 0 {
          rig.device.watch.watchedTIMAs.forget(0)
          rig.device.watch.watchedENDs.forget(6)
        }
        meeting.come(thread, 2 * round)
        if thread == 0 {
          for _ in 0..<round % 40 { _ = rig.pq(1) }
          shown[ring + 0x10] = (try? rig.image(ring))?.slot(2)
          shown[page + 0x800] = (try? rig.image(page))?.slot(0x800 / 8)
        } else {
          for _ in 0..<round / 40 % 40 { _ = rig.pq(1) }
          try? machine.setCPPR(0, UInt8(round % 8))
          _ = try? rig.load(page + 0xc00 + UInt64(round % 4) << 8)
        }
        meeting.come(thread, 2 * round + 1)
        guard thread == 0 else { continue }
        for update in rig.updates() { shown[update.offset] = update.bytes.slot(0) }
        let isTrue =
          shown[ring + 0x10] == (try? machine.ring(0))
          && shown[page + 0x800] == (try? rig.get(page))
        if !isTrue { wrong.wrappingAdd(1, ordering: .relaxed) }
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }

  /// Where two threads wait for each other.
  private final class Meeting: Sendable {
    private let places: InlineArray<2, Atomic<Int>> = .init { _ in Atomic(0) }

    func come(_ thread: Int, _ number: Int) {
      places[thread].store(number, ordering: .sequentiallyConsistent)
      var tries = 0
      while places[1 - thread].load(ordering: .sequentiallyConsistent) < number {
        tries += 1
        if tries % 1_000 == 0 { Threads.yield() }
      }
    }
  }

  /// Who acts on a connection while it changes.
  enum Entrant: CaseIterable { case access, regionAccess, fill }

  @Test("Disconnecting waits for an access that has found the vCPU", arguments: Entrant.allCases)
  func disconnectingWaits(entrant: Entrant) throws {
    let machine = try Machine(cpus: 1)
    let rig = machine.rig
    let stripe =
      rig.device.stripe(
        of: entrant == .access ? 2 * 4_096 : rig.tima(0, .os))
    let cell = rig.device.gate.enter(stripe: stripe)
    let isClosed = Atomic<Bool>(false)
    let early = Atomic<Bool>(false)
    let isConnectedInside = Atomic<Bool>(false)
    Threads.run(2) { thread in
      if thread == 0 {
        let isEarly = Threads.sees { isClosed.load(ordering: .sequentiallyConsistent) }
        early.store(isEarly, ordering: .sequentiallyConsistent)
        // Whoever is inside may still use what it has found.
        let word = rig.device.router.presenter.tima(of: Server(rawValue: 0)).os.word2
        isConnectedInside.store(word >> 31 == 1, ordering: .sequentiallyConsistent)
        rig.device.gate.leave(cell)
      } else {
        machine.disconnect(0)
        isClosed.store(true, ordering: .sequentiallyConsistent)
      }
    }
    let (isEarly, isConnected) = (
      early.load(ordering: .sequentiallyConsistent),
      isConnectedInside.load(ordering: .sequentiallyConsistent)
    )
    #expect(!isEarly && isConnected)
  }
}
