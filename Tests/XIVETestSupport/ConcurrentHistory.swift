public import XIVEModel

/// What many threads did to one source at once, in no order, and whether the PQ model allows it.
///
/// If each operation was one step, all of them are one path through the four states: each leaves the state that the one
/// before it has entered. What was loaded says where a step began; of triggers and ends that nothing was loaded of, the
/// number of events and the balance of each state tell how many were which. A lost or a doubled step leaves a state that
/// was entered more often than left.
public struct ConcurrentHistory: Sendable {
  /// What a thread did.
  public enum Operation: Hashable, Sendable {
    /// A store to the trigger page.
    case trigger
    /// A load at 000 of the management page.
    case endOfInterrupt
    /// A load at 800.
    case get
    /// A load at c00 and behind.
    case setPQ(PQ)
  }

  /// Steps from one state to another that are known to have been made.
  private struct Steps {
    var entered = [Int](repeating: 0, count: 4)
    var left = [Int](repeating: 0, count: 4)
    var neighbours = [Set<Int>](repeating: [], count: 4)
    var seen: Set<Int> = []

    mutating func add(_ from: PQ, _ to: PQ, count: Int = 1) {
      guard count > 0 else { return }
      let (from, to) = (Int(from.rawValue), Int(to.rawValue))
      left[from] += count
      entered[to] += count
      neighbours[from].insert(to)
      neighbours[to].insert(from)
      seen.formUnion([from, to])
    }

    /// How often a state has to be entered from elsewhere for a path to be whole.
    func missing(_ pq: PQ, _ start: PQ, _ end: PQ) -> Int {
      let state = Int(pq.rawValue)
      return left[state] + (end == pq ? 1 : 0) - entered[state] - (start == pq ? 1 : 0)
    }

    /// Whether all states that were seen are on one path.
    func areConnected(with start: PQ) -> Bool {
      var reached: Set<Int> = []
      var open = [Int(start.rawValue)]
      while let state = open.popLast() {
        if reached.insert(state).inserted { open += neighbours[state] }
      }
      return seen.isSubset(of: reached)
    }
  }

  private var triggers = 0
  private var quietEnds = 0
  private var forwardingEnds = 0
  private var known = Steps()

  /// Creates an empty history.
  public init() {}

  /// Adds an operation, in any order.
  /// - Parameters:
  ///   - operation: what was done.
  ///   - value: what was loaded; of a store it does not matter.
  public mutating func add(_ operation: Operation, _ value: UInt64) {
    let pq = PQ(rawValue: UInt8(truncatingIfNeeded: value))
    switch operation {
    case .trigger: triggers += 1
    case .endOfInterrupt where value == 0: quietEnds += 1
    case .endOfInterrupt:
      forwardingEnds += 1
      known.add(.queued, .pending)
    case .get: known.add(pq, pq)
    case .setPQ(let new): known.add(pq, new)
    }
  }

  /// Whether there is a path of all operations.
  /// - Parameters:
  ///   - start: PQ before them.
  ///   - end: PQ after them.
  ///   - events: events that were forwarded meanwhile.
  /// - Returns: whether there is.
  public func isExplained(from start: PQ, to end: PQ, events: Int) -> Bool {
    var steps = known
    // Events are of triggers that found the source ready, and of ends that found it queued.
    let forwarded = events - forwardingEnds
    steps.add(.reset, .pending, count: forwarded)
    let queued = steps.missing(.queued, start, end)
    steps.add(.pending, .queued, count: queued)
    let ended = steps.missing(.reset, start, end)
    steps.add(.pending, .reset, count: ended)
    let (restTriggers, restEnds) = (triggers - forwarded - queued, quietEnds - ended)
    guard forwarded >= 0, queued >= 0, ended >= 0, restTriggers >= 0, restEnds >= 0,
      PQ.allCases.allSatisfy({ steps.missing($0, start, end) == 0 }),
      steps.areConnected(with: start)
    else { return false }
    // The rest has found states that it does not change.
    func wasSeen(_ pq: PQ) -> Bool { start == pq || steps.seen.contains(Int(pq.rawValue)) }
    return (restTriggers == 0 || wasSeen(.off) || wasSeen(.queued))
      && (restEnds == 0 || wasSeen(.off) || wasSeen(.reset))
  }
}
