import Testing
import XIVEModel
import XIVETestSupport

@Suite("The model against the literal table, at random")
struct DifferentialTests {
  private static let sourceCount = 5

  @Test("Loads and stores on several message sources", arguments: [false, true])
  func messages(storeEOI: Bool) throws {
    var random = Seed.generator(stream: storeEOI ? 1 : 0)
    var reference = ReferenceModel(count: Self.sourceCount, supportsStoreEOI: storeEOI)
    let controller = Controller(count: Self.sourceCount, storeEOI: storeEOI)
    for step in 0..<100_000 {
      let access = Access.random(&random)
      try check(access, step, controller, &reference)
    }
    expectSame(controller, reference)
  }

  @Test("Loads, stores and lines of several level-sensitive sources")
  func levels() throws {
    var random = Seed.generator(stream: 2)
    var reference = ReferenceModel(
      count: Self.sourceCount, supportsStoreEOI: true, isLevel: true)
    let controller = Controller(count: Self.sourceCount, storeEOI: true)
    for source in 0..<UInt32(Self.sourceCount) {
      controller.perform(.create(isLSI: true, isAsserted: false), on: source)
    }
    for step in 0..<50_000 {
      let access = Access.random(&random)
      if Bool.random(using: &random) {
        let event: ReferenceLevelEvent = Bool.random(using: &random) ? .assert : .deassert
        controller.perform(SourceEvent(event), on: access.source)
        reference.perform(event, source: Int(access.source))
      }
      try check(access, step, controller, &reference)
    }
    expectSame(controller, reference)
  }

  private func check(
    _ access: Access, _ step: Int, _ controller: Controller<CountingRouter>,
    _ reference: inout ReferenceModel
  ) throws {
    let value = controller.access(access.access, access.source, access.page, at: access.offset)
    let expected = reference.perform(
      access.access, source: Int(access.source), access.page, at: access.offset)
    let pq = controller.pq(of: access.source)
    let isSame =
      value == expected && pq == reference.sources[Int(access.source)].pq
      && controller.router.count == reference.notified
    let got = value.map { String($0, radix: 16) } ?? "nothing"
    try #require(isSame, "step \(step), \(access): \(got), PQ \(pq). \(Seed.comment)")
  }

  private func expectSame(_ controller: Controller<CountingRouter>, _ reference: ReferenceModel) {
    for (index, source) in reference.sources.enumerated() {
      let state = controller.state(of: UInt32(index))
      #expect(state.pq.rawValue == source.pq, "\(Seed.comment)")
      #expect(state.isAsserted == source.isAsserted, "\(Seed.comment)")
    }
  }

  private struct Access {
    let access: VectorAccess
    let source: UInt32
    let page: VectorPage
    let offset: UInt64

    static func random(_ random: inout SplitMix64) -> Access {
      Access(
        access: Bool.random(using: &random) ? .load : .store,
        source: .random(in: 0..<UInt32(sourceCount), using: &random),
        page: Int.random(in: 0..<4, using: &random) == 0 ? .trigger : .management,
        offset: .random(in: 0..<0x10000 / 8, using: &random) * 8)
    }
  }
}
