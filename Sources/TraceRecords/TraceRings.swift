internal import CSystemCalls
internal import Synchronization

/// The records of a device: each thread writes into a ring of its own, all of them count with one number.
///
/// Writing takes no lock, waits for nobody and allocates nothing; the newest records of each thread are kept.
/// Numbers are taken at the moment at which a thing is answered, so that what one toucher did is in its order,
/// whichever threads served it. Readers merge the rings; what was overwritten they find by the missing numbers.
///
/// Thread rule: any thread may call anything.
public final class TraceRings: Sendable {
  /// Records that each thread keeps.
  public let capacity: Int
  private let lanes: [TraceLane]
  private let next = Atomic<UInt64>(0)
  private let untakenCount = Atomic<UInt64>(0)

  /// Threads that have a ring at once; records of more than those are lost, and count as ``untaken``.
  public static let laneCount = Int(CSYSTEM_THREAD_SLOTS)

  /// Reserves the rings; they take memory when their threads write.
  /// - Parameter capacity: records that each thread keeps, at least 1.
  public init(capacity: Int) {
    precondition(capacity >= 1, "a ring of \(capacity) records")
    self.capacity = capacity
    lanes = (0..<Self.laneCount).map { _ in TraceLane(keeping: capacity) }
  }

  /// Gives a record its number and keeps it.
  /// - Parameter record: anything; its number is replaced.
  public func append(_ record: TraceRecord) { write(record, claim()) }

  /// Takes a number for a record that the same thread writes next.
  ///
  /// Readers stop in front of it until it has been written.
  /// - Returns: the number.
  public func claim() -> UInt64 {
    guard let lane else {
      untakenCount.wrappingAdd(1, ordering: .relaxed)
      return next.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
    }
    return lane.claim(from: next)
  }

  /// Keeps the record that a number was taken for.
  /// - Parameters:
  ///   - record: what happened.
  ///   - sequence: the number that ``claim()`` gave to this thread.
  public func write(_ record: TraceRecord, _ sequence: UInt64) {
    var record = record
    record.sequence = sequence
    lane?.write(record)
  }

  private var lane: TraceLane? {
    let slot = Int(csystem_thread_slot())
    return slot < 0 ? nil : lanes[slot]
  }

  /// The lowest number whose record may still come: those below have been written, or are lost.
  public var horizon: UInt64 {
    // The lanes after the count: who has taken a number below it has said so before.
    let end = next.load(ordering: .sequentiallyConsistent)
    return lanes.reduce(end) { min($0, $1.horizon) }
  }

  /// The lowest number of a record that is kept; ``horizon`` when none is.
  public var oldest: UInt64 {
    let horizon = horizon
    return lanes.compactMap { lane in
      lane.kept.lazy.compactMap { lane.sequence($0) }.first
    }.reduce(horizon, min)
  }

  /// Records that were lost at once, for too many threads wrote.
  public var untaken: UInt64 { untakenCount.load(ordering: .relaxed) }

  /// Reads the records that there are now, in the order of their numbers.
  /// - Parameter sequence: the first number that is wanted.
  /// - Returns: each record, and for each run of lost ones a ``TraceKind/gap`` that counts them.
  public func records(from sequence: UInt64) -> TraceMerge {
    TraceMerge(lanes, from: sequence, to: horizon)
  }
}

/// Brings the records of several threads into one order.
public struct TraceMerge: Sequence, IteratorProtocol, Sendable {
  private struct Cursor {
    let lane: TraceLane
    var place: Int
    let end: Int
  }
  private var cursors: [Cursor]
  private var expected: UInt64
  private let horizon: UInt64

  init(_ lanes: [TraceLane], from sequence: UInt64, to horizon: UInt64) {
    expected = sequence
    self.horizon = horizon
    cursors = lanes.compactMap { lane in
      let end = lane.kept.upperBound
      guard end > 0, sequence < horizon else { return nil }
      return Cursor(lane: lane, place: lane.place(of: sequence), end: end)
    }
  }

  /// The next record, or a gap; nil where there is none yet.
  public mutating func next() -> TraceRecord? {
    while expected < horizon {
      guard let (index, sequence) = first(), sequence < horizon else { return gap(to: horizon) }
      guard sequence == expected else { return gap(to: sequence) }
      let cursor = cursors[index]
      // Overwritten between the two looks: the lane begins later now.
      guard let record = cursor.lane.record(cursor.place) else { continue }
      cursors[index].place += 1
      expected += 1
      return record
    }
    return nil
  }

  /// Which lane has the lowest number, and that number.
  private mutating func first() -> (Int, UInt64)? {
    var best: (Int, UInt64)?
    for index in cursors.indices {
      guard let sequence = skipLost(index), sequence < best?.1 ?? .max else { continue }
      best = (index, sequence)
    }
    return best
  }

  /// The number of the lane's next record that is kept and wanted.
  private mutating func skipLost(_ index: Int) -> UInt64? {
    while cursors[index].place < cursors[index].end {
      let lane = cursors[index].lane
      if let sequence = lane.sequence(cursors[index].place) {
        if sequence >= expected { return sequence }
        cursors[index].place += 1
      } else {
        cursors[index].place = Swift.max(lane.kept.lowerBound, cursors[index].place + 1)
      }
    }
    return nil
  }

  private mutating func gap(to sequence: UInt64) -> TraceRecord {
    var gap = TraceRecord(.gap, sequence: expected)
    gap.value = sequence - expected
    expected = sequence
    return gap
  }
}
