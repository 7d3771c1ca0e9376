import PagedDevice
import Synchronization
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Why pages are filled again", .hangGuard)
struct TraceHistoryTests {
  /// What a page's next fill is told, kept the slow way.
  private struct SlowHistory {
    private enum Page { case here, gone(TraceCause), going(TraceCause) }
    private var pages: [UInt64: Page] = [:]

    mutating func filled(_ page: UInt64) -> TraceCause {
      switch pages[page] {
      case nil:
        pages[page] = .here
        return .firstTouch
      case .here: return .reclaim
      case .gone(let cause):
        pages[page] = .here
        return cause
      case .going(let cause): return cause
      }
    }

    mutating func dropped(_ range: Range<UInt64>, _ cause: TraceCause, isDone: Bool) {
      for page in pages.keys where page + 4_096 > range.lowerBound && page < range.upperBound {
        switch pages[page] {
        case .here: pages[page] = isDone ? .gone(cause) : .going(cause)
        case .going(let first) where isDone: pages[page] = .gone(first)
        // It stays gone for its first reason.
        case .going, .gone, nil: break
        }
      }
    }
  }

  @Test("Random fills and zaps, whole, of parts, and of more pages than there are, as a slow model")
  func model() {
    var random = Seed.generator(stream: 900)
    let causes: [TraceCause] = [.map, .unmap, .unplug, .store, .vcpu]
    for _ in 0..<40 {
      let history = PageHistory(count: 4_096, isWhole: true)
      var slow = SlowHistory()
      var going: (Range<UInt64>, TraceCause)?
      for step in 0..<2_000 {
        let page = (1 << 28 | UInt64.random(in: 0..<300, using: &random)) << 12
        switch UInt64.random(in: 0..<8, using: &random) {
        case 0 where going == nil:
          let bytes = UInt64.random(in: 1..<200_000, using: &random)
          let range = page + 8..<page + 8 + bytes
          going = (range, causes.randomElement(using: &random) ?? .map)
          history.dropped(range, going?.1 ?? .map, isDone: false)
          slow.dropped(range, going?.1 ?? .map, isDone: false)
        case 1:
          guard let (range, cause) = going else { continue }
          history.dropped(range, cause, isDone: true)
          slow.dropped(range, cause, isDone: true)
          going = nil
        case 2 where step % 50 == 0 && going == nil:
          // More pages than the table has places.
          history.dropped(1 << 40..<2 << 40, .unplug, isDone: true)
          slow.dropped(1 << 40..<2 << 40, .unplug, isDone: true)
        default:
          #expect(history.filled(page) == slow.filled(page), Comment(rawValue: Seed.comment))
        }
      }
    }
  }

  @Test("What finds no room has an unknown cause, never a wrong one")
  func full() {
    let history = PageHistory(count: 64, isWhole: true)
    var remembered = 0
    for page in UInt64(0)..<1_000 {
      let first = history.filled(page << 12)
      #expect(first == .firstTouch || first == .unknown)
      history.dropped(page << 12..<(page + 1) << 12, .map, isDone: true)
      let second = history.filled(page << 12)
      #expect(second == (first == .firstTouch ? .map : .unknown))
      remembered += first == .firstTouch ? 1 : 0
    }
    #expect(remembered == 64)
  }

  @Test("Pages that were filled before anybody followed are unknown, then remembered")
  func unknown() {
    let history = PageHistory(count: 64, isWhole: false)
    #expect(history.filled(0x1000) == .unknown && history.filled(0x1000) == .reclaim)
    history.forget(isWhole: true)
    #expect(history.filled(0x1000) == .firstTouch)
    history.forget(isWhole: false)
    #expect(history.filled(0x1000) == .unknown)
  }

  @Test("Threads that fill the same pages at once: one of them is the first")
  func race() {
    let rounds = 200
    let pages: UInt64 = 64
    for _ in 0..<rounds {
      let history = PageHistory(count: 1_024, isWhole: true)
      let firsts = Tally()
      Threads.run(4) { _ in
        for page in 0..<pages where history.filled(page << 12) == .firstTouch { firsts.add() }
      }
      #expect(firsts.count == Int(pages))
    }
  }

