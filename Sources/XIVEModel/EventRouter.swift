internal import Synchronization

/// Takes the events that leave the sources.
///
/// Called on whatever thread performed the access; must not block.
public protocol EventRouter: Sendable {
  /// Routes one event.
  /// - Parameter lisn: the source that it comes from.
  func forward(_ lisn: LISN)
}

/// Counts events and, unless somebody stands behind it, drops them: what a controller without routing does.
public final class CountingRouter: EventRouter {
  private let counter = StripedCounter()
  private let next: (any EventRouter)?

  /// Creates a router that has seen nothing.
  /// - Parameter next: who gets each event after it was counted; nil: nobody.
  public init(passingTo next: (any EventRouter)? = nil) { self.next = next }

  /// Events seen so far.
  public var count: UInt64 { counter.value }

  /// Counts one event and passes it on.
  /// - Parameter lisn: the source that it comes from.
  public func forward(_ lisn: LISN) {
    counter.add(1, stripe: Int(lisn.rawValue))
    next?.forward(lisn)
  }
}

/// A count that many threads add to without sharing a cache line.
public struct StripedCounter: ~Copyable, Sendable {
  private struct Stripe: ~Copyable {
    let value = Atomic<UInt64>(0)
    // Fills the line, so that the next stripe lies in another one.
    let padding: InlineArray<7, UInt64> = .init(repeating: 0)
  }
  private let stripes: InlineArray<16, Stripe> = .init { _ in Stripe() }

  /// Creates a count of zero.
  public init() {}

  /// The sum at this moment.
  public var value: UInt64 {
    var sum: UInt64 = 0
    for index in stripes.indices { sum &+= stripes[index].value.load(ordering: .relaxed) }
    return sum
  }

  /// Adds to the count.
  /// - Parameters:
  ///   - amount: what to add.
  ///   - stripe: any number that differs between threads that add at once.
  public func add(_ amount: UInt64, stripe: Int) {
    stripes[stripe & 15].value.wrappingAdd(amount, ordering: .relaxed)
  }
}
