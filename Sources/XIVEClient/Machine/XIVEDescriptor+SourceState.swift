internal import CXIVE
internal import DeviceClient
internal import SystemPackage
public import XIVEModel

/// The state of all sources in bulk: region 0x1000 of the device's ABI, `xive.h`.
///
/// Each source is one atomic record; for a picture of the whole machine stop it first:
/// ``XIVEDescriptor/stopMachine()``.
extension XIVEDescriptor {
  // MARK: - As bytes

  /// Reads the state of a run of sources as the device has it: 16 bytes each, `struct xive_source_state`, in the
  /// byte order of this machine.
  /// - Parameters:
  ///   - first: the first source.
  ///   - count: how many, all of them within the device's sources; created or not.
  /// - Returns: the records.
  /// - Throws: ``XIVEClientError/noSuchSource(_:count:)``, ``MachineError/sourceState(from:_:)``.
  public func readSourceState(from first: LISN, count: Int) throws(XIVEClientError) -> [UInt8] {
    try requireSources(first, count)
    var bytes = [UInt8](repeating: 0, count: count * Int(XIVE_STATE_SIZE))
    var span = bytes.mutableSpan
    var rawSpan = unsafe span.mutableBytes
    try readSourceState(from: first, into: &rawSpan)
    return bytes
  }

  /// Sets the state of a run of sources to what ``readSourceState(from:count:)`` gave.
  /// - Parameters:
  ///   - bytes: whole records.
  ///   - first: the first record's source.
  /// - Throws: as ``writeSourceState(_:from:)-(RawSpan,_)``.
  public func writeSourceState(_ bytes: [UInt8], from first: LISN) throws(XIVEClientError) {
    try writeSourceState(unsafe bytes.span.bytes, from: first)
  }

  /// Reads the state of a run of sources into memory that the caller has: at memory speed, without a copy.
  /// - Parameters:
  ///   - first: the first source.
  ///   - bytes: where to; 16 bytes for each source.
  /// - Throws: ``XIVEClientError/value(_:_:)`` for a part of a record, and as
  ///   ``readSourceState(from:count:)``.
  public func readSourceState(from first: LISN, into bytes: inout MutableRawSpan)
    throws(XIVEClientError)
  {
    let count = try recordCount(bytes.byteCount)
    try requireSources(first, count)
    do {
      try device.read(
        into: &bytes, at: xive_state_offset(first.rawValue), recordByteCount: Self.recordSize)
    } catch { throw refusal(first, count, error) }
  }

  /// Sets the state of a run of sources. The device checks the records a mebibyte at a time, and takes all of those,
  /// or none.
  /// - Parameters:
  ///   - bytes: 16 bytes for each source.
  ///   - first: the first record's source.
  /// - Throws: ``XIVEClientError/value(_:_:)`` for a part of a record, ``XIVEClientError/noSuchSource(_:count:)``,
  ///   ``MachineError/sourceState(from:_:)``: records before that one are set, and the others are not.
  public func writeSourceState(_ bytes: RawSpan, from first: LISN) throws(XIVEClientError) {
    let count = try recordCount(bytes.byteCount)
    try requireSources(first, count)
    do {
      try device.write(
        bytes, at: xive_state_offset(first.rawValue), recordByteCount: Self.recordSize)
    } catch { throw refusal(first, count, error) }
  }

  private static var recordSize: Int { Int(XIVE_STATE_SIZE) }

  private func recordCount(_ byteCount: Int) throws(XIVEClientError) -> Int {
    guard byteCount % Self.recordSize == 0 else { throw .value("bytes", UInt64(byteCount)) }
    return byteCount / Self.recordSize
  }

  /// Refuses a run that does not lie within the device's sources.
  func requireSources(_ first: LISN, _ count: Int) throws(XIVEClientError) {
    let limit = geometry.sourceCount
    guard count >= 0 else { throw .value("count", UInt64(bitPattern: Int64(count))) }
    guard count > 0 else { return }
    guard first.rawValue < limit, count <= Int(limit - first.rawValue) else {
      throw .noSuchSource(max(first, LISN(rawValue: limit)), count: limit)
    }
  }

  /// The words for a part of a transfer that was refused.
  private func refusal(_ first: LISN, _ count: Int, _ error: DeviceClientError) -> XIVEClientError {
    guard case .access(let offset, let reason) = error else { return .device(error) }
    if reason == .invalidArgument, let limit = try? sourceCount(),
      UInt64(first.rawValue) + UInt64(count) > UInt64(limit)
    {
      return .noSuchSource(max(first, LISN(rawValue: limit)), count: limit)
    }
    let number = (offset - xive_state_offset(0)) / UInt64(XIVE_STATE_SIZE)
    return .machine(.sourceState(from: LISN(rawValue: UInt32(clamping: number)), reason))
  }
}
