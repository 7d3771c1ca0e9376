internal import CXIVE
internal import DeviceClient
public import XIVEModel

/// The state of sources in bulk as values: ``SourceRecord``.
extension XIVEDescriptor {
  /// Asks for the state of a run of sources.
  /// - Parameter lisns: the sources, created or not.
  /// - Returns: a record for each, in order.
  /// - Throws: as ``readSourceState(from:count:)``.
  public func sourceRecords(_ lisns: Range<LISN>) throws(XIVEClientError) -> [SourceRecord] {
    // Before there is memory for more than a device can have.
    try requireSources(lisns.lowerBound, lisns.length)
    var records = [SourceRecord](repeating: .absent, count: lisns.length)
    var span = records.mutableSpan
    var bytes = unsafe span.mutableBytes
    try readSourceState(from: lisns.lowerBound, into: &bytes)
    return records
  }

  /// Sets the state of a run of sources.
  /// - Parameters:
  ///   - records: a record for each source, in order.
  ///   - first: the first record's source.
  /// - Throws: as ``writeSourceState(_:from:)-(RawSpan,_)``.
  public func setSourceRecords(_ records: [SourceRecord], from first: LISN)
    throws(XIVEClientError)
  {
    try writeSourceState(unsafe records.span.bytes, from: first)
  }

  /// Asks for the state of one source.
  /// - Parameter lisn: the source.
  /// - Returns: its record.
  /// - Throws: as ``readSourceState(from:count:)``.
  public func sourceRecord(of lisn: LISN) throws(XIVEClientError) -> SourceRecord {
    var record = SourceRecord.absent
    try unsafe withUnsafeMutableBytes(of: &record) { buffer throws(XIVEClientError) in
      var bytes = unsafe buffer.mutableBytes
      try readSourceState(from: lisn, into: &bytes)
    }
    return record
  }
}

extension Range<LISN> {
  /// How many sources.
  fileprivate var length: Int { Int(upperBound.rawValue - lowerBound.rawValue) }
}
