/// Pages that consumers hold and that are no longer true, and what follows once nobody can reach them.
///
/// A device publishes what is true first and hands this over second. The kernel's page lock then sees to it that
/// no page of before survives: a fill that was answered with it is waited for and dropped, a later one is
/// answered with what is true.
public struct Invalidation: Sendable {
  /// Byte ranges of the file, of whole pages; each is dropped by one call, whatever lies in it.
  public let ranges: [Range<UInt64>]
  /// Byte ranges whose pages are filled before the caller is answered, so that the first touch finds them there.
  public let prefault: [Range<UInt64>]
  /// Why, for those who follow it.
  public let reason: DropReason
  /// Called once no consumer can reach a page of before, and before anything new is told to consumers.
  ///
  /// On the thread that drops pages: it waits for nothing but accesses that are under way.
  public let completion: @Sendable () -> Void

  /// Creates an invalidation.
  /// - Parameters:
  ///   - ranges: what to drop.
  ///   - reason: why.
  ///   - prefault: what to fill again.
  ///   - completion: called in between.
  public init(
    _ ranges: [Range<UInt64>], reason: DropReason = .other, prefault: [Range<UInt64>] = [],
    completion: @escaping @Sendable () -> Void = {}
  ) {
    self.ranges = ranges
    self.reason = reason
    self.prefault = prefault
    self.completion = completion
  }
}
