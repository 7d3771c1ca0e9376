internal import CSystemCalls
public import SystemPackage

/// A thing that one thread at a time has, and the others sleep for (an `eventfd` that counts to one).
public struct Baton: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor

  /// Creates a baton that nobody has.
  /// - Throws: the error of `eventfd`.
  public init() throws(Errno) {
    descriptor = OwnedDescriptor(rawValue: try valueOrErrno(csystem_baton()))
  }

  /// Waits for the baton and takes it.
  public func take() { csystem_take_baton(descriptor.rawValue) }

  /// Gives the baton to a thread that waits for it, or to the next that will.
  public func pass() { csystem_signal_eventfd(descriptor.rawValue) }
}
