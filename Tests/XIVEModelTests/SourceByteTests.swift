import Testing
import XIVEModel

/// Every byte that a source can be, and every event, against the rules as a second hand has written them down.
@Suite("All 256 states of a source and all events")
struct SourceByteTests {
  /// A byte after an event, the value of a load, and whether an event leaves.
  private struct Result: Hashable {
    var byte: UInt8
    var value: UInt64 = 0
    var leaves = false

    init(_ byte: UInt8) { self.byte = byte }

    var pq: UInt8 {
      get { byte & 3 }
      set { byte = byte & 0xfc | newValue }
    }

    func has(_ bit: Int) -> Bool { byte >> bit & 1 == 1 }

    mutating func put(_ bit: Int, _ value: Bool) {
      byte = byte & ~(1 << bit) | (value ? 1 << bit : 0)
    }
  }

  // Bits: 2 level-sensitive, 3 asserted, 4 created, 5 latched, 6 raised, 7 shared.

  private func trigger(_ old: Result) -> Result {
    var new = old
    new.pq = [2, 1, 3, 3][Int(old.pq)]
    new.leaves = old.pq == 0
    return new
  }

  /// A line that is high is told where PQ is 00.
  private func tell(_ old: Result) -> Result {
    var new = old
    if old.pq == 0, old.has(3) || old.has(6) {
      new.pq = 2
      new.leaves = true
    }
    return new
  }

  /// A level-sensitive source whose line is held by those who share it does not stay at 00.
  private func tellSharers(_ old: Result) -> Result {
    var new = old
    if old.pq == 0, old.has(2), old.has(6) {
      new.pq = 2
      new.leaves = true
    }
    return new
  }

  private func end(_ old: Result) -> Result {
    var new = old
    new.pq = [0, 1, 0, 2][Int(old.pq)]
    new.leaves = old.pq == 3
    if !new.leaves { new = tell(new) }
    new.value = new.leaves ? 1 : 0
    return new
  }

  private func expected(_ event: SourceEvent, _ byte: UInt8) -> Result {
    var new = Result(byte)
    switch event {
    case .trigger: return trigger(new)
    case .endOfInterrupt: return end(new)
    case .get: new.value = UInt64(new.pq)
    case .set(let pq):
      new.value = UInt64(new.pq)
      new.pq = pq.rawValue
      return tellSharers(new)
    case .assert:
      guard new.has(2) else { return trigger(new) }
      new.put(3, true)
      return tell(new)
    case .deassert: new.put(3, false)
    case .hold: new.put(3, new.has(2))
    case .resume: return tell(new)
    case .passThrough:
      new.value = UInt64(new.pq)
      new.pq = new.pq >= 2 ? 3 : 2
    case .restore:
      new.value = UInt64(new.pq)
      new.pq = new.pq == 3 ? 3 : 2
    case .create(let isLSI, let isAsserted):
      if isLSI { new.put(2, true) }
      if isLSI, isAsserted { new.put(3, true) }
      new.put(4, true)
      new.put(5, false)
      new.pq = 1
    case .raise:
      new.put(6, true)
      if new.has(2) { return tell(new) }
    case .lower: new.put(6, false)
    case .share: new.put(7, true)
    case .unshare: new.put(7, false)
    case .latch: new.put(5, true)
    case .unlatch:
      new.value = new.has(5) ? 1 : 0
      new.put(5, false)
    case .disable:
      new.pq = 1
      new.put(5, false)
    case .startOver:
      // Off, a message source, its line held by nobody, nothing at its door; created and shared as before.
      new.byte = byte & 0b1001_0000 | 1
    case .replace(let other):
      new.byte = other.rawValue & 0x3f | byte & 0xc0
      return tellSharers(new)
    }
    return new
  }

  private static let events: [SourceEvent] =
    [
      .trigger, .endOfInterrupt, .get, .assert, .deassert, .hold, .resume, .passThrough, .restore,
      .raise, .lower, .share, .unshare, .latch, .unlatch, .disable, .startOver,
    ] + PQ.allCases.map { .set($0) }
    + [false, true].flatMap { isLSI in
      [false, true].map { .create(isLSI: isLSI, isAsserted: $0) }
    }

  private func check(_ event: SourceEvent, _ byte: UInt8) {
    var state = SourceState(rawValue: byte)
    let outcome = state.perform(event)
    let rule = expected(event, byte)
    #expect(state.rawValue == rule.byte, "\(event) of \(byte)")
    #expect(outcome == SourceOutcome(value: rule.value, forwards: rule.leaves), "\(event) \(byte)")
  }

  @Test("Each does what the rules say, and leaves all other bits alone", arguments: events)
  func event(_ event: SourceEvent) {
    for byte in UInt8.min...UInt8.max { check(event, byte) }
  }

  @Test("A state that comes from elsewhere replaces all but who shares the line and holds it")
  func replacement() {
    for byte in UInt8.min...UInt8.max {
      for other in UInt8.min...UInt8.max {
        var state = SourceState(rawValue: byte)
        let event = SourceEvent.replace(SourceState(rawValue: other))
        let outcome = state.perform(event)
        let rule = expected(event, byte)
        guard state.rawValue == rule.byte, outcome == SourceOutcome(forwards: rule.leaves) else {
          Issue.record("\(other) in the place of \(byte) gives \(state.rawValue)")
          return
        }
      }
    }
  }

  @Test("The names of the new bits are those of these places")
  func names() {
    for byte in UInt8.min...UInt8.max {
      var state = SourceState(rawValue: byte)
      #expect(state.isLatched == (byte >> 5 & 1 == 1))
      #expect(state.isRaised == (byte >> 6 & 1 == 1))
      #expect(state.isShared == (byte >> 7 & 1 == 1))
      #expect(state.isLineHigh == (byte & 0b100_1000 != 0))
      for flag in [false, true] {
        state.isLatched = flag
        state.isRaised = !flag
        state.isShared = flag
        #expect(state.rawValue == byte & 0x1f | (flag ? 0xa0 : 0x40))
      }
    }
  }
}
