internal import CSystemCalls
public import SystemPackage

/// Descriptors that one thread waits for together (an `epoll`).
///
/// Thread rule: safe from several threads at once.
public struct Epoll: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor

  /// Creates a set of none.
  /// - Throws: the error of `epoll_create1`.
  public init() throws(Errno) {
    descriptor = OwnedDescriptor(rawValue: try valueOrErrno(csystem_epoll()))
  }

  /// Adds a descriptor, for input; level-triggered.
  /// - Parameters:
  ///   - other: the descriptor; it leaves the set when its last copy is closed.
  ///   - number: what ``wait(milliseconds:)`` gives when it has input.
  /// - Throws: the error of `epoll_ctl`.
  public func add(_ other: CInt, as number: UInt32) throws(Errno) {
    _ = try valueOrErrno(csystem_epoll_add(descriptor.rawValue, other, number))
  }

  /// Waits until one of the descriptors has input.
  /// - Parameter milliseconds: the longest wait; forever when negative.
  /// - Returns: the number of one that has, or of one that is in error; nil after that time, and after a signal.
  public func wait(milliseconds: CInt = -1) -> UInt32? {
    var number: UInt32 = 0
    return unsafe csystem_epoll_wait(descriptor.rawValue, milliseconds, &number) == 1 ? number : nil
  }
}
