import PagedDevice
import Synchronization

@testable import XIVEDevice

/// An eventfd without a system: whoever fires it calls the listener, on its own thread.
final class FakeEvent: SharedEvent {
  private struct State {
    var count: UInt64 = 0
    var handler: (@Sendable () -> Void)?
  }

  let identity: UInt64
  private let state: Mutex<State>
  /// Held while the listener runs, so that the end of listening waits for it.
  private let calls = Mutex(())

  /// Creates one whose counter may be above zero already.
  init(_ identity: UInt64, count: UInt64 = 0) {
    self.identity = identity
    state = Mutex(State(count: count))
  }

  /// What has been added and not taken by a listener.
  var count: UInt64 { state.withLock { $0.count } }

  /// Whether somebody listens.
  var isListenedTo: Bool { state.withLock { $0.handler != nil } }

  func raise() { state.withLock { $0.count += 1 } }

  /// Adds one as its other owner, and has the listener hear of it at once.
  func fire() {
    raise()
    hear()
  }

  func listen(_ handler: @escaping @Sendable () -> Void) throws(DeviceError) {
    let isFree = state.withLock { state in
      guard state.handler == nil else { return false }
      state.handler = handler
      return true
    }
    guard isFree else { throw .busy }
    hear()
  }

  func stopListening(draining: Bool) {
    if draining { hear() }
    calls.withLock { _ in state.withLock { $0.handler = nil } }
  }

  private func hear() {
    calls.withLock { _ in
      let handler = state.withLock { state -> (@Sendable () -> Void)? in
        guard let handler = state.handler, state.count > 0 else { return nil }
        state.count = 0
        return handler
      }
      handler?()
    }
  }
}
