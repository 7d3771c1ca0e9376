internal import Glibc
internal import SystemCalls
public import TraceRecords
public import XIVEClient
public import XIVEModel

/// What was traced: a device, and what happened to it in the order of sequence numbers.
public struct Trace: Sendable {
  /// The device as it was when recording began.
  public var device: TracedDevice
  /// What happened, ascending in ``/TraceRecords/TraceRecord/sequence``; what only the kernel saw lies among it by time.
  public var records: [TraceRecord]
  /// Names of instructions that the kernel saw faulting: by process id, then by address.
  public var symbols: [UInt32: [UInt64: String]]

  /// Puts a device and its records together.
  /// - Parameters:
  ///   - device: what was traced.
  ///   - records: ascending in sequence numbers.
  ///   - symbols: names of instructions by process id and address.
  public init(
    device: TracedDevice, records: [TraceRecord] = [], symbols: [UInt32: [UInt64: String]] = [:]
  ) {
    self.device = device
    self.records = records
    self.symbols = symbols
  }
}

/// What readers of records need to know of the device: its layout, and the pages that existed.
public struct TracedDevice: Hashable, Sendable {
  /// What the device was started with.
  public var geometry: DeviceGeometry
  /// The runs of pages that existed when recording began, by byte offsets; as `SEEK_DATA` gives them.
  public var segments: [Range<UInt64>]
  /// Where it was served, for headings.
  public var path: String
  /// When recording began: nanoseconds of `CLOCK_MONOTONIC`, and the same moment in nanoseconds since 1970 UTC.
  public var start: Start

  /// A moment on two clocks.
  public struct Start: Hashable, Sendable {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    public var monotonic: UInt64
    /// Nanoseconds since 1970 UTC.
    public var realtime: UInt64

    /// Creates a moment.
    public init(monotonic: UInt64, realtime: UInt64) {
      self.monotonic = monotonic
      self.realtime = realtime
    }
  }

  /// Describes a device.
  public init(
    geometry: DeviceGeometry, segments: [Range<UInt64>] = [], path: String = "",
    start: Start = Start(monotonic: 0, realtime: 0)
  ) {
    self.geometry = geometry
    self.segments = segments
    self.path = path
    self.start = start
  }

  /// The layout of the file.
  public var map: DeviceMap { geometry.map }
}

extension TracedDevice.Start {
  /// This moment.
  public static var now: Self {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    let realtime = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    return Self(monotonic: MonotonicClock.nanoseconds, realtime: realtime)
  }
}
