/// An ESB operation as the architecture names it.
public enum ReferenceOperation: String, Hashable, Sendable, CaseIterable {
  /// A store that triggers.
  case trigger
  /// An EOI by a load.
  case loadEOI
  /// An EOI by a store.
  case storeEOI
  /// A load of PQ.
  case get
  /// PQ set to 00.
  case set00
  /// PQ set to 01.
  case set01
  /// PQ set to 10.
  case set10
  /// PQ set to 11.
  case set11
}

/// What one operation does from one state: a cell of the architecture's table.
public struct ReferenceRow: Hashable, Sendable, CustomStringConvertible {
  /// The operation.
  public let operation: ReferenceOperation
  /// PQ before.
  public let before: UInt8
  /// The value that a load returns.
  public let value: UInt64
  /// PQ after.
  public let after: UInt8
  /// Whether the router hears of it.
  public let notifies: Bool

  fileprivate init(
    _ operation: ReferenceOperation, _ before: UInt8, _ value: UInt64, _ after: UInt8,
    _ notifies: Bool
  ) {
    self.operation = operation
    self.before = before
    self.value = value
    self.after = after
    self.notifies = notifies
  }

  /// The row's question: operation and state.
  public var description: String { "\(operation.rawValue) from PQ \(before >> 1)\(before & 1)" }
}

/// The architecture's tables, written down cell by cell, as a second opinion on the model.
///
/// Nothing is computed here: a rule that the model gets wrong cannot be wrong here the same way.
public enum ReferenceTable {
  /// Every operation from every state; a store has value 0.
  public static let rows: [ReferenceRow] = [
    ReferenceRow(.trigger, 0b00, 0, 0b10, true),
    ReferenceRow(.trigger, 0b01, 0, 0b01, false),
    ReferenceRow(.trigger, 0b10, 0, 0b11, false),
    ReferenceRow(.trigger, 0b11, 0, 0b11, false),
    ReferenceRow(.loadEOI, 0b00, 0, 0b00, false),
    ReferenceRow(.loadEOI, 0b01, 0, 0b01, false),
    ReferenceRow(.loadEOI, 0b10, 0, 0b00, false),
    ReferenceRow(.loadEOI, 0b11, 1, 0b10, true),
    ReferenceRow(.storeEOI, 0b00, 0, 0b00, false),
    ReferenceRow(.storeEOI, 0b01, 0, 0b01, false),
    ReferenceRow(.storeEOI, 0b10, 0, 0b00, false),
    ReferenceRow(.storeEOI, 0b11, 0, 0b10, true),
    ReferenceRow(.get, 0b00, 0, 0b00, false),
    ReferenceRow(.get, 0b01, 1, 0b01, false),
    ReferenceRow(.get, 0b10, 2, 0b10, false),
    ReferenceRow(.get, 0b11, 3, 0b11, false),
    ReferenceRow(.set00, 0b00, 0, 0b00, false),
    ReferenceRow(.set00, 0b01, 1, 0b00, false),
    ReferenceRow(.set00, 0b10, 2, 0b00, false),
    ReferenceRow(.set00, 0b11, 3, 0b00, false),
    ReferenceRow(.set01, 0b00, 0, 0b01, false),
    ReferenceRow(.set01, 0b01, 1, 0b01, false),
    ReferenceRow(.set01, 0b10, 2, 0b01, false),
    ReferenceRow(.set01, 0b11, 3, 0b01, false),
    ReferenceRow(.set10, 0b00, 0, 0b10, false),
    ReferenceRow(.set10, 0b01, 1, 0b10, false),
    ReferenceRow(.set10, 0b10, 2, 0b10, false),
    ReferenceRow(.set10, 0b11, 3, 0b10, false),
    ReferenceRow(.set11, 0b00, 0, 0b11, false),
    ReferenceRow(.set11, 0b01, 1, 0b11, false),
    ReferenceRow(.set11, 0b10, 2, 0b11, false),
    ReferenceRow(.set11, 0b11, 3, 0b11, false),
  ]
}
