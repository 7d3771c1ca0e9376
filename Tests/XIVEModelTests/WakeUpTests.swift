import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@Suite("No trigger is lost between producers and the one who ends the interrupt")
struct WakeUpTests {
  @Test("With Linux's EOI of a message: SET_PQ_00, and a trigger if Q was set")
  func messageIdiom() {
    expectNothingLost { controller in
      let old = controller.access(.load, 0, .management, at: 0xc00)
      if let old, old & 0b01 != 0 { controller.access(.store, 0, .trigger, at: 0) }
    }
  }

  @Test("With an EOI by a load")
  func loadEOI() {
    expectNothingLost { $0.access(.load, 0, .management, at: 0) }
  }

  @Test("With an EOI by a store")
  func storeEOI() {
    expectNothingLost { $0.access(.store, 0, .management, at: 0x400) }
  }

  private func expectNothingLost(_ end: @escaping @Sendable (Controller<Doorbell>) -> Void) {
    let stress = Stress(end: end)
    Threads.run(1 + Stress.producerCount) { index in
      if index == 0 { stress.consume() } else { stress.produce(index - 1) }
    }
    let doorbell = stress.controller.router
    #expect(stress.lostRounds.load(ordering: .relaxed) == 0, "\(Seed.comment)")
    #expect(stress.unsettledRounds.load(ordering: .relaxed) == 0, "\(Seed.comment)")
    #expect(doorbell.surplus.load(ordering: .relaxed) == 0, "\(Seed.comment)")
    #expect(doorbell.rung.load(ordering: .relaxed) >= UInt64(Stress.roundCount))
    #expect(stress.controller.pq(of: 0) == 0b00)
  }
}

/// Tells the consumer of events, and notices one that came before the last was ended.
private final class Doorbell: EventRouter {
  /// Events so far.
  let rung = Atomic<UInt64>(0)
  /// Events that the consumer began to end.
  let ended = Atomic<UInt64>(0)
  /// Events forwarded while another was outstanding.
  let surplus = Atomic<UInt64>(0)

  func forward(_ lisn: LISN) {
    let number = rung.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue
    let isSurplus = number > ended.load(ordering: .acquiring) + 1
    if isSurplus { surplus.wrappingAdd(1, ordering: .relaxed) }
  }
}

/// Rounds of a few triggers from several producers; after each, the consumer must have seen them all.
///
/// A lost trigger is healed by the next one, so only the last ones of a round can show it: hence many
/// short rounds. What the producers write is ordered by the source's own state and nothing else.
private final class Stress: Sendable {
  static let producerCount = 3
  static let roundCount = 10_000

  let controller: Controller<Doorbell>
  let lostRounds = Atomic<Int>(0)
  let unsettledRounds = Atomic<Int>(0)
  private let end: @Sendable (Controller<Doorbell>) -> Void
  private let round = Atomic<Int>(0)
  private let finished = Atomic<Int>(0)
  private let payloads: InlineArray<3, Atomic<UInt64>> = .init { _ in Atomic(0) }

  init(end: @escaping @Sendable (Controller<Doorbell>) -> Void) {
    self.end = end
    controller = Controller(count: 1, storeEOI: true, router: Doorbell())
    controller.perform(.set(.reset), on: 0)
  }

  func produce(_ producer: Int) {
    var random = Seed.generator(stream: 100 + UInt64(producer))
    var written: UInt64 = 0
    for number in 1...Self.roundCount {
      while round.load(ordering: .acquiring) < number { Threads.yield() }
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        written += 1
        // A plain store, which orders nothing: that is the trigger's part.
        payloads[producer].store(written, ordering: .relaxed)
        controller.access(.store, 0, .trigger, at: 0)
      }
      finished.wrappingAdd(1, ordering: .releasing)
    }
  }

  func consume() {
    for number in 1...Self.roundCount {
      let seen = consumeRound(number)
      if seen != current() { lostRounds.wrappingAdd(1, ordering: .relaxed) }
      if controller.pq(of: 0) != 0b00 { unsettledRounds.wrappingAdd(1, ordering: .relaxed) }
      // A broken source must not break all later rounds too.
      controller.perform(.set(.reset), on: 0)
    }
  }

  /// Starts a round and handles its events until nothing more can come.
  private func consumeRound(_ number: Int) -> [UInt64] {
    var seen: [UInt64] = []
    round.store(number, ordering: .releasing)
    while true {
      let isLast = finished.load(ordering: .acquiring) == number * Self.producerCount
      let isRung = doorbellIsRung()
      if isLast && !isRung { return seen }
      if isRung { seen = handleEvent() } else { Threads.yield() }
    }
  }

  private func doorbellIsRung() -> Bool {
    let ended = controller.router.ended.load(ordering: .relaxed)
    return controller.router.rung.load(ordering: .acquiring) > ended
  }

  /// What a driver does: looks at its device, then ends the interrupt.
  private func handleEvent() -> [UInt64] {
    let seen = current()
    controller.router.ended.wrappingAdd(1, ordering: .releasing)
    end(controller)
    return seen
  }

  private func current() -> [UInt64] {
    payloads.indices.map { payloads[$0].load(ordering: .relaxed) }
  }
}
