import Testing
import XIVEModel
import XIVETestSupport

@Suite("The two state bits")
struct PQTests {
  @Test("The table has one row for every operation from every state")
  func tableIsComplete() {
    let questions = ReferenceTable.rows.map(\.description)
    #expect(Set(questions).count == questions.count)
    #expect(questions.count == PQ.allCases.count * ReferenceOperation.allCases.count)
  }

  @Test("Every event that ESB pages can cause is in the table")
  func eventsAreComplete() {
    let expected: Set<SourceEvent> = [
      .trigger, .endOfInterrupt, .get, .set(.reset), .set(.off), .set(.pending), .set(.queued),
    ]
    #expect(Set(ReferenceOperation.allCases.map { SourceEvent($0) }) == expected)
  }

  @Test("A message source follows the table", arguments: ReferenceTable.rows)
  func row(_ row: ReferenceRow) {
    var state = SourceState.absent
    state.isCreated = true
    state.pq = PQ(rawValue: row.before)
    let outcome = state.perform(SourceEvent(row.operation))
    if row.operation != .storeEOI { #expect(outcome.value == row.value) }
    #expect(outcome.forwards == row.notifies)
    #expect(state.pq.rawValue == row.after)
    #expect(state.isCreated && !state.isLSI && !state.isAsserted)
  }

  @Test("A trigger alone follows the table", arguments: rows(of: .trigger))
  func trigger(_ row: ReferenceRow) {
    var pq = PQ(rawValue: row.before)
    #expect(pq.trigger() == row.notifies)
    #expect(pq.rawValue == row.after)
  }

  @Test("An EOI alone follows the table", arguments: rows(of: .loadEOI))
  func endOfInterrupt(_ row: ReferenceRow) {
    var pq = PQ(rawValue: row.before)
    #expect(pq.endOfInterrupt() == row.notifies)
    #expect(pq.rawValue == row.after)
  }

  @Test("The states are numbered and written as in the architecture")
  func names() {
    #expect(PQ.allCases.map(\.rawValue) == [0, 1, 2, 3])
    #expect(PQ.allCases.map(\.description) == ["00", "01", "10", "11"])
    #expect([PQ.reset, .off, .pending, .queued] == PQ.allCases)
  }

  @Test("Only two bits of a number become state")
  func otherBitsAreDropped() {
    for raw in UInt8.min...UInt8.max { #expect(PQ(rawValue: raw).rawValue == raw & 3) }
  }

  @Test("Many triggers while pending queue one event, and an EOI yields exactly one more")
  func coalescing() {
    let controller = Controller(count: 1)
    controller.perform(.set(.reset), on: 0)
    for _ in 0..<100 { controller.perform(.trigger, on: 0) }
    #expect(controller.router.count == 1)
    #expect(controller.perform(.endOfInterrupt, on: 0) == 1)
    #expect(controller.router.count == 2)
    #expect(controller.perform(.endOfInterrupt, on: 0) == 0)
    #expect(controller.router.count == 2)
    #expect(controller.pq(of: 0) == 0b00)
  }

  private static func rows(of operation: ReferenceOperation) -> [ReferenceRow] {
    ReferenceTable.rows.filter { $0.operation == operation }
  }
}
