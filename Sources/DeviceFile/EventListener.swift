internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The thread that waits for all eventfds that a device listens to, and calls whoever listens.
///
/// It serves no requests, and nobody waits for it but whoever stops listening. No consumer can hold it up: it never waits
/// for an eventfd, and one that is always raised gets one call in a round, as all others.
final class EventListener: Sendable {
  private struct Listened {
    weak var event: CallersEvent?
  }

  private struct State {
    /// Whose descriptors are in the set; those that nobody holds any more take themselves out.
    var listened: [UInt64: Listened] = [:]
    /// Never used twice: a number that was found just before it was taken out leads nowhere.
    var nextNumber: UInt64 = 1
  }

  /// The stop event's number.
  private static let stopNumber: UInt64 = 0

  /// What adds to eventfds.
  let raiser: EventRaiser
  private let epoll: Epoll
  private let stopEvent: Event
  private let stopping = Atomic<Bool>(false)
  private let state = Mutex(State())

  init() throws(DeviceFileError) {
    do {
      raiser = try EventRaiser()
      epoll = try Epoll()
      stopEvent = try Event()
      try epoll.add(stopEvent.rawValue, as: Self.stopNumber)
    } catch { throw .system("epoll", error) }
  }

  /// Calls those who listen until stopped; the body of the thread.
  func run() {
    var ready = [UInt64](repeating: 0, count: 64)
    while !stopping.load(ordering: .sequentiallyConsistent) { hear(&ready, milliseconds: -1) }
    stopEvent.lower()
    // What was raised before is heard: one round, for somebody may go on raising.
    var left = state.withLock { $0.listened.count }
    while left > 0 {
      let count = hear(&ready, milliseconds: 0)
      if count == 0 { return }
      left -= count
    }
  }

  /// Makes ``run()`` return once everything that was raised before has been heard.
  func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    stopEvent.raise()
  }

  @discardableResult
  private func hear(_ ready: inout [UInt64], milliseconds: CInt) -> Int {
    let count = epoll.wait(into: &ready, milliseconds: milliseconds)
    for number in ready[..<count] where number != Self.stopNumber {
      state.withLock({ $0.listened[number]?.event })?.hear()
    }
    return count
  }

  /// Waits for an eventfd, too.
  /// - Returns: the number to take it out by.
  func add(_ event: CallersEvent, _ descriptor: borrowing OwnedDescriptor) throws(Errno) -> UInt64 {
    let number = state.withLock { state in
      defer { state.nextNumber += 1 }
      state.listened[state.nextNumber] = Listened(event: event)
      return state.nextNumber
    }
    do { try epoll.add(descriptor.rawValue, as: number) } catch {
      forget(number)
      throw error
    }
    return number
  }

  /// Does not wait for an eventfd any more; a call that is under way goes on.
  func remove(_ number: UInt64, _ descriptor: borrowing OwnedDescriptor) {
    // The caller keeps its own descriptor open, which would keep the eventfd in the set when ours is closed.
    try? epoll.remove(descriptor.rawValue)
    forget(number)
  }

  private func forget(_ number: UInt64) { state.withLock { $0.listened[number] = nil } }
}
