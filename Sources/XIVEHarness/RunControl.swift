internal import Synchronization
internal import SystemCalls

/// What the thread that performs a scenario and the one that watches over it tell each other.
final class RunControl: Sendable {
  private struct State {
    var beat = MonotonicClock.nanoseconds
    var ending: HarnessFailure?
    var mounts: Set<String> = []
    var progress = Progress()
  }

  private let state = Mutex(State())

  /// Says that something goes on.
  /// - Throws: why it must end.
  func beat() throws(HarnessFailure) {
    let ending = state.withLock { state in
      state.beat = MonotonicClock.nanoseconds
      return state.ending
    }
    if let ending { throw ending }
  }

  /// Why the scenario was ended from outside; nil while it was not.
  var ending: HarnessFailure? { state.withLock { $0.ending } }

  /// Nanoseconds since something went on.
  var silence: UInt64 {
    let beat = state.withLock { $0.beat }
    return MonotonicClock.nanoseconds - min(beat, MonotonicClock.nanoseconds)
  }

  /// Ends the scenario at its next step.
  func end(_ failure: HarnessFailure) {
    state.withLock { $0.ending = $0.ending ?? failure }
  }

  /// Frees everybody who waits for an answer of a served file: the calls fail, the touches end in SIGBUS.
  func abortMounts() {
    for path in state.withLock({ $0.mounts }) { try? MountTable.abortConnection(path) }
  }

  func mounted(_ path: String) { state.withLock { _ = $0.mounts.insert(path) } }
  func unmounted(_ path: String) { state.withLock { _ = $0.mounts.remove(path) } }

  var progress: Progress { state.withLock { $0.progress } }
  func report(_ progress: Progress) { state.withLock { $0.progress = progress } }
}
