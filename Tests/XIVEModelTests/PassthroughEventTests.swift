import Testing
import XIVEModel

@Suite("What happens to a PHB's interrupt beyond what happens to any source")
struct PassthroughEventTests {
  /// PQ after an event, the loaded value, and whether an event leaves, for PQ 00, 01, 10, 11 in that order.
  private typealias Row = (after: UInt8, value: UInt64, forwards: Bool)

  private static let handedOver: [Row] = [
    (0b10, 0, false), (0b10, 1, false), (0b11, 2, false), (0b11, 3, false),
  ]
  private static let restored: [Row] = [
    (0b10, 0, false), (0b10, 1, false), (0b10, 2, false), (0b11, 3, false),
  ]
  private static let unchanged: [Row] = [
    (0b00, 0, false), (0b01, 0, false), (0b10, 0, false), (0b11, 0, false),
  ]
  private static let told: [Row] = [
    (0b10, 0, true), (0b01, 0, false), (0b10, 0, false), (0b11, 0, false),
  ]

  /// What an event does in each of the 32 states, as a table says.
  private func check(
    _ event: SourceEvent, _ row: (SourceState) -> Row, line: (SourceState) -> Bool
  ) {
    for raw in UInt8(0)..<32 {
      let before = SourceState(rawValue: raw)
      var state = before
      let outcome = state.perform(event)
      let expected = row(before)
      #expect(state.pq.rawValue == expected.after, "\(event) in \(raw)")
      #expect(outcome == SourceOutcome(value: expected.value, forwards: expected.forwards))
      #expect(state.isAsserted == line(before), "\(event) in \(raw)")
      #expect(state.isLSI == before.isLSI && state.isCreated == before.isCreated)
    }
  }

  @Test("Handed to a guest it is pending, queued if it was pending, and nobody is told")
  func passThrough() {
    check(.passThrough) {
      Self.handedOver[Int($0.pq.rawValue)]
    } line: {
      $0.isAsserted
    }
  }

  @Test("Back on its own pages a source is pending, queued if it was queued, and nobody is told")
  func restore() {
    check(.restore) {
      Self.restored[Int($0.pq.rawValue)]
    } line: {
      $0.isAsserted
    }
  }

  @Test("A line that is raised behind a fence is remembered and not told; a message has no line")
  func hold() {
    check(.hold) {
      Self.unchanged[Int($0.pq.rawValue)]
    } line: {
      $0.isLSI
    }
  }

  @Test("When the fence is lifted a line that is held is told, if nobody knows of it")
  func resume() {
    check(.resume) { state in
      (state.isAsserted ? Self.told : Self.unchanged)[Int(state.pq.rawValue)]
    } line: {
      $0.isAsserted
    }
  }

  private static let events: [SourceEvent] = [
    .trigger, .endOfInterrupt, .get, .set(.queued), .set(.reset), .assert, .deassert, .hold,
    .resume, .restore,
    .passThrough, .create(isLSI: true, isAsserted: true),
  ]

  @Test(
    "Cells of a PHB do to an interrupt what they do to a source, and to no other", arguments: events
  )
  func cells(event: SourceEvent) {
    let count = 130
    let controllers = [Controller(count: count), Controller(count: count)]
    let (bySource, byIRQ) = (controllers[0].engine.cells, controllers[1].engine.cells)
    for index in [0, 1, 63, 64, 65, 129] {
      let (lisn, irq) = (LISN(rawValue: UInt32(index)), HardwareIRQ(rawValue: UInt16(index)))
      for set in PQ.allCases {
        let create = SourceEvent.create(isLSI: index & 1 == 1, isAsserted: index == 63)
        for event in [create, .set(set), event] {
          #expect(byIRQ.perform(event, on: irq) == bySource.perform(event, on: lisn))
        }
        #expect(byIRQ.state(of: irq) == bySource.state(of: lisn))
      }
    }
    for index in 0..<count {
      let (lisn, irq) = (LISN(rawValue: UInt32(index)), HardwareIRQ(rawValue: UInt16(index)))
      #expect(byIRQ.state(of: irq) == bySource.state(of: lisn))
      #expect(byIRQ.state(of: irq) == byIRQ.state(of: lisn))
      if ![0, 1, 63, 64, 65, 129].contains(index) { #expect(byIRQ.state(of: irq) == .absent) }
    }
    withExtendedLifetime(controllers) {}
  }

  @Test("The shape of a PHB: messages first, level interrupts behind them")
  func shape() {
    let shape = PHBShape(msiCount: 3, lsiCount: 2)
    #expect(shape.irqCount == 5)
    #expect(
      (0..<5).map { shape.isLSI(HardwareIRQ(rawValue: $0)) } == [false, false, false, true, true])
    #expect(PHBShape(msiCount: .max, lsiCount: .max).irqCount == 2 * UInt64(UInt32.max))
  }
}
