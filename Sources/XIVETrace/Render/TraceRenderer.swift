/// Turns events into text, one after the other.
public protocol TraceRenderer {
  /// Appends what stands before all events.
  mutating func begin(_ text: inout String)
  /// Appends an event.
  /// - Parameters:
  ///   - event: the event.
  ///   - names: the names of threads that are known by then.
  ///   - text: what has been written so far and not been taken.
  mutating func add(_ event: TraceEvent, _ names: TaskNames, to text: inout String)
  /// Appends what stands behind all events.
  mutating func end(_ text: inout String)
}

extension TraceRenderer {
  /// Most forms have nothing there.
  public mutating func begin(_ text: inout String) {}
  /// Most forms have nothing there.
  public mutating func end(_ text: inout String) {}
}
