internal import Synchronization
internal import SystemCalls
internal import XIVEClient
internal import XIVEModel

/// One run of the guest: what may still be sent, what has been counted, what went wrong. Safe from any thread.
final class GuestRun: Sendable {
  /// How events follow each other.
  enum Mode: Hashable, Sendable {
    /// The next event of a source is sent when the one before has been taken: each must come, and once.
    case oneByOne
    /// Events are sent without a look: sources merge them, and what was sent last must be seen.
    case free
  }

  let mode: Mode
  let sources: [GuestSource]
  let tally = GuestTally()
  private let budget: Atomic<Int>
  private let isStopped = Atomic<Bool>(false)
  private let stop: Event
  private let firstFailure = Mutex<String?>(nil)

  init(_ mode: Mode, _ sources: [GuestSource], events: Int) throws {
    self.mode = mode
    self.sources = sources
    budget = Atomic(events)
    stop = try Event()
  }

  // MARK: - Sending

  /// Allows or refuses the next event of a source.
  func claim(_ source: GuestSource) -> Bool {
    guard mode == .free || source.outstanding == 0 else { return false }
    guard budget.wrappingSubtract(1, ordering: .sequentiallyConsistent).oldValue > 0 else {
      budget.wrappingAdd(1, ordering: .sequentiallyConsistent)
      return false
    }
    source.send()
    return true
  }

  /// Takes back an event that could not be sent.
  func giveBack(_ source: GuestSource) {
    source.takeBack()
    budget.wrappingAdd(1, ordering: .sequentiallyConsistent)
  }

  /// Whether everything has been sent.
  var isSpent: Bool { budget.load(ordering: .sequentiallyConsistent) <= 0 }

  // MARK: - Handling

  /// The source that an entry of a queue names.
  func source(_ eisn: EISN) -> GuestSource? { sources.first { $0.eisn == eisn } }

  /// Waits for an interrupt.
  /// - Returns: false when the run is over.
  func waits(for descriptor: CInt) -> Bool {
    while !isOver {
      if Readiness.wait(descriptor, stop.rawValue).contains(.first) { return !isOver }
    }
    return false
  }

  // MARK: - Ending

  /// Whether the threads are to end.
  var isOver: Bool { isStopped.load(ordering: .sequentiallyConsistent) }

  /// Ends all threads.
  func end() {
    isStopped.store(true, ordering: .sequentiallyConsistent)
    stop.raise()
  }

  /// What went wrong first.
  var failure: String? { firstFailure.withLock { $0 } }

  /// Remembers what went wrong, and ends all threads.
  func fail(_ text: String) {
    firstFailure.withLock { $0 = $0 ?? text }
    end()
  }

  /// Runs the body of a thread.
  func attempt(_ body: () throws(XIVEClientError) -> Void) {
    do { try body() } catch { fail("\(error)") }
  }

  /// Whether everything that was sent has been taken, or seen.
  var isAtRest: Bool {
    isSpent
      && sources.allSatisfy { source in
        mode == .oneByOne ? source.outstanding == 0 : source.isSeen
      }
  }

  var sentCount: Int { sources.reduce(0) { $0 + $1.sentCount } }
  var takenCount: Int { sources.reduce(0) { $0 + $1.takenCount } }
}
