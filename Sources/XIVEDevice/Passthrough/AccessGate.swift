internal import Glibc
internal import Synchronization
internal import XIVEModel

/// Lets whoever replaces something wait until nobody acts on what was there before.
///
/// Those who look something up and then act on it do both inside the gate: two atomic additions, no waiting.
/// Whoever has published a replacement drains the gate: when that returns, everyone who could have looked before
/// has left. Two counters in turns, as sleepable RCU has them, so that those who come later hold nobody up.
/// Source: Linux `kernel/rcu/srcutree.c` for the idea.
struct AccessGate: ~Copyable, Sendable {
  private struct Stripe: ~Copyable {
    let inside = Atomic<Int>(0)
    // Fills the line, so that the next stripe lies in another one.
    let padding: InlineArray<7, UInt64> = .init(repeating: 0)
  }
  private static let stripeCount = 16
  /// The stripes of turn 0, then those of turn 1.
  private let stripes: InlineArray<32, Stripe> = .init { _ in Stripe() }
  /// Which of them those who come in now are counted in.
  let turn = Atomic<Int>(0)
  private let drainers = OrderedMutex(.drain, ())

  /// Looks something up and acts on it; the body must not wait for a request, for the notifier, or for a drain.
  ///
  /// The stripe is any number that differs between threads that are inside at once.
  func pass<Result, Failure>(stripe: Int, _ body: () throws(Failure) -> Result) throws(Failure)
    -> Result
  {
    let cell = enter(stripe: stripe)
    defer { leave(cell) }
    return try body()
  }

  /// Goes in; sequentially consistent, so that what is looked up is looked up afterwards.
  func enter(stripe: Int) -> Int {
    enter(stripe: stripe, turn: turn.load(ordering: .sequentiallyConsistent))
  }

  /// Goes in on a turn that was read, which drains may have changed since.
  func enter(stripe: Int, turn: Int) -> Int {
    let cell = turn * Self.stripeCount + stripe & (Self.stripeCount - 1)
    stripes[cell].inside.wrappingAdd(1, ordering: .sequentiallyConsistent)
    return cell
  }

  func leave(_ cell: Int) {
    stripes[cell].inside.wrappingSubtract(1, ordering: .sequentiallyConsistent)
  }

  /// Waits until everyone has left who went in before the call.
  ///
  /// Who is inside never waits, so that this takes as long as an access does.
  func drain() {
    drainers.withLock { _ in
      // Twice: one who read the turn before the last drain may have counted itself in only now.
      for _ in 0..<2 {
        let old = turn.load(ordering: .sequentiallyConsistent)
        turn.store(1 - old, ordering: .sequentiallyConsistent)
        for cell in old * Self.stripeCount..<(old + 1) * Self.stripeCount {
          while stripes[cell].inside.load(ordering: .sequentiallyConsistent) != 0 { sched_yield() }
        }
      }
    }
  }
}
