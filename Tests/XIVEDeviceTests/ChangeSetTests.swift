import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("The set of changed sources")
struct ChangeSetTests {
  private static let sizes = Array(1...130) + [4_095, 4_096, 4_097, 8_192, 8_200]

  private func drained(_ set: ChangeSet) -> [UInt32] {
    var sources: [UInt32] = []
    set.drain { sources.append(UInt32($0)) }
    return sources
  }

  @Test("Every source alone comes out once and is the reason to wake", arguments: sizes)
  func single(size: Int) {
    let set = ChangeSet(count: size)
    for source in 0..<UInt32(size) {
      let wakes = set.insert(Int(source))
      let again = set.insert(Int(source))
      #expect(wakes && !again, "source \(source)")
      #expect(drained(set) == [source])
      #expect(drained(set).isEmpty)
    }
  }

  @Test("All sources come out in ascending order, with one wake-up a leaf", arguments: sizes)
  func all(size: Int) {
    let set = ChangeSet(count: size)
    let wakes = (0..<UInt32(size)).reversed().count { set.insert(Int($0)) }
    #expect(wakes == (size + 63) / 64)
    #expect(drained(set) == Array(0..<UInt32(size)))
    #expect(drained(set).isEmpty)
  }

  @Test("Every subset comes out as it went in", arguments: 1...10)
  func subsets(size: Int) {
    // The second set spreads the members over leaves.
    for stride: UInt32 in [1, 37] {
      let set = ChangeSet(count: size * Int(stride))
      for subset in 0..<1 << UInt32(size) {
        let members = (0..<UInt32(size)).filter { subset >> $0 & 1 == 1 }.map { $0 * stride }
        for member in members { _ = set.insert(Int(member)) }
        #expect(drained(set) == members)
      }
    }
  }

  @Test("What is added while the set is emptied comes out then or the next time")
  func insertionWhileDraining() {
    let set = ChangeSet(count: 256)
    for source: UInt32 in [3, 70] { _ = set.insert(Int(source)) }
    var taken: [UInt32] = []
    var wakes: [Bool] = []
    set.drain { source in
      taken.append(UInt32(source))
      guard source == 3 else { return }
      // The leaf of 3 is empty now; that of 70 is still to come; that of 200 was empty all the time.
      for other in [3, 4, 71, 200] { wakes.append(set.insert(other)) }
    }
    #expect(taken == [3, 70, 71])
    #expect(wakes == [true, false, false, true])
    #expect(drained(set) == [3, 4, 200])
  }

  @Test(
    "Threads that add and one that empties on wake-ups alone lose nothing",
    arguments: [1, 64, 200, 5_000])
  func concurrency(size: Int) {
    let set = ChangeSet(count: size)
    let versions = Versions(count: size)
    let isAwake = Atomic<Bool>(false)
    let running = Atomic<Int>(3)
    Threads.run(4) { thread in
      guard thread > 0 else {
        while running.load(ordering: .sequentiallyConsistent) > 0 {
          if isAwake.exchange(false, ordering: .sequentiallyConsistent) { versions.note(set) }
          Threads.yield()
        }
        return
      }
      var random = Seed.generator(stream: 60 + UInt64(thread))
      for _ in 0..<20_000 {
        let source = Int(random.next() % UInt64(size))
        versions.change(source)
        if set.insert(source) {
          isAwake.store(true, ordering: .sequentiallyConsistent)
        }
      }
      running.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    }
    if isAwake.load(ordering: .sequentiallyConsistent) { versions.note(set) }
    #expect(versions.missed.isEmpty, "\(Seed.comment)")
  }

  /// Whether a condition comes true before long.
  private static func waits(for condition: () -> Bool) -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    var tries = 0
    while !condition() {
      tries += 1
      guard tries % 100 == 0 else { continue }
      if ContinuousClock.now > deadline { return false }
      Threads.yield()
    }
    return true
  }

  @Test("A single change is taken out by its own wake-up, also while the set is being emptied")
  func noChangeWaits() {
    let set = ChangeSet(count: 128)
    let changed = Atomic<Int>(0)
    let noted = Atomic<Int>(0)
    let isAwake = Atomic<Bool>(false)
    let isOver = Atomic<Bool>(false)
    let stuck = Atomic<Int>(0)
    let insert: @Sendable (UInt32) -> Void = { source in
      if set.insert(Int(source)) {
        isAwake.store(true, ordering: .sequentiallyConsistent)
      }
    }
    Threads.run(3) { thread in
      switch thread {
      case 0:
        for round in 1...20_000 {
          changed.store(round, ordering: .sequentiallyConsistent)
          insert(0)
          guard Self.waits(for: { noted.load(ordering: .sequentiallyConsistent) >= round }) else {
            stuck.store(round, ordering: .sequentiallyConsistent)
            break
          }
        }
        isOver.store(true, ordering: .sequentiallyConsistent)
      case 1:
        // Keeps the set being emptied; its source lies in another leaf.
        while !isOver.load(ordering: .sequentiallyConsistent) { insert(64) }
      default:
        while !isOver.load(ordering: .sequentiallyConsistent) {
          guard isAwake.exchange(false, ordering: .sequentiallyConsistent) else { continue }
          set.drain { source in
            guard source == 0 else { return }
            let now = changed.load(ordering: .sequentiallyConsistent)
            noted.store(now, ordering: .sequentiallyConsistent)
          }
        }
      }
    }
    #expect(
      stuck.load(ordering: .sequentiallyConsistent) == 0,
      "the change of this round stays in the set")
  }
}

/// How often each source has changed, and how often it had when it was last taken out.
@safe
private final class Versions: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`; `current` is atomic, `noted`
  // belongs to the thread that empties the set, and to the test once the threads have ended.
  private let current: UnsafeMutableBufferPointer<Atomic<Int>>
  private var noted: [Int]

  init(count: Int) {
    unsafe current = .allocate(capacity: count)
    for index in 0..<count { unsafe current.initializeElement(at: index, to: Atomic(0)) }
    noted = Array(repeating: 0, count: count)
  }

  deinit {
    unsafe current.deinitialize()
    unsafe current.deallocate()
  }

  func change(_ source: Int) {
    unsafe current[source].wrappingAdd(1, ordering: .sequentiallyConsistent)
  }

  func note(_ set: ChangeSet) { set.drain { noted[$0] = self[$0] } }

  /// The sources whose last change nobody has seen.
  var missed: [Int] { noted.indices.filter { noted[$0] != self[$0] } }

  private subscript(source: Int) -> Int {
    unsafe current[source].load(ordering: .sequentiallyConsistent)
  }
}
