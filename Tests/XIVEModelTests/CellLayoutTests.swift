import Testing
import XIVEModel
import XIVETestSupport

@Suite("Where the sources' bytes lie")
struct CellLayoutTests {
  private static let counts = [1, 63, 64, 65, 1000, 8192, 65_537]

  @Test("Every source has a byte of its own", arguments: counts)
  func bytesAreDistinct(count: Int) {
    let controller = Controller(count: count)
    for source in 0..<UInt32(count) { controller.perform(Self.created, on: source) }
    let marked = controller.memory.positions { SourceState(rawValue: $0).isCreated }
    #expect(marked.count == count)
  }

  @Test("What is written to all sources is read back from all", arguments: counts)
  func statesAreDistinct(count: Int) {
    let controller = Controller(count: count)
    let states = (0..<UInt32(count)).map { PQ(rawValue: UInt8(truncatingIfNeeded: $0 &* 7 / 3)) }
    for (source, pq) in states.enumerated() { controller.perform(.set(pq), on: UInt32(source)) }
    let differing = states.indices.filter { controller.pq(of: UInt32($0)) != states[$0].rawValue }
    #expect(differing.isEmpty)
  }

  @Test("All sources are absent at first, whatever the memory held", arguments: counts)
  func initialState(count: Int) {
    let memory = AlignedMemory(byteCount: SourceCells.byteCount(for: count))
    unsafe memory.unsafeBuffer.initializeMemory(as: UInt8.self, repeating: 0xff)
    let cells = unsafe SourceCells(unsafeMemory: memory.unsafeBuffer, count: count)
    #expect((0..<UInt32(count)).allSatisfy { cells.state(of: LISN(rawValue: $0)) == .absent })
  }

  @Test("Neighbouring sources lie in different cache lines", arguments: [64, 65, 1000, 8192])
  func neighbours(count: Int) throws {
    let controller = Controller(count: count)
    var previous: Int?
    for source in 0..<UInt32(min(count, 150)) {
      controller.perform(Self.created, on: source)
      let marked = controller.memory.positions { SourceState(rawValue: $0).isCreated }
      let line = try #require(marked.first) / 64
      #expect(line != previous, "source \(source)")
      previous = line
      controller.memory.clear()
    }
  }

  @Test("A source takes no more than 32 bytes in tables that matter")
  func size() {
    for count in [1024, 1025, 4096, 8192, 65_537, LISN.maximumCount] {
      #expect(SourceCells.byteCount(for: count) <= count * 32, "\(count) sources")
      #expect(SourceCells.byteCount(for: count) >= count, "\(count) sources")
    }
  }

  @Test("A table stays within the memory that it asks for", arguments: [0] + counts)
  func bounds(count: Int) {
    let size = SourceCells.byteCount(for: count)
    let memory = AlignedMemory(byteCount: size + 64)
    unsafe memory.unsafeBuffer.initializeMemory(as: UInt8.self, repeating: 0xa5)
    let cells = unsafe SourceCells(unsafeMemory: memory.unsafeBuffer, count: count)
    for source in 0..<UInt32(count) { _ = cells.perform(Self.created, on: LISN(rawValue: source)) }
    #expect(Array(memory.positions { $0 == 0xa5 }.suffix(64)) == Array(size..<size + 64))
  }

  @Test("A table contains its own numbers only", arguments: [0] + counts)
  func contains(count: Int) {
    let cells = Controller(count: count).engine.cells
    #expect(cells.count == count)
    #expect(!cells.contains(LISN(rawValue: UInt32(count))))
    #expect(!cells.contains(LISN(rawValue: .max)))
    if count > 0 { #expect(cells.contains(LISN(rawValue: UInt32(count - 1)))) }
  }

  private static let created = SourceEvent.create(isLSI: false, isAsserted: false)
}

extension AlignedMemory {
  /// Makes every source absent again, as nobody else is using them.
  fileprivate func clear() {
    unsafe unsafeBuffer.initializeMemory(as: UInt8.self, repeating: SourceState.absent.rawValue)
  }
}
