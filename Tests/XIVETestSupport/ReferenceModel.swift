/// Sources that do what ``ReferenceTable`` says and nothing else: slow, literal, not for threads.
public struct ReferenceModel: Sendable {
  /// What one source remembers.
  public struct Source: Hashable, Sendable {
    /// P in bit 1, Q in bit 0.
    public var pq: UInt8 = 0b01
    /// Whether the source is level-sensitive.
    public var isLevel = false
    /// Whether the line of a level-sensitive source is up.
    public var isAsserted = false
  }

  /// The sources; all start off.
  public private(set) var sources: [Source]
  /// Events that reached the router.
  public private(set) var notified: UInt64 = 0
  private let supportsStoreEOI: Bool

  /// Creates sources.
  /// - Parameters:
  ///   - count: how many.
  ///   - supportsStoreEOI: whether StoreEOI works.
  ///   - isLevel: whether they are level-sensitive.
  public init(count: Int, supportsStoreEOI: Bool, isLevel: Bool = false) {
    sources = Array(repeating: Source(isLevel: isLevel), count: count)
    self.supportsStoreEOI = supportsStoreEOI
  }

  /// Loads or stores 8 bytes.
  /// - Parameters:
  ///   - access: load or store.
  ///   - source: which source.
  ///   - page: which of its pages.
  ///   - offset: a byte offset in the page.
  /// - Returns: a load's value; nil for a store.
  public mutating func perform(
    _ access: VectorAccess, source: Int, _ page: VectorPage, at offset: UInt64
  ) -> UInt64? {
    let operation = ReferenceTable.operation(page, access, at: offset)
    guard let operation, operation != .storeEOI || supportsStoreEOI else {
      return access == .load ? .max : nil
    }
    let value = perform(operation, source: source)
    return access == .load ? value : nil
  }

  /// Raises or lowers the line of a level-sensitive source, or ends its interrupt.
  /// - Parameters:
  ///   - event: what happens.
  ///   - source: which source.
  /// - Returns: the value that a load gives.
  @discardableResult
  public mutating func perform(_ event: ReferenceLevelEvent, source: Int) -> UInt64 {
    let state = sources[source]
    for row in ReferenceTable.levelRows
    where row.event == event && row.before == state.pq && row.wasAsserted == state.isAsserted {
      sources[source].pq = row.after
      sources[source].isAsserted = row.isAsserted
      notified += row.notifies ? 1 : 0
      return row.value
    }
    preconditionFailure("the level table has no row for \(event) from \(state)")
  }

  private mutating func perform(_ operation: ReferenceOperation, source: Int) -> UInt64 {
    let state = sources[source]
    if state.isLevel, operation == .loadEOI || operation == .storeEOI {
      return perform(.endOfInterrupt, source: source)
    }
    for row in ReferenceTable.rows where row.operation == operation && row.before == state.pq {
      sources[source].pq = row.after
      notified += row.notifies ? 1 : 0
      return row.value
    }
    preconditionFailure("the table has no row for \(operation) from \(state)")
  }
}
