/// What happens to a level-sensitive source beyond the plain ESB operations.
public enum ReferenceLevelEvent: String, Hashable, Sendable, CaseIterable {
  /// The device raises its line.
  case assert
  /// The device lowers its line.
  case deassert
  /// The interrupt is ended.
  case endOfInterrupt
}

/// What one event does to a level-sensitive source from one state.
public struct ReferenceLevelRow: Hashable, Sendable, CustomStringConvertible {
  /// The event.
  public let event: ReferenceLevelEvent
  /// Whether the line was up before.
  public let wasAsserted: Bool
  /// PQ before.
  public let before: UInt8
  /// The value of an EOI load; 0 for a change of the line.
  public let value: UInt64
  /// PQ after.
  public let after: UInt8
  /// Whether the line is up after.
  public let isAsserted: Bool
  /// Whether the router hears of it.
  public let notifies: Bool

  fileprivate init(
    _ event: ReferenceLevelEvent, up wasAsserted: Bool, _ before: UInt8, _ value: UInt64,
    _ after: UInt8, up isAsserted: Bool, _ notifies: Bool
  ) {
    self.event = event
    self.wasAsserted = wasAsserted
    self.before = before
    self.value = value
    self.after = after
    self.isAsserted = isAsserted
    self.notifies = notifies
  }

  /// The row's question: event and state.
  public var description: String {
    "\(event.rawValue) from PQ \(before >> 1)\(before & 1), line \(wasAsserted ? "up" : "down")"
  }
}

extension ReferenceTable {
  /// Level-sensitive sources: every event from every state, with the line up and down.
  ///
  /// EOI of a queued and asserted source follows the plain table: the queued event is forwarded.
  public static let levelRows: [ReferenceLevelRow] = [
    ReferenceLevelRow(.assert, up: false, 0b00, 0, 0b10, up: true, true),
    ReferenceLevelRow(.assert, up: false, 0b01, 0, 0b01, up: true, false),
    ReferenceLevelRow(.assert, up: false, 0b10, 0, 0b10, up: true, false),
    ReferenceLevelRow(.assert, up: false, 0b11, 0, 0b11, up: true, false),
    ReferenceLevelRow(.assert, up: true, 0b00, 0, 0b10, up: true, true),
    ReferenceLevelRow(.assert, up: true, 0b01, 0, 0b01, up: true, false),
    ReferenceLevelRow(.assert, up: true, 0b10, 0, 0b10, up: true, false),
    ReferenceLevelRow(.assert, up: true, 0b11, 0, 0b11, up: true, false),
    ReferenceLevelRow(.deassert, up: false, 0b00, 0, 0b00, up: false, false),
    ReferenceLevelRow(.deassert, up: false, 0b01, 0, 0b01, up: false, false),
    ReferenceLevelRow(.deassert, up: false, 0b10, 0, 0b10, up: false, false),
    ReferenceLevelRow(.deassert, up: false, 0b11, 0, 0b11, up: false, false),
    ReferenceLevelRow(.deassert, up: true, 0b00, 0, 0b00, up: false, false),
    ReferenceLevelRow(.deassert, up: true, 0b01, 0, 0b01, up: false, false),
    ReferenceLevelRow(.deassert, up: true, 0b10, 0, 0b10, up: false, false),
    ReferenceLevelRow(.deassert, up: true, 0b11, 0, 0b11, up: false, false),
    ReferenceLevelRow(.endOfInterrupt, up: false, 0b00, 0, 0b00, up: false, false),
    ReferenceLevelRow(.endOfInterrupt, up: false, 0b01, 0, 0b01, up: false, false),
    ReferenceLevelRow(.endOfInterrupt, up: false, 0b10, 0, 0b00, up: false, false),
    ReferenceLevelRow(.endOfInterrupt, up: false, 0b11, 1, 0b10, up: false, true),
    ReferenceLevelRow(.endOfInterrupt, up: true, 0b00, 1, 0b10, up: true, true),
    ReferenceLevelRow(.endOfInterrupt, up: true, 0b01, 0, 0b01, up: true, false),
    ReferenceLevelRow(.endOfInterrupt, up: true, 0b10, 1, 0b10, up: true, true),
    ReferenceLevelRow(.endOfInterrupt, up: true, 0b11, 1, 0b10, up: true, true),
  ]
}
