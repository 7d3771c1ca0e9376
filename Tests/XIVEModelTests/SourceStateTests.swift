import Testing
import XIVEModel

@Suite("What a source remembers in its byte")
struct SourceStateTests {
  @Test("A source nobody created is off, edge-triggered and not there")
  func absent() {
    let state = SourceState.absent
    #expect(state.pq == .off)
    #expect(!state.isLSI && !state.isAsserted && !state.isCreated)
  }

  @Test("The four fields do not touch each other")
  func fieldsAreIndependent() {
    for raw in UInt8(0)..<32 {
      let before = SourceState(rawValue: raw)
      for pq in PQ.allCases { check(before) { $0.pq = pq } }
      for flag in [false, true] {
        check(before) { $0.isLSI = flag }
        check(before) { $0.isAsserted = flag }
        check(before) { $0.isCreated = flag }
      }
    }
  }

  /// A change through one field changes no more than that field.
  private func check(_ before: SourceState, _ change: (inout SourceState) -> Void) {
    var after = before
    change(&after)
    let changed = [
      after.pq != before.pq, after.isLSI != before.isLSI, after.isAsserted != before.isAsserted,
      after.isCreated != before.isCreated,
    ]
    #expect(changed.count { $0 } == (after == before ? 0 : 1))
  }

  @Test("The bits lie where a saved state has them")
  func layout() {
    var state = SourceState(rawValue: 0)
    state.isLSI = true
    #expect(state.rawValue == 0b0_0100)
    state.isAsserted = true
    #expect(state.rawValue == 0b0_1100)
    state.isCreated = true
    #expect(state.rawValue == 0b1_1100)
    state.pq = .pending
    #expect(state.rawValue == 0b1_1110)
  }

  @Test("Creating a source, new or active, leaves it off and tells nobody", arguments: PQ.allCases)
  func creation(from pq: PQ) {
    var state = SourceState.absent
    state.pq = pq
    #expect(state.perform(.create(isLSI: false, isAsserted: false)) == SourceOutcome())
    #expect(state.pq == .off)
    #expect(state.isCreated && !state.isLSI && !state.isAsserted)
  }
}
