import Testing
import XIVEModel
import XIVETestSupport

@Suite("The judge of concurrent operations on a source")
struct ConcurrentHistoryTests {
  typealias Operation = ConcurrentHistory.Operation

  /// Operations one after the other on the PQ model.
  private struct Run {
    var entries: [(Operation, UInt64)] = []
    var (pq, events) = (PQ.off, 0)
    let start: PQ

    init(_ count: Int, from start: PQ, withEnds: Bool = true, _ random: inout SplitMix64) {
      self.start = start
      pq = start
      for _ in 0..<count {
        let drawn = Int.random(in: 0..<8, using: &random)
        perform((3..<5).contains(drawn) && !withEnds ? 7 : drawn, &random)
      }
      entries.shuffle(using: &random)
    }

    private mutating func perform(_ drawn: Int, _ random: inout SplitMix64) {
      switch drawn {
      case 0..<3:
        if pq.trigger() { events += 1 }
        entries.append((.trigger, 0))
      case 3..<5:
        let forwards = pq.endOfInterrupt()
        if forwards { events += 1 }
        entries.append((.endOfInterrupt, forwards ? 1 : 0))
      case 5: entries.append((.get, UInt64(pq.rawValue)))
      default:
        let new = PQ(rawValue: .random(in: 0..<4, using: &random))
        entries.append((.setPQ(new), UInt64(pq.rawValue)))
        pq = new
      }
    }

    func isExplained(
      _ change: (inout [(Operation, UInt64)]) -> Void = { _ in }, to end: PQ? = nil,
      moreEvents: Int = 0
    ) -> Bool {
      var entries = entries
      change(&entries)
      var history = ConcurrentHistory()
      for (operation, value) in entries { history.add(operation, value) }
      return history.isExplained(from: start, to: end ?? pq, events: events + moreEvents)
    }
  }

  @Test("What one thread did after another is explained, in any order", arguments: PQ.allCases)
  func right(_ start: PQ) {
    var random = Seed.generator()
    for count in 0..<400 {
      #expect(Run(count % 60, from: start, &random).isExplained(), "\(Seed.comment)")
    }
  }

  @Test("Other events, a value that nobody left, an end that is off and must not be: not explained")
  func wrong() {
    var random = Seed.generator()
    for _ in 0..<400 {
      let run = Run(48, from: .off, withEnds: false, &random)
      #expect(run.isExplained(), "\(Seed.comment)")
      #expect(!run.isExplained(to: run.pq == .off ? .reset : .off), "\(Seed.comment)")
      for more in [-2, -1, 1, 2] {
        #expect(!run.isExplained(moreEvents: more), "\(more), \(Seed.comment)")
      }
      // A set that says that it found another state, as one does whose step was lost.
      for (index, entry) in run.entries.enumerated() where entry.0 != .trigger && entry.0 != .get {
        #expect(!run.isExplained({ $0[index].1 ^= 2 }), "\(entry), \(Seed.comment)")
      }
    }
  }

  @Test("Two ends of one queued interrupt cannot both have forwarded it, nor two have set from one")
  func twice() {
    var ends = ConcurrentHistory()
    ends.add(.endOfInterrupt, 1)
    #expect(ends.isExplained(from: .queued, to: .pending, events: 1))
    ends.add(.endOfInterrupt, 1)
    #expect(!ends.isExplained(from: .queued, to: .pending, events: 2))
    var sets = ConcurrentHistory()
    sets.add(.setPQ(.off), 3)
    #expect(sets.isExplained(from: .queued, to: .off, events: 0))
    sets.add(.setPQ(.off), 3)
    #expect(!sets.isExplained(from: .queued, to: .off, events: 0))
    var look = ConcurrentHistory()
    look.add(.get, 2)
    #expect(look.isExplained(from: .pending, to: .pending, events: 0))
    #expect(!look.isExplained(from: .off, to: .off, events: 0))
  }
}
