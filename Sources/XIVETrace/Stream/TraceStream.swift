public import SystemPackage
public import TraceRecords
public import XIVEClient
internal import XIVEModel

/// Reads the stream of a device's records from a place on.
///
/// Thread rule: one thread at a time.
public struct TraceStream<Source: TraceSource & ~Copyable>: ~Copyable {
  /// Where the records come from.
  public let source: Source
  /// The sequence number of the next record.
  public private(set) var position: UInt64
  /// Records that were overwritten before they were read.
  public private(set) var lost: UInt64 = 0
  /// Whether the last read took all that it asked for, so that there is more to be expected.
  public private(set) var mayHaveMore = false
  private let batch: Int
  /// Records that are asked for next: all that is asked for is copied, whether or not it is there.
  private var wanted: Int
  private static var fewest: Int { 256 }

  /// Behind the last record that has a place in the file.
  private static var limit: UInt64 {
    UInt64(Region.traces.count) << Region.shift / UInt64(TraceRecord.byteCount)
  }

  /// Where reading begins.
  public enum Start: Sendable {
    /// With the oldest record that is kept.
    case oldest
    /// With what happens from now on.
    case now
  }

  /// Begins to read, which has the device make records.
  /// - Parameters:
  ///   - source: the device.
  ///   - start: where to begin.
  ///   - batch: records at once, at most; 512 KiB unless told otherwise.
  /// - Throws: ``TraceStreamError``.
  public init(_ source: consuming Source, from start: Start, batch: Int = 8_192)
    throws(TraceStreamError)
  {
    let info = try source.streamInfo()
    guard info.version == TraceRecord.version else { throw .version(info.version) }
    guard max(info.next, info.oldest) < Self.limit else {
      throw .order(expected: 0, found: max(info.next, info.oldest))
    }
    self.source = source
    position = start == .now ? info.next : info.oldest
    self.batch = batch
    wanted = min(batch, Self.fewest)
  }

  /// Reads what is there.
  /// - Returns: records in their order, gaps among them; none when nothing new is there.
  /// - Throws: ``TraceStreamError``.
  public mutating func read() throws(TraceStreamError) -> [TraceRecord] {
    let asked = wanted
    var records = Array(repeating: TraceRecord(.gap), count: asked)
    do throws(XIVEClientError) {
      var span = records.mutableSpan
      var bytes = unsafe span.mutableBytes
      try source.read(from: position, into: &bytes)
    } catch { throw TraceStreamError(error) }
    let count = records.firstIndex { $0.rawKind == 0 } ?? asked
    records.removeLast(asked - count)
    mayHaveMore = count == asked
    wanted = mayHaveMore ? min(batch, asked * 4) : min(batch, max(Self.fewest, count * 2))
    for record in records { try step(record) }
    return records
  }

  /// Goes on behind a record.
  private mutating func step(_ record: TraceRecord) throws(TraceStreamError) {
    guard record.version == TraceRecord.version else { throw .version(UInt32(record.version)) }
    let count = record.kind == .gap ? record.value : 1
    guard record.sequence >= position, record.sequence < Self.limit, count > 0,
      count < Self.limit - record.sequence
    else { throw .order(expected: position, found: record.sequence) }
    if record.kind == .gap { lost += count }
    position = record.sequence + count
  }

  /// Asks where the stream ends by now.
  /// - Returns: the sequence number of the first record that is not there yet.
  /// - Throws: ``TraceStreamError``.
  public func end() throws(TraceStreamError) -> UInt64 {
    do { return try source.info().next } catch { throw TraceStreamError(error) }
  }

  /// Waits until there is something to read.
  /// - Parameter milliseconds: the longest wait.
  /// - Returns: whether there is; true also when the server has gone, which the next read tells.
  public func wait(milliseconds: Int32) -> Bool { source.wait(milliseconds: milliseconds) }
}

/// Why a stream cannot be read on.
public enum TraceStreamError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The device refused.
  case client(XIVEClientError)
  /// The server has ended, with the error that tells so.
  case ended(Errno)
  /// The server is of a version that has no records.
  case unknown
  /// The records are of another version.
  case version(UInt32)
  /// The region gave a record that does not follow the one before.
  case order(expected: UInt64, found: UInt64)

  init(_ error: XIVEClientError) {
    switch error.errno {
    case .socketNotConnected, .connectionAbort, .operationNotSupportedByDevice:
      self = .ended(error.errno)
    case .noSuchAddressOrDevice: self = .unknown
    default: self = .client(error)
    }
  }

  /// One line for the user.
  public var description: String {
    switch self {
    case .client(let error): "\(error)"
    case .ended(let error): "its server has ended (\(error)): start it again with xive serve"
    case .unknown: "its server knows no tracing: start it with this version of xive serve"
    case .version(let version):
      "has trace records of version \(version), and this program knows version \(TraceRecord.version): "
        + "use the one that came with the server"
    case .order(let expected, let found):
      "gave trace record \(found) in place of \(expected): a fault of its server"
    }
  }
}
