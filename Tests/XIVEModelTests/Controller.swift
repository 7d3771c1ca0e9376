import XIVEModel
import XIVETestSupport

/// Sources in memory of their own, with an engine in front that is accessed as a consumer would.
final class Controller<Router: EventRouter>: Sendable {
  let memory: AlignedMemory
  let engine: SourceEngine
  let router: Router

  init(count: Int, storeEOI: Bool = false, router: Router) {
    memory = AlignedMemory(byteCount: SourceCells.byteCount(for: count))
    let cells = unsafe SourceCells(unsafeMemory: memory.unsafeBuffer, count: count)
    engine = SourceEngine(cells: cells, supportsStoreEOI: storeEOI, router: router)
    self.router = router
  }

  func state(of source: UInt32) -> SourceState { engine.cells.state(of: LISN(rawValue: source)) }

  func pq(of source: UInt32) -> UInt8 { state(of: source).pq.rawValue }

  @discardableResult
  func perform(_ event: SourceEvent, on source: UInt32) -> UInt64 {
    engine.perform(event, on: LISN(rawValue: source))
  }

  /// Decodes an offset and performs what it means; nil for a store, as stores return nothing.
  @discardableResult
  func access(
    _ access: VectorAccess, _ source: UInt32, _ page: VectorPage, at offset: UInt64
  ) -> UInt64? {
    let operation = ESBOperation(access, page, at: offset)
    let value = engine.event(for: operation).map { perform($0, on: source) } ?? .max
    return access == .load ? value : nil
  }
}

extension Controller where Router == CountingRouter {
  convenience init(count: Int, storeEOI: Bool = false) {
    self.init(count: count, storeEOI: storeEOI, router: CountingRouter())
  }
}

extension ESBHalf {
  init(_ page: VectorPage) { self = page == .trigger ? .trigger : .management }
}

extension ESBOperation {
  init(_ access: VectorAccess, _ page: VectorPage, at offset: UInt64) {
    switch access {
    case .load: self = .load(at: offset, of: ESBHalf(page))
    case .store: self = .store(at: offset, of: ESBHalf(page))
    }
  }

  init(_ reference: ReferenceOperation?) {
    switch reference {
    case .trigger: self = .trigger
    case .loadEOI: self = .loadEOI
    case .storeEOI: self = .storeEOI
    case .get: self = .get
    case .set00: self = .set(.reset)
    case .set01: self = .set(.off)
    case .set10: self = .set(.pending)
    case .set11: self = .set(.queued)
    case nil: self = .none
    }
  }
}

extension SourceEvent {
  init(_ reference: ReferenceOperation) {
    switch reference {
    case .trigger: self = .trigger
    case .loadEOI, .storeEOI: self = .endOfInterrupt
    case .get: self = .get
    case .set00: self = .set(.reset)
    case .set01: self = .set(.off)
    case .set10: self = .set(.pending)
    case .set11: self = .set(.queued)
    }
  }

  init(_ reference: ReferenceLevelEvent) {
    switch reference {
    case .assert: self = .assert
    case .deassert: self = .deassert
    case .endOfInterrupt: self = .endOfInterrupt
    }
  }
}
