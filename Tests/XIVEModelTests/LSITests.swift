import Testing
import XIVEModel
import XIVETestSupport

@Suite("Level-sensitive sources")
struct LSITests {
  @Test("The table has one row for every event from every state of PQ and line")
  func tableIsComplete() {
    let questions = ReferenceTable.levelRows.map(\.description)
    #expect(Set(questions).count == questions.count)
    #expect(questions.count == ReferenceLevelEvent.allCases.count * PQ.allCases.count * 2)
  }

  @Test("Line and EOI follow the table", arguments: ReferenceTable.levelRows)
  func row(_ row: ReferenceLevelRow) {
    var state = lsi(PQ(rawValue: row.before), isAsserted: row.wasAsserted)
    let outcome = state.perform(SourceEvent(row.event))
    #expect(outcome == SourceOutcome(value: row.value, forwards: row.notifies))
    #expect(state == lsi(PQ(rawValue: row.after), isAsserted: row.isAsserted))
  }

  @Test("All other operations follow the plain table and leave the line", arguments: [false, true])
  func otherOperations(isAsserted: Bool) {
    for row in ReferenceTable.rows where SourceEvent(row.operation) != .endOfInterrupt {
      var state = lsi(PQ(rawValue: row.before), isAsserted: isAsserted)
      let outcome = state.perform(SourceEvent(row.operation))
      #expect(outcome == SourceOutcome(value: row.value, forwards: row.notifies), "\(row)")
      #expect(state == lsi(PQ(rawValue: row.after), isAsserted: isAsserted), "\(row)")
    }
  }

  @Test("SET_PQ_00 under a raised line refires only at the next EOI")
  func noRefireUntilEOI() {
    var state = lsi(.pending, isAsserted: true)
    #expect(state.perform(.set(.reset)) == SourceOutcome(value: 2))
    #expect(state.perform(.get) == SourceOutcome(value: 0))
    #expect(state.perform(.endOfInterrupt) == SourceOutcome(value: 1, forwards: true))
    #expect(state.pq == .pending)
  }

  @Test("SET_PQ_00 under a raised line refires at the next edge of the line")
  func noRefireUntilEdge() {
    var state = lsi(.pending, isAsserted: true)
    #expect(!state.perform(.set(.reset)).forwards)
    #expect(!state.perform(.deassert).forwards)
    #expect(state.pq == .reset)
    #expect(state.perform(.assert).forwards)
    #expect(state.pq == .pending)
  }

  @Test("A line that stays up fires again at every EOI until it falls")
  func refires() {
    var state = lsi(.reset, isAsserted: false)
    #expect(state.perform(.assert).forwards)
    for _ in 0..<3 { #expect(state.perform(.endOfInterrupt).forwards) }
    #expect(!state.perform(.deassert).forwards)
    #expect(state.pq == .pending)
    #expect(state.perform(.endOfInterrupt) == SourceOutcome())
    #expect(state.pq == .reset)
  }

  @Test("Created as LSI and then as MSI, a source stays an LSI")
  func levelIsSticky() {
    var state = SourceState.absent
    _ = state.perform(.create(isLSI: true, isAsserted: false))
    _ = state.perform(.create(isLSI: false, isAsserted: false))
    #expect(state.isLSI && !state.isAsserted)
  }

  @Test("Created asserted, an LSI is off with its line up, and stays so when created again")
  func createdAsserted() {
    var state = SourceState.absent
    #expect(state.perform(.create(isLSI: true, isAsserted: true)) == SourceOutcome())
    #expect(state == lsi(.off, isAsserted: true))
    _ = state.perform(.create(isLSI: true, isAsserted: false))
    #expect(state == lsi(.off, isAsserted: true))
  }

  @Test("Creating an active LSI again leaves it off", arguments: PQ.allCases)
  func createdWhileActive(from pq: PQ) {
    var state = lsi(pq, isAsserted: true)
    #expect(state.perform(.create(isLSI: true, isAsserted: true)) == SourceOutcome())
    #expect(state == lsi(.off, isAsserted: true))
  }

  @Test("Asserted without the LSI bit means nothing for a message source")
  func messageIgnoresAsserted() {
    var state = SourceState.absent
    _ = state.perform(.create(isLSI: false, isAsserted: true))
    #expect(!state.isLSI && !state.isAsserted)
    #expect(state.pq == .off)
  }

  // Linux looks at the asserted bit only together with the LSI bit of the same call.
  @Test("Asserted without the LSI bit means nothing for an LSI either")
  func levelIgnoresAssertedAlone() {
    var state = SourceState.absent
    _ = state.perform(.create(isLSI: true, isAsserted: false))
    _ = state.perform(.create(isLSI: false, isAsserted: true))
    #expect(state == lsi(.off, isAsserted: false))
  }

  @Test("Raising the line of a message source is one message", arguments: rows(of: .trigger))
  func messageLine(_ row: ReferenceRow) {
    var state = SourceState.absent
    state.pq = PQ(rawValue: row.before)
    #expect(state.perform(.assert) == SourceOutcome(forwards: row.notifies))
    #expect(state.pq.rawValue == row.after)
    #expect(!state.isAsserted)
    #expect(state.perform(.deassert) == SourceOutcome())
    #expect(state.pq.rawValue == row.after)
    #expect(!state.isAsserted)
  }

  private static func rows(of operation: ReferenceOperation) -> [ReferenceRow] {
    ReferenceTable.rows.filter { $0.operation == operation }
  }

  private func lsi(_ pq: PQ, isAsserted: Bool) -> SourceState {
    var state = SourceState.absent
    state.isCreated = true
    state.isLSI = true
    state.isAsserted = isAsserted
    state.pq = pq
    return state
  }
}
