/// The source half of the controller: ESB pages in front, a router behind.
///
/// Safe from any thread; takes no lock of its own and does not allocate.
public struct SourceEngine: Sendable {
  /// The state of the sources.
  public let cells: SourceCells
  /// Whether a store at 400-7ff of a management page ends the interrupt.
  ///
  /// Off on POWER9 hardware since its firmware found the ordering limits of the operation.
  public let supportsStoreEOI: Bool
  private let router: any EventRouter

  /// Puts cells and a router together.
  /// - Parameters:
  ///   - cells: the state of the sources.
  ///   - supportsStoreEOI: whether StoreEOI works.
  ///   - router: where events go.
  public init(cells: SourceCells, supportsStoreEOI: Bool, router: any EventRouter) {
    self.cells = cells
    self.supportsStoreEOI = supportsStoreEOI
    self.router = router
  }

  /// Performs what happens to a source and forwards the event, if there is one.
  /// - Parameters:
  ///   - event: what happens.
  ///   - lisn: a source in the table.
  /// - Returns: the value that a load gives.
  @discardableResult
  public func perform(_ event: SourceEvent, on lisn: LISN) -> UInt64 {
    let outcome = cells.perform(event, on: lisn)
    if outcome.forwards { router.forward(lisn) }
    return outcome.value
  }

  /// Tells what an ESB operation means here.
  /// - Parameter operation: the decoded load or store.
  /// - Returns: the event, or nil where the operation is not architected or not supported: a load then
  ///   gives all ones, a store is dropped, and it counts as a guest error.
  public func event(for operation: ESBOperation) -> SourceEvent? {
    operation.event(supportsStoreEOI: supportsStoreEOI)
  }
}

extension ESBOperation {
  /// Tells what the operation means to a source.
  /// - Parameter supportsStoreEOI: whether a store at 400-7ff ends the interrupt there.
  /// - Returns: the event, or nil where the operation is not architected or not supported.
  public func event(supportsStoreEOI: Bool) -> SourceEvent? {
    switch self {
    case .trigger: .trigger
    case .loadEOI: .endOfInterrupt
    case .storeEOI: supportsStoreEOI ? .endOfInterrupt : nil
    case .get: .get
    case .set(let pq): .set(pq)
    case .none: nil
    }
  }
}
