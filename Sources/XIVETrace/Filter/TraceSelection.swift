public import TraceRecords
public import XIVEModel

/// Which records of a stream are wanted, and the names of its threads so far.
public struct TraceSelection: Sendable {
  /// What a record is to its reader.
  public enum Standing: Hashable, Sendable {
    /// An event that is wanted.
    case event
    /// Records were lost here.
    case loss
    /// The name of a thread, or the kernel's second question for one `SIGBUS`.
    case bookkeeping
    /// An event that is not wanted.
    case unwanted
  }

  /// What is wanted.
  public let filter: TraceFilter
  /// The layout of the device.
  public let map: DeviceMap
  /// The names of threads that have been told.
  public private(set) var names = TaskNames()

  /// Begins without names.
  /// - Parameters:
  ///   - filter: what is wanted.
  ///   - map: the layout of the device.
  public init(_ filter: TraceFilter, _ map: DeviceMap) {
    self.filter = filter
    self.map = map
  }

  /// Takes a record, in the order of the stream.
  /// - Parameter record: what happened.
  /// - Returns: what it is.
  public mutating func take(_ record: TraceRecord) -> Standing {
    names.note(record)
    let event = TraceEvent(record, map)
    if record.kind == .gap { return .loss }
    guard filter.matches(event, command: names.name(of: record.threadID)) else { return .unwanted }
    return event.isBookkeeping ? .bookkeeping : .event
  }

  /// Makes records of names that the stream has not told: see ``TaskNames/missing(in:)``.
  /// - Parameter records: what was read.
  /// - Returns: records to put in front of them.
  public mutating func missingNames(in records: [TraceRecord]) -> [TraceRecord] {
    names.missing(in: records)
  }
}
