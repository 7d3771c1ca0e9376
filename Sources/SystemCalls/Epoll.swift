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
  public func add(_ other: CInt, as number: UInt64) throws(Errno) {
    _ = try valueOrErrno(csystem_epoll_add(descriptor.rawValue, other, number))
  }

  /// Takes a descriptor out; a wait that is under way may still give its number.
  /// - Parameter other: the descriptor, still open.
  /// - Throws: the error of `epoll_ctl`.
  public func remove(_ other: CInt) throws(Errno) {
    _ = try valueOrErrno(csystem_epoll_remove(descriptor.rawValue, other))
  }

  /// Waits until one of the descriptors has input.
  /// - Parameter milliseconds: the longest wait; forever when negative.
  /// - Returns: the number of one that has, or of one that is in error; nil after that time, and after a signal.
  public func wait(milliseconds: CInt = -1) -> UInt64? {
    var number: UInt64 = 0
    let count = unsafe csystem_epoll_wait(descriptor.rawValue, milliseconds, &number, 1)
    return count == 1 ? number : nil
  }

  /// Waits until some of the descriptors have input.
  ///
  /// One that there was no room for comes before one that is given again, so that none can crowd others out.
  /// Source: Linux `fs/eventpoll.c`, `ep_send_events`.
  /// - Parameters:
  ///   - numbers: where the numbers of those that have input, or are in error, are left, 64 at most.
  ///   - milliseconds: the longest wait; forever when negative.
  /// - Returns: how many there are; 0 after that time, and after a signal.
  public func wait(into numbers: inout [UInt64], milliseconds: CInt = -1) -> Int {
    let count = unsafe numbers.withUnsafeMutableBufferPointer { numbers in
      unsafe csystem_epoll_wait(
        descriptor.rawValue, milliseconds, numbers.baseAddress, CInt(numbers.count))
    }
    return max(0, Int(count))
  }
}
