internal import DeviceClient
internal import TraceRecords
public import XIVEClient
internal import XIVEModel

/// Where records come from: a device's region 0x1001, or a test's memory.
public protocol TraceSource: ~Copyable {
  /// How the stream stands; asking starts nothing.
  func info() throws(XIVEClientError) -> TraceInfo
  /// Reads records from a place on.
  /// - Parameters:
  ///   - sequence: the sequence number of the first.
  ///   - records: all of it is filled: with what is there, then with records of kind 0.
  /// - Throws: the device's refusal.
  func read(from sequence: UInt64, into records: inout MutableRawSpan) throws(XIVEClientError)
  /// Waits until there is something that has not been read.
  /// - Parameter milliseconds: the longest wait.
  /// - Returns: whether there is; true also when the server has gone.
  func wait(milliseconds: Int32) -> Bool
}

extension TraceSource where Self: ~Copyable {
  /// How the stream stands.
  /// - Returns: its state.
  /// - Throws: ``TraceStreamError``, for a server that knows no tracing, too.
  public func streamInfo() throws(TraceStreamError) -> TraceInfo {
    do { return try info() } catch { throw TraceStreamError(error) }
  }
}

/// The records of a device file.
///
/// From its first read on until it goes the device makes records. Thread rule: one thread at a time.
public struct DeviceTraceSource: TraceSource, ~Copyable {
  private let device: XIVEDescriptor

  /// Opens a device file; no write permission is needed.
  /// - Parameter path: where it is served.
  /// - Throws: ``/XIVEClient/XIVEClientError``.
  public init(_ path: String) throws(XIVEClientError) {
    device = try XIVEDescriptor(path, isWritable: false)
  }

  /// Describes the device as it is now.
  /// - Parameter path: where it is served.
  /// - Returns: its layout and the pages that exist.
  /// - Throws: ``/XIVEClient/XIVEClientError``.
  public func describe(_ path: String) throws(XIVEClientError) -> TracedDevice {
    TracedDevice(
      geometry: device.geometry, segments: try device.segments(), path: path, start: .now)
  }

  /// Asks the device.
  /// - Throws: ``/XIVEClient/XIVEClientError``.
  public func info() throws(XIVEClientError) -> TraceInfo { try device.traceInfo() }

  /// Reads the region: one system call, for where one ends the next would not go on.
  /// - Parameters:
  ///   - sequence: the sequence number of the first.
  ///   - records: at most 512 KiB of whole records.
  /// - Throws: ``/XIVEClient/XIVEClientError``.
  public func read(
    from sequence: UInt64, into records: inout MutableRawSpan
  ) throws(XIVEClientError) {
    do {
      try device.device.read(
        into: &records, at: Region.trace.start + sequence * UInt64(TraceRecord.byteCount),
        recordByteCount: TraceRecord.byteCount)
    } catch { throw .device(error) }
  }

  /// Polls the device.
  public func wait(milliseconds: Int32) -> Bool {
    device.device.wait(milliseconds: milliseconds)
  }
}
