public import XIVEModel

/// A server's queue for a priority.
public struct QueueState: Hashable, Sendable {
  /// Its guest-physical address.
  public let address: UInt64
  /// Its bytes.
  public let byteCount: Int
  /// Where the device writes next: a consumer that has read everything goes on from there.
  public let position: QueuePosition
}

extension END {
  /// The queue, or nil where events are not enqueued.
  public var queue: QueueState? {
    guard isValid, isEnqueued else { return nil }
    return QueueState(
      address: queueAddress, byteCount: 1 << Int(queueShift),
      position: QueuePosition(generation: generation == 1, index: Int(queueIndex)))
  }
}
