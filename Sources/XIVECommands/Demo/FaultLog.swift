internal import DeviceClient
internal import TraceRecords
internal import XIVEClient
internal import XIVEModel

/// The page fills that a device has answered, from its trace records.
struct FaultLog: ~Copyable {
  private let device: XIVEDescriptor
  private var position: UInt64 = 0

  /// Opens a device; from the first ``take()`` on it is followed.
  init(_ path: String) throws(XIVEClientError) {
    device = try XIVEDescriptor(path, isWritable: false)
  }

  /// The fills since the last call.
  mutating func take() throws(XIVEClientError) -> [TraceRecord] {
    var fills: [TraceRecord] = []
    while true {
      let records = try read()
      guard !records.isEmpty else { return fills }
      fills += records.filter { $0.kind == .fill && $0.cause != .again }
    }
  }

  /// The next records, as many as come at once.
  private mutating func read() throws(XIVEClientError) -> [TraceRecord] {
    var bytes = [UInt8](repeating: 0, count: 4_096 * TraceRecord.byteCount)
    var words = bytes.mutableSpan
    var span = unsafe words.mutableBytes
    do throws(DeviceClientError) {
      try device.device.read(
        into: &span, at: Region.trace.start + position * UInt64(TraceRecord.byteCount),
        recordByteCount: TraceRecord.byteCount)
    } catch { throw .device(error) }
    let records = stride(from: 0, to: span.byteCount, by: TraceRecord.byteCount)
      .map { TraceRecord(span.bytes, at: $0) }.prefix { $0.rawKind != 0 }
    if let last = records.last {
      position = last.sequence + (last.kind == .gap ? last.value : 1)
    }
    return Array(records)
  }
}
