import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@Suite("Many threads on the same sources")
struct ConcurrencyTests {
  private static let threadCount = 4

  @Test("Triggers from all threads make one event, and an EOI makes exactly one more")
  func coalescing() {
    let controller = Controller(count: 1)
    controller.perform(.set(.reset), on: 0)
    Threads.run(Self.threadCount) { _ in
      for _ in 0..<10_000 { controller.perform(.trigger, on: 0) }
    }
    #expect(controller.router.count == 1)
    #expect(controller.pq(of: 0) == 0b11)
    #expect(controller.perform(.endOfInterrupt, on: 0) == 1)
    #expect(controller.perform(.endOfInterrupt, on: 0) == 0)
    #expect(controller.router.count == 2)
  }

  @Test("Of all threads that trigger a ready source, exactly one forwards the event")
  func oneTriggerWins() {
    let controller = Controller(count: 10_000)
    for source: UInt32 in 0..<10_000 { controller.perform(.set(.reset), on: source) }
    Threads.run(Self.threadCount) { _ in
      for source: UInt32 in 0..<10_000 { controller.perform(.trigger, on: source) }
    }
    #expect(controller.router.count == 10_000)
    #expect((0..<10_000).allSatisfy { controller.pq(of: $0) == 0b11 })
  }

  @Test("Of all threads that end a queued interrupt, exactly one gets the value 1")
  func oneEndWins() {
    let controller = Controller(count: 10_000)
    for source: UInt32 in 0..<10_000 { controller.perform(.set(.queued), on: source) }
    let values = Atomic<UInt64>(0)
    Threads.run(Self.threadCount) { _ in
      for source: UInt32 in 0..<10_000 {
        let value = controller.perform(.endOfInterrupt, on: source)
        values.wrappingAdd(value, ordering: .relaxed)
      }
    }
    #expect(values.load(ordering: .relaxed) == 10_000)
    #expect(controller.router.count == 10_000)
    #expect((0..<10_000).allSatisfy { controller.pq(of: $0) == 0b00 })
  }

  @Test("P rises and falls as often as the threads were told")
  func balance() {
    let controller = Controller(count: 1)
    controller.perform(.set(.reset), on: 0)
    let rises = Atomic<Int>(0)
    Threads.run(Self.threadCount) { index in
      let sum = Self.hammer(controller, Seed.generator(stream: 200 + UInt64(index)))
      rises.wrappingAdd(sum, ordering: .relaxed)
    }
    let pending = Int(controller.pq(of: 0) >> 1)
    let forwarded = Int(controller.router.count)
    #expect(forwarded + rises.load(ordering: .relaxed) == pending, "\(Seed.comment)")
  }

  /// Triggers and SET_PQ at random; returns how often a SET_PQ raised P, less how often one lowered it.
  private static func hammer(
    _ controller: Controller<CountingRouter>, _ seeded: SplitMix64
  ) -> Int {
    var random = seeded
    var rises = 0
    for _ in 0..<20_000 {
      let new = PQ.allCases[.random(in: 0..<4, using: &random)]
      if Bool.random(using: &random) {
        controller.perform(.trigger, on: 0)
      } else {
        let old = controller.perform(.set(new), on: 0)
        rises += Int(new.rawValue >> 1) - Int(old >> 1)
      }
    }
    return rises
  }

  @Test("Threads on neighbouring sources do not see each other")
  func neighbours() {
    let controller = Controller(count: 128, storeEOI: true)
    let differences = Atomic<Int>(0)
    Threads.run(Self.threadCount) { index in
      let source = UInt32(index)
      var random = Seed.generator(stream: 300 + UInt64(index))
      var reference = ReferenceModel(count: 1, supportsStoreEOI: true)
      for _ in 0..<10_000 {
        let access: VectorAccess = Bool.random(using: &random) ? .load : .store
        let offset = UInt64.random(in: 0..<0x200, using: &random) * 8
        let value = controller.access(access, source, .management, at: offset)
        let expected = reference.perform(access, source: 0, .management, at: offset)
        if value != expected { differences.wrappingAdd(1, ordering: .relaxed) }
      }
      let isSame = controller.pq(of: source) == reference.sources[0].pq
      if !isSame { differences.wrappingAdd(1, ordering: .relaxed) }
    }
    #expect(differences.load(ordering: .relaxed) == 0, "\(Seed.comment)")
  }

  @Test("A count that all threads add to is exact")
  func stripedCounter() {
    let router = CountingRouter()
    Threads.run(Self.threadCount) { index in
      for step in 0..<10_000 { router.forward(LISN(rawValue: UInt32(index * step))) }
    }
    #expect(router.count == UInt64(Self.threadCount) * 10_000)
  }
}
