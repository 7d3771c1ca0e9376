internal import CSystemCalls
internal import Glibc

/// Reads lines from a descriptor, each with a deadline.
///
/// Thread rule: one thread at a time.
public struct LineReader: ~Copyable {
  private let descriptor: OwnedDescriptor
  private var buffered: [UInt8] = []

  /// Takes a descriptor over.
  /// - Parameter descriptor: a pipe or a socket; what is written to it may go by its number.
  public init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }

  /// The descriptor's number.
  public var rawValue: CInt { descriptor.rawValue }

  /// Reads a line.
  /// - Parameter milliseconds: how long to wait for it.
  /// - Returns: the line without its end, or nil after the deadline or the end of the input.
  public mutating func line(within milliseconds: Int) -> String? {
    let deadline = MonotonicClock.nanoseconds + UInt64(milliseconds) * 1_000_000
    while true {
      if let end = buffered.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: buffered[..<end], as: UTF8.self)
        buffered.removeFirst(end + 1)
        return line
      }
      let now = MonotonicClock.nanoseconds
      guard now < deadline else { return nil }
      let left = CInt((deadline - now) / 1_000_000) + 1
      guard csystem_wait_readable(rawValue, -1, left) == 1 else { continue }
      var chunk = [UInt8](repeating: 0, count: 4_096)
      let count = unsafe chunk.withUnsafeMutableBytes {
        unsafe read(rawValue, $0.baseAddress, $0.count)
      }
      guard count > 0 else { return nil }
      buffered += chunk[..<count]
    }
  }
}
