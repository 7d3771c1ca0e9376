import Testing
import XIVEModel
import XIVETestSupport

@Suite("What was recorded from QEMU")
struct VectorTests {
  @Test("The files hold all four shapes with StoreEOI off and on")
  func filesAreComplete() throws {
    let shapes = ESBGeometry.allCases.flatMap { ["\($0.rawValue) false", "\($0.rawValue) true"] }
    #expect(try Vectors.operations.map { "\($0.esbShift) \($0.storeEOI)" } == shapes)
    #expect(try Vectors.sequences.map { "\($0.esbShift) \($0.storeEOI)" } == shapes)
    #expect(try Vectors.operations.allSatisfy { $0.rows.count >= 144 })
    #expect(try Vectors.sequences.allSatisfy { $0.sequences.count == 6 })
  }

  @Test("One page a source means that there is no trigger page", arguments: try Vectors.operations)
  func pages(_ set: OperationSet) throws {
    let geometry = try #require(ESBGeometry(rawValue: set.esbShift))
    let pages: [VectorPage] = geometry.pageCount == 1 ? [.management] : [.trigger, .management]
    #expect(Set(set.rows.map(\.page)) == Set(pages))
  }

  @Test("Every single access does what was recorded", arguments: try Vectors.operations)
  func operations(_ set: OperationSet) {
    let controller = Controller(count: 3, storeEOI: set.storeEOI)
    for row in set.rows { check(row, on: controller) }
  }

  private func check(_ row: OperationRow, on controller: Controller<CountingRouter>) {
    for source: UInt32 in 0..<3 { controller.perform(.set(PQ(rawValue: row.before)), on: source) }
    let count = controller.router.count
    let value = controller.access(row.op, 1, row.page, at: row.offset)
    let notified = isInjection(row) ? 0 : row.notified
    #expect(value == row.value, "\(row)")
    #expect(controller.pq(of: 1) == row.after, "\(row)")
    #expect(controller.router.count - count == notified, "\(row)")
    #expect(controller.pq(of: 0) == row.before, "\(row): the source before changed")
    #expect(controller.pq(of: 2) == row.before, "\(row): the source behind changed")
  }

  /// QEMU forwards an event for a store here; the architecture has nothing, and neither have we.
  private func isInjection(_ row: OperationRow) -> Bool {
    row.page == .management && row.op == .store && (0x800...0xbff).contains(row.offset & 0xfff)
  }

  @Test("A load of the trigger page is all ones and changes nothing", arguments: PQ.allCases)
  func triggerPageLoads(from pq: PQ) {
    let controller = Controller(count: 1)
    controller.perform(.set(pq), on: 0)
    for offset in stride(from: UInt64(0), to: 0x1000, by: 8) {
      #expect(controller.access(.load, 0, .trigger, at: offset) == .max)
    }
    #expect(controller.pq(of: 0) == pq.rawValue)
    #expect(controller.router.count == 0)
  }

  @Test("A StoreEOI that is not supported changes nothing", arguments: PQ.allCases)
  func unsupportedStoreEOI(from pq: PQ) {
    let controller = Controller(count: 1, storeEOI: false)
    controller.perform(.set(pq), on: 0)
    for offset in stride(from: UInt64(0x400), to: 0x800, by: 8) {
      controller.access(.store, 0, .management, at: offset)
    }
    #expect(controller.pq(of: 0) == pq.rawValue)
    #expect(controller.router.count == 0)
  }

  @Test("Every recorded sequence runs as recorded", arguments: try Vectors.sequences)
  func sequences(_ set: SequenceSet) {
    let controller = Controller(count: 8192, storeEOI: set.storeEOI)
    for sequence in set.sequences { run(sequence, on: controller) }
  }

  private func run(_ sequence: VectorSequence, on controller: Controller<CountingRouter>) {
    let sources = sequence.base..<sequence.base + 3
    for source in sources { controller.perform(.set(.off), on: source) }
    for (index, step) in sequence.steps.enumerated() {
      let count = controller.router.count
      let source = sequence.base + step.source
      let value = controller.access(step.op, source, step.page, at: step.offset)
      #expect(value == step.value, "step \(index), \(step)")
      #expect(controller.router.count - count == step.notified, "step \(index), \(step)")
    }
    #expect(sources.map { controller.pq(of: $0) } == sequence.final)
  }
}
