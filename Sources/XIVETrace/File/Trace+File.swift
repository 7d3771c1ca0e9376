internal import TraceRecords

/// A trace in a file: see <doc:Tracing> for its bytes.
extension Trace {
  /// Reads a recorded file, all of which must be whole.
  /// - Parameter path: the file.
  /// - Throws: ``TraceFileError``; ``TraceFileError/Reason/damaged(_:)`` where ``read(_:)`` gives what can be used.
  public init(contentsOf path: String) throws(TraceFileError) {
    let (trace, damage) = try Self.read(path)
    if let damage { throw TraceFileError(path, .damaged(damage)) }
    self = trace
  }

  /// Reads as much of a recorded file as can be used: of a damaged one the blocks before the damage.
  /// - Parameter path: the file.
  /// - Returns: what was traced, and the damage.
  /// - Throws: ``TraceFileError`` where there is nothing to use.
  public static func read(_ path: String) throws(TraceFileError) -> (Trace, TraceFileDamage?) {
    var reader = try TraceReader(path)
    var trace = Trace(device: reader.device)
    while let block = try reader.next() {
      switch block {
      case .records(let records): trace.records += records
      case .symbols(let process, let names):
        trace.symbols[process, default: [:]].merge(names) { $1 }
      }
    }
    return (trace, reader.damage)
  }

  /// Writes the trace to a file.
  /// - Parameter path: where; a file that is there is replaced.
  /// - Throws: ``TraceFileError``.
  public func write(to path: String) throws(TraceFileError) {
    var writer = try TraceWriter(path, device)
    for (process, names) in symbols.sorted(by: { $0.key < $1.key }) {
      try writer.append(symbols: names, of: process)
    }
    try writer.append(records)
  }
}
