internal import CSystemCalls
public import SystemPackage

/// A flag that one thread raises and another waits for (an `eventfd`).
public struct Event: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor

  /// Creates a flag that is down.
  /// - Throws: the error of `eventfd`.
  public init() throws(Errno) {
    descriptor = OwnedDescriptor(rawValue: try valueOrErrno(csystem_eventfd()))
  }

  /// The descriptor to wait on together with others.
  public var rawValue: CInt { descriptor.rawValue }

  /// Raises the flag.
  public func raise() { csystem_signal_eventfd(rawValue) }

  /// Lowers the flag.
  public func lower() { csystem_clear_eventfd(rawValue) }

  /// Waits until the flag is up.
  /// - Parameter milliseconds: the longest wait; forever when negative.
  /// - Returns: whether it is up.
  public func wait(milliseconds: CInt = -1) -> Bool {
    csystem_wait_readable(rawValue, -1, milliseconds) == 1
  }
}

/// Which of two descriptors has input.
public struct Readiness: OptionSet, Sendable {
  /// Bit 0 and bit 1.
  public let rawValue: CInt
  /// Creates a set from its bits.
  public init(rawValue: CInt) { self.rawValue = rawValue }
  /// The first descriptor.
  public static let first = Readiness(rawValue: 1)
  /// The second descriptor.
  public static let second = Readiness(rawValue: 2)

  /// Waits for input on either of two descriptors.
  /// - Parameters:
  ///   - first: a descriptor.
  ///   - second: another one.
  /// - Returns: those that have input, or nothing after a signal.
  public static func wait(_ first: CInt, _ second: CInt) -> Readiness {
    Readiness(rawValue: max(0, csystem_wait_readable(first, second, -1)))
  }

  /// Whether a descriptor has input; does not wait unless told to.
  /// - Parameters:
  ///   - descriptor: a descriptor.
  ///   - milliseconds: the longest wait; forever when negative.
  /// - Returns: true also for the end of the input and for an error; false after a signal.
  public static func isReadable(_ descriptor: CInt, within milliseconds: CInt = 0) -> Bool {
    csystem_wait_readable(descriptor, -1, milliseconds) == 1
  }
}
