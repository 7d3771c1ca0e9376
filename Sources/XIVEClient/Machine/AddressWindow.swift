/// A part of the controller that a guest sees at an address of its own; the raw values are the ABI's `XIVE_ADDRESS_`.
public enum AddressWindow: UInt32, Hashable, Sendable, CaseIterable, CustomStringConvertible {
  /// The thread management area: four device pages.
  case tima = 0
  /// The sources' ESB pages: two device pages for each source.
  case esb = 1

  /// Its name in messages.
  public var description: String { self == .tima ? "TIMA" : "ESB" }

  var other: AddressWindow { self == .tima ? .esb : .tima }
}
