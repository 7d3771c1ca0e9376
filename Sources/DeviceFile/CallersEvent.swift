internal import PagedDevice
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// An eventfd that a caller shares: a copy of its descriptor, closed when nobody holds this any more.
///
/// The end of the last holder ends the listening as well, without waiting for a call that is under way.
final class CallersEvent: SharedEvent {
  private struct Listening {
    let number: UInt64
    let handler: @Sendable () -> Void
  }

  let identity: UInt64
  private let descriptor: OwnedDescriptor
  private let listener: EventListener
  private let listening = Mutex<Listening?>(nil)
  /// Held during a call and the read before it: one at a time, and whoever ends the listening waits here.
  private let calls = Mutex(())

  /// Takes a descriptor over.
  /// - Throws: ``DeviceError/invalid`` when it is no eventfd.
  init(_ descriptor: consuming OwnedDescriptor, _ listener: EventListener) throws(DeviceError) {
    let found: UInt64?
    do { found = try descriptor.eventIdentity() } catch { throw CallingProcess.refusal(error) }
    guard let found else { throw .invalid }
    identity = found
    self.descriptor = descriptor
    self.listener = listener
  }

  deinit { endListening() }

  func raise() { listener.raiser.raise(descriptor) }

  func listen(_ handler: @escaping @Sendable () -> Void) throws(DeviceError) {
    try listening.withLock { listening throws(DeviceError) in
      guard listening == nil else { throw .busy }
      // Whoever hears of it before this is kept waits for this lock.
      do {
        listening = Listening(number: try listener.add(self, descriptor), handler: handler)
      } catch { throw .outOfMemory }
    }
  }

  func stopListening(draining: Bool) {
    calls.withLock { _ in
      guard let handler = endListening(), draining, descriptor.takeEvents() else { return }
      handler()
    }
  }

  /// Calls whoever listens when the counter is above zero; the event thread does.
  func hear() {
    calls.withLock { _ in
      // Read only for somebody who listens: what comes after the end is the next one's.
      guard let handler = listening.withLock({ $0?.handler }), descriptor.takeEvents() else {
        return
      }
      handler()
    }
  }

  @discardableResult
  private func endListening() -> (@Sendable () -> Void)? {
    listening.withLock { listening in
      guard let ended = listening else { return nil }
      listener.remove(ended.number, descriptor)
      listening = nil
      return ended.handler
    }
  }
}
