/// Memory on a cache line's border, freed with its holder.
@safe
public final class AlignedMemory: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): allocated in `init`, freed in `deinit`, never replaced; what lies
  // in it is the business of those who share it.
  private let buffer: UnsafeMutableRawBufferPointer

  /// Allocates memory of unknown content.
  /// - Parameters:
  ///   - byteCount: how much.
  ///   - alignment: a power of two; a cache line by default.
  public init(byteCount: Int, alignment: Int = 64) {
    unsafe buffer = .allocate(byteCount: byteCount, alignment: alignment)
  }

  deinit { unsafe buffer.deallocate() }

  /// The memory; it must not outlive its holder.
  @unsafe
  public var unsafeBuffer: UnsafeMutableRawBufferPointer { unsafe buffer }

  /// The size in bytes.
  public var byteCount: Int { unsafe buffer.count }

  /// Where the bytes are that satisfy a condition.
  ///
  /// Must not run while others write.
  /// - Parameter matches: the condition.
  /// - Returns: positions from the start, ascending.
  public func positions(where matches: (UInt8) -> Bool) -> [Int] {
    unsafe buffer.indices.filter { unsafe matches(buffer[$0]) }
  }
}
