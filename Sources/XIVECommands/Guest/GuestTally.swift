internal import Synchronization

/// What the threads of a run count.
final class GuestTally: Sendable {
  let ipis = Count()
  let messages = Count()
  let levels = Count()
  /// EOIs that found one more event queued in the source.
  let retriggered = Count()
  /// Acknowledgements whose queue had been read already.
  let spurious = Count()
  /// Times that the scheduler kept a vCPU from running.
  let preemptions = Count()
  /// Times that a device was unplugged.
  let unplugs = Count()
  /// Events that were queued in an interrupt of a device that went, or came later: they went to the host.
  let toHost = Count()
  /// Events that an EOI sent to a source whose device had just gone: they waited there, at PQ 11.
  let kept = Count()

  /// Counts an event that has been handled.
  func add(_ origin: GuestSource.Origin) {
    switch origin {
    case .vcpu: ipis.add()
    case .message: messages.add()
    case .line: levels.add()
    }
  }
}

/// A number that several threads add to.
struct Count: ~Copyable, Sendable {
  private let value = Atomic<Int>(0)

  /// The sum so far.
  var count: Int { value.load(ordering: .relaxed) }

  /// Adds to it.
  func add(_ more: Int = 1) { value.wrappingAdd(more, ordering: .relaxed) }
}
