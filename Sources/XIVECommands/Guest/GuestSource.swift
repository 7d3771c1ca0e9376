internal import Synchronization
internal import XIVEModel

/// A source that the guest has a driver for, and the account of its events.
///
/// One thread sends, one handles, anybody looks.
final class GuestSource: Sendable {
  /// Who sends.
  enum Origin: Hashable, Sendable {
    /// A vCPU: an IPI.
    case vcpu(Int)
    /// A device: a message.
    case message(PHBIndex, HardwareIRQ)
    /// A device: a line that it holds until its driver has seen to it.
    case line(PHBIndex, HardwareIRQ)
  }

  let lisn: LISN
  let eisn: EISN
  let origin: Origin
  /// The vCPU that takes the events.
  let target: Int
  private let sent = Atomic<Int>(0)
  private let taken = Atomic<Int>(0)
  private let seen = Atomic<Int>(0)
  private let handlers = Atomic<Int>(0)

  init(_ lisn: LISN, eisn: EISN, from origin: Origin, to target: Int) {
    self.lisn = lisn
    self.eisn = eisn
    self.origin = origin
    self.target = target
  }

  /// IPIs go first.
  var priority: Priority {
    if case .vcpu = origin { GuestCPU.ipiPriority } else { GuestCPU.devicePriority }
  }

  /// Whether a device sends messages.
  var isMessage: Bool {
    if case .message = origin { true } else { false }
  }

  // MARK: - Sending

  /// Counts an event that is about to be sent.
  func send() { sent.wrappingAdd(1, ordering: .sequentiallyConsistent) }

  /// Takes that back: it could not be sent.
  func takeBack() { sent.wrappingSubtract(1, ordering: .sequentiallyConsistent) }

  // MARK: - Handling

  /// Begins to handle an event.
  func begin() { handlers.wrappingAdd(1, ordering: .sequentiallyConsistent) }

  /// Counts an event; from here on the next one may be sent, although this one has not been ended.
  /// - Returns: false when more events have come than were sent.
  func take() -> Bool {
    let all = sent.load(ordering: .sequentiallyConsistent)
    seen.store(all, ordering: .sequentiallyConsistent)
    return taken.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue <= all
  }

  /// The event has been ended.
  func end() { handlers.wrappingSubtract(1, ordering: .sequentiallyConsistent) }

  // MARK: - The account

  /// Events that have been sent and not taken; where sources merge events that may stay so.
  var outstanding: Int {
    sent.load(ordering: .sequentiallyConsistent) - taken.load(ordering: .sequentiallyConsistent)
  }

  /// Whether a handler has run after the last event was sent.
  var isSeen: Bool {
    seen.load(ordering: .sequentiallyConsistent) == sent.load(ordering: .sequentiallyConsistent)
  }

  /// Whether a handler is at work.
  var isHandled: Bool { handlers.load(ordering: .sequentiallyConsistent) > 0 }

  var sentCount: Int { sent.load(ordering: .sequentiallyConsistent) }
  var takenCount: Int { taken.load(ordering: .sequentiallyConsistent) }

  /// Gives up what has not been taken: it went elsewhere, and must not come any more.
  func writeOff() {
    sent.store(taken.load(ordering: .sequentiallyConsistent), ordering: .sequentiallyConsistent)
  }

  /// Begins a new account.
  func reset() {
    sent.store(0, ordering: .sequentiallyConsistent)
    taken.store(0, ordering: .sequentiallyConsistent)
    seen.store(0, ordering: .sequentiallyConsistent)
  }
}
