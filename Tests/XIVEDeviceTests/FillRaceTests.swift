import PagedDevice
import Synchronization
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

/// A fill and a change of PQ at once: whatever the order, consumers end up with the true PQ.
@Suite("Fills that race with changes")
struct FillRaceTests {
  /// One step of a fill or of a change, as `resolve` and `perform` take them one by one.
  private enum Step { case watch, read, change, look }

  /// Takes the steps in an order and delivers what is left to deliver.
  /// - Returns: what consumers see and what is true.
  private func shown(_ steps: [Step]) -> (seen: PQ, true: PQ) {
    let rig = Rig()
    let lisn = LISN(rawValue: 1)
    rig.setPQ(1, .reset)
    var seen = PQ.off
    for step in steps {
      switch step {
      case .watch: rig.device.watched.watch(1, WatchedPart(.management, .esb, part: 0))
      case .read: seen = rig.pq(1)
      case .change: rig.device.engine.perform(.set(.queued), on: lisn)
      case .look: rig.device.refresh(lisn)
      }
    }
    if let update = rig.updates().last { seen = PQ(rawValue: UInt8(update.bytes.slot(0))) }
    return (seen, rig.pq(1))
  }

  @Test("No order of the steps leaves an old PQ behind")
  func orders() {
    //  fill    change        fill    change        fill    change
    //  watch                 watch                 watch
    //  read                          change                change
    //          change        read                          look
    //          look                  look          read
    //
    //          change                change                change
    //  watch                 watch                         look
    //  read                          look          watch
    //          look          read                  read
    let orders: [[Step]] = [
      [.watch, .read, .change, .look], [.watch, .change, .read, .look],
      [.watch, .change, .look, .read], [.change, .watch, .read, .look],
      [.change, .watch, .look, .read], [.change, .look, .watch, .read],
    ]
    for order in orders {
      let result = shown(order)
      #expect(result.seen == result.true, "\(order)")
    }
  }

  @Test("Were PQ read before the page is watched, a change could be lost")
  func wrongOrder() {
    //  fill    change
    //  read
    //          change
    //          look     nobody watches: nothing to do
    //  watch
    let result = shown([.read, .change, .look, .watch])
    #expect(result.seen == .reset && result.true == .queued)
  }

  @Test(
    "After all is quiet the last PQ that was filled or delivered is the true one",
    arguments: ESBWindow.allCases)
  func stress(window: ESBWindow) {
    let count: UInt32 = 20_000
    let rig = Rig(sources: count, existing: count)
    let pageCache = PageCache()
    let gate = Gate()
    let running = Atomic<Int>(2)
    Threads.run(3) { thread in
      switch thread {
      case 0:
        for source in 0..<count {
          gate.pass(0, Int(source))
          pageCache.fill(rig, rig.offset(source, .management, window))
        }
        running.wrappingSubtract(1, ordering: .sequentiallyConsistent)
      case 1:
        for source in 0..<count {
          gate.pass(1, Int(source))
          // A little jitter, so that the change falls before, into and behind the fill.
          for _ in 0..<source % 32 { _ = rig.pq(source) }
          rig.setPQ(source, .pending)
        }
        running.wrappingSubtract(1, ordering: .sequentiallyConsistent)
      default:
        while running.load(ordering: .sequentiallyConsistent) > 0 {
          rig.device.takeUpdates { pageCache.deliver($0) }
          Threads.yield()
        }
      }
    }
    rig.device.takeUpdates { pageCache.deliver($0) }
    let wrong = (0..<count).filter {
      pageCache.pq(at: rig.offset($0, .management, window)) != rig.pq($0)
    }
    #expect(wrong.isEmpty)
  }
}

/// What the kernel holds of the management pages: the first slot of each PQ window.
private final class PageCache: @unchecked Sendable {
  // @unchecked Sendable: the lock guards the pages. It is the page lock: a delivery waits for the fill. Not a
  // Mutex, which the thread sanitizer does not understand on Linux.
  private let isLocked = Atomic<Bool>(false)
  private var pages: [UInt64: PQ] = [:]

  private func withLock(_ body: () -> Void) {
    while isLocked.exchange(true, ordering: .acquiring) { Threads.yield() }
    body()
    isLocked.store(false, ordering: .releasing)
  }

  func fill(_ rig: Rig, _ page: UInt64) {
    withLock {
      guard let image = try? rig.device.image(at: page) else { return }
      pages[page] = PQ(rawValue: unsafe image.body[0x807])
    }
  }

  func deliver(_ update: PageUpdate) {
    withLock { pages[update.offset - 0x800] = PQ(rawValue: unsafe update.bytes[7]) }
  }

  /// To be asked once the threads have ended.
  func pq(at page: UInt64) -> PQ? { pages[page] }
}

/// Two threads that begin each round together.
private final class Gate: Sendable {
  private let rounds: InlineArray<2, Atomic<Int>> = .init { _ in Atomic(-1) }

  func pass(_ thread: Int, _ round: Int) {
    rounds[thread].store(round, ordering: .sequentiallyConsistent)
    var tries = 0
    while rounds[1 - thread].load(ordering: .sequentiallyConsistent) < round {
      tries += 1
      // On a single CPU the other thread can only come if this one lets it.
      if tries % 1_000 == 0 { Threads.yield() }
    }
  }
}
