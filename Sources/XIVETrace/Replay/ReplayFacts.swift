internal import CXIVE
public import TraceRecords
internal import XIVEModel

/// What of a record must be the same when the same is done once more: not when, by whom, or how fast.
struct ReplayFacts: Hashable {
  private let kind: UInt8
  private let offset: UInt64?
  private let number: UInt32?
  private let half: UInt8
  private let backing: UInt32?
  private let phb: UInt16?
  private let irq: UInt16?
  private let generation: UInt32
  private let result: UInt8
  private let cause: UInt8
  private let value: UInt64
  private let pq: UInt8?

  /// Picks the facts; a cause that the trace itself did not know is none.
  init(_ record: TraceRecord, hasCause: Bool) {
    kind = record.rawKind
    offset = record.offset
    number = record.number
    half = record.half
    backing = record.backing?.rawValue
    phb = record.hardware?.phb
    irq = record.hardware?.irq
    generation = record.generation
    result = record.result.rawValue
    cause = hasCause ? record.cause.rawValue : 0
    // What an attribute answers may be a count of what was done so far.
    let isAnswer = record.kind == .attribute && record.half == UInt8(XIVE_TRACE_GET)
    value = isAnswer ? 0 : record.value
    pq = record.pq.map { $0.before.rawValue << 2 | $0.after.rawValue }
  }
}

/// A record and what came in its place.
public struct ReplayDifference: Hashable, Sendable {
  /// What was recorded; nil where nothing was.
  public let recorded: TraceRecord?
  /// What came instead; nil where nothing did.
  public let replayed: TraceRecord?

  /// Compares what one step gave with what was recorded of it.
  /// - Parameters:
  ///   - recorded: from the trace, in order.
  ///   - replayed: from the new device, in order.
  ///   - hasCause: whether why pages were not there is compared.
  /// - Returns: what differs.
  static func find(_ recorded: [TraceRecord], _ replayed: [TraceRecord], hasCause: Bool = true)
    -> [ReplayDifference]
  {
    let changes = replayed.map { ReplayFacts($0, hasCause: hasCause) }
      .difference(from: recorded.map { ReplayFacts($0, hasCause: hasCause) })
    var came = changes.insertions.map { replayed[$0.offset] }
    let went = changes.removals.map { recorded[$0.offset] }
    // What came in the place of something is of its kind.
    let differences = went.map { old in
      let place = came.firstIndex { $0.rawKind == old.rawKind }
      return ReplayDifference(recorded: old, replayed: place.map { came.remove(at: $0) })
    }
    return differences + came.map { ReplayDifference(recorded: nil, replayed: $0) }
  }
}

extension CollectionDifference.Change {
  /// Its place in the collection that it is about.
  fileprivate var offset: Int {
    switch self {
    case .insert(let offset, _, _), .remove(let offset, _, _): offset
    }
  }
}