  @Test("Exact stores drop pages, cached ones do not, nor do loads")
  func stores() {
    let rig = Rig.traced()
    let page = rig.offset(1, .trigger)
    let causes = rig.trace {
      rig.touch(page)
      rig.exactStore(page + 8)
      rig.touch(page)
      rig.exactStore(page, dropsPage: false)
      rig.touch(page)
      rig.exactLoad(rig.offset(1, .management) + 0x800)
      rig.touch(page)
      // A neighbour's page goes with its own stores alone.
      rig.exactStore(rig.offset(2, .trigger))
      rig.touch(page)
    }
    .filter { $0.kind == .fill }.map(\.cause)
    #expect(causes == [.firstTouch, .store, .reclaim, .reclaim, .reclaim])
  }

  @Test("Every reason to drop pages is the cause of the next fill")
  func reasons() {
    let reasons: [(DropReason, TraceCause)] = [
      (.map, .map), (.unmap, .unmap), (.unplug, .unplug), (.vcpu, .vcpu), (.cachedStore, .store),
      (.other, .unknown),
    ]
    for (reason, cause) in reasons {
      let rig = Rig.traced()
      let page = rig.offset(1, .trigger)
      let found = rig.trace {
        rig.touch(page)
        rig.zap(page..<page + 8_192, reason)
        rig.touch(page)
        rig.touch(page)
      }
      #expect(found.kinds == [.fill, .zap, .fill, .fill])
      #expect(found[1].cause == cause && found[2].cause == cause && found[3].cause == .reclaim)
    }
  }

  /// Which of some refusals of a page to thread 1, a microsecond apart, are told as repetitions.
  private func repetitions(_ refusals: RefusedFills, _ count: Int, at time: UInt64 = 0) -> [Bool] {
    (0..<count).map {
      refusals.isRepetition(of: 0x1000, for: 1, at: time + UInt64($0) * 1_000)
    }
  }

  @Test("A fault is two refusals, and three where one before has left its page in the cache")
  func refusals() {
    let refusals = RefusedFills()
    #expect(repetitions(refusals, 5) == [false, true, false, true, true])
    // Gone, so that the next fault does not find it.
    refusals.forget(0x1000..<0x2000)
    #expect(repetitions(refusals, 4) == [false, true, false, true])
    #expect(repetitions(refusals, 1) == [true])
    refusals.forget(0..<1 << 40)
    #expect(repetitions(refusals, 2) == [false, true])
    refusals.forget(0x1000)
    refusals.leave(0x1000)
    #expect(repetitions(refusals, 4) == [false, true, true, false])
  }

  @Test("A fault that got its page after all leaves no repetition to wait for")
  func settled() {
    let refusals = RefusedFills()
    #expect(repetitions(refusals, 1) == [false])
    refusals.settle(0x1000, for: 2)
    refusals.settle(0x2000, for: 1)
    #expect(repetitions(refusals, 1) == [true], "another's page, or another page")
    refusals.forget(0x1000)
    #expect(repetitions(refusals, 1) == [false])
    refusals.settle(0x1000, for: 1)
    refusals.forget(0x1000)
    #expect(repetitions(refusals, 2) == [false, true])
  }

  @Test(
    "Refusals of other pages and to other threads are faults of their own; a pause begins a new one"
  )
  func otherRefusals() {
    let refusals = RefusedFills()
    #expect(!refusals.isRepetition(of: 0x1000, for: 1, at: 0))
    #expect(!refusals.isRepetition(of: 0x2000, for: 1, at: 0))
    #expect(!refusals.isRepetition(of: 0x1000, for: 2, at: 0))
    #expect(refusals.isRepetition(of: 0x1000, for: 1, at: 0))
    // The second thread has found the page of the first.
    #expect(refusals.isRepetition(of: 0x1000, for: 2, at: 0))
    #expect(refusals.isRepetition(of: 0x1000, for: 2, at: 0))
    #expect(!refusals.isRepetition(of: 0x1000, for: 2, at: 0))
    let later: UInt64 = 200_000_000
    #expect(!refusals.isRepetition(of: 0x1000, for: 2, at: later))
    #expect(refusals.isRepetition(of: 0x1000, for: 2, at: later + 50_000_000))
    #expect(refusals.isRepetition(of: 0x1000, for: 2, at: later + 100_000_000))
    // Many pages in between never make a repetition of what is none.
    #expect(!(UInt64(16)..<5_000).contains { refusals.isRepetition(of: $0 << 12, for: 3, at: 0) })
  }
}

/// Counts on any thread.
final class Tally: Sendable {
  private let value = Atomic<Int>(0)
  var count: Int { value.load(ordering: .sequentiallyConsistent) }
  func add() { value.wrappingAdd(1, ordering: .sequentiallyConsistent) }
}
