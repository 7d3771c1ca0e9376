internal import CXIVE
internal import DeviceClient

/// How a device's stream of trace records stands. Source: `xive.h`, `struct xive_info_trace`.
public struct TraceInfo: Hashable, Sendable {
  /// The version of the records.
  public var version: UInt32
  /// Whether records are made now.
  public var isOn: Bool
  /// The sequence number of the first record that is not there yet.
  public var next: UInt64
  /// The lowest sequence number that is still kept; ``next`` where none is.
  public var oldest: UInt64
  /// Records that each thread of the server keeps.
  public var capacity: UInt64
  /// Records that were lost at once, for more threads made some than there is room for.
  public var untaken: UInt64
  /// Descriptors that have read records.
  public var readers: UInt64

  /// Describes a stream, such as one in memory.
  /// - Parameters:
  ///   - version: the version of the records.
  ///   - isOn: whether records are made now.
  ///   - next: the sequence number of the first record that is not there yet.
  ///   - oldest: the lowest sequence number that is still kept.
  ///   - capacity: records that each thread of the server keeps.
  ///   - untaken: records that were lost at once.
  ///   - readers: descriptors that have read records.
  public init(
    version: UInt32, isOn: Bool, next: UInt64, oldest: UInt64, capacity: UInt64 = 0,
    untaken: UInt64 = 0, readers: UInt64 = 0
  ) {
    self.version = version
    self.isOn = isOn
    self.next = next
    self.oldest = oldest
    self.capacity = capacity
    self.untaken = untaken
    self.readers = readers
  }

  init(_ info: xive_info_trace) {
    version = info.version
    isOn = info.on != 0
    next = info.next
    oldest = info.oldest
    capacity = info.capacity
    untaken = info.untaken
    readers = info.readers
  }
}

extension XIVEDescriptor {
  /// Asks how the device's stream of trace records stands; starts nothing.
  /// - Returns: its state.
  /// - Throws: ``XIVEClientError``, with `ENXIO` from a server that does not know it.
  public func traceInfo() throws(XIVEClientError) -> TraceInfo {
    TraceInfo(
      try wrap { () throws(DeviceClientError) in
        try device.attribute(XIVE_GROUP_INFO, UInt64(XIVE_INFO_TRACE))
      })
  }
}
