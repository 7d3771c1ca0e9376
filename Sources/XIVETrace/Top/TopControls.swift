/// What the user of a live view has chosen, key by key.
public struct TopControls: Hashable, Sendable {
  /// By what pages are ordered.
  public private(set) var order: TopOrder
  /// Whether the screen stands still; records are taken all the same, into a longer interval.
  public private(set) var isPaused = false
  /// Whether the keys are explained in place of the view.
  public private(set) var showsHelp = false

  /// What a key asks for.
  public enum Answer: Hashable, Sendable {
    /// A screen drawn anew.
    case draw
    /// The end.
    case leave
    /// Nothing: it is no key of ours.
    case nothing
  }

  /// Begins.
  /// - Parameter order: by what pages are ordered.
  public init(order: TopOrder = .faults) { self.order = order }

  /// Takes a key.
  /// - Parameter key: the byte that a terminal sends for it.
  /// - Returns: what it asks for.
  public mutating func press(_ key: UInt8) -> Answer {
    // Control-C: the terminal does not make a signal of it while the screen is ours.
    if key == 3 { return .leave }
    let character = Character(Unicode.Scalar(key))
    if showsHelp {
      // Any key leads back.
      showsHelp = false
      return character == "q" ? .leave : .draw
    }
    switch character {
    case "q", "Q": return .leave
    case " ": isPaused.toggle()
    case "h", "?": showsHelp = true
    default:
      guard let order = TopOrder.allCases.first(where: { $0.key == character }) else {
        return .nothing
      }
      self.order = order
    }
    return .draw
  }

  /// The line at the foot of the screen.
  var summary: String {
    "by \(order.rawValue)  q quit  f r s t order  space \(isPaused ? "go on" : "pause")  h help"
  }

  /// The keys, and what the columns mean.
  static let help = [
    "q, Control-C  leave",
    "f  order pages by faults",
    "r  by refaults: faults on pages that were dropped",
    "s  by SIGBUS",
    "t  by the time that touchers waited",
    "space  stand still, go on",
    "h, ?  this text; any key leads back",
    "",
    "FAULTS/s  page fills for somebody who touched; without PREFAULT",
    "EXACT/s   exact loads and stores;  STORES/s  those found in images",
    "US/s      microseconds a second that touchers waited",
    "FAULTS    since the view began;  PQ  of the source, last seen",
    "CAUSE     why the page was filled the last time",
  ]
}
