internal import PagedDevice
internal import XIVEModel

/// What injects events beside pages and hardware; belongs to the device's injection lock.
struct Injection: Sendable {
  /// Where requesters' messages go.
  var messages = MessageTable()
  private var byEvent: [UInt64: IRQFD] = [:]
  private var shared: [LISN: [IRQFD]] = [:]

  /// All irqfds.
  var irqfds: [IRQFD] {
    Array(byEvent.values) + shared.values.joined().filter { $0.event == nil }
  }

  /// The irqfds that share a source's line, or wait for the end of its interrupts.
  func sharing(_ lisn: LISN) -> [IRQFD] { shared[lisn, default: []] }

  /// The irqfd of a source that is made of these two; of an eventfd any source's where none is named.
  func irqfd(
    of event: (any SharedEvent)?, _ resample: (any SharedEvent)?, at lisn: LISN?
  ) -> IRQFD? {
    guard let event else {
      return lisn.flatMap { lisn in
        sharing(lisn).first { $0.event == nil && $0.resample?.identity == resample?.identity }
      }
    }
    return byEvent[event.identity].flatMap { lisn == nil || $0.lisn == lisn ? $0 : nil }
  }

  /// - Precondition: its eventfd is no other's.
  mutating func insert(_ irqfd: IRQFD) {
    if let event = irqfd.event { byEvent[event.identity] = irqfd }
    if irqfd.resample != nil { shared[irqfd.lisn, default: []].append(irqfd) }
  }

  mutating func remove(_ irqfd: IRQFD) {
    if let event = irqfd.event { byEvent[event.identity] = nil }
    let left = sharing(irqfd.lisn).filter { $0 !== irqfd }
    shared[irqfd.lisn] = left.isEmpty ? nil : left
  }
}

/// Eventfds that are tied to a source.
final class IRQFD: @unchecked Sendable {
  let lisn: LISN
  /// The descriptor that assigned it, with which it goes.
  let opener: UInt64
  /// What raises the source; nil for one that is only told of ends.
  let event: (any SharedEvent)?
  /// What is raised when the source's interrupt ends; nil for a message source.
  let resample: (any SharedEvent)?

  // @unchecked Sendable: these belong to the injection lock.
  /// Whether it holds the line.
  var isHolding = false
  /// Whether it is complete and nobody has begun to take it back: until then, and from then on, its eventfd is taken
  /// but there is nothing to deassign.
  var isSettled = false

  init(
    _ lisn: LISN, opener: UInt64, event: (any SharedEvent)?, resample: (any SharedEvent)?
  ) {
    self.lisn = lisn
    self.opener = opener
    self.event = event
    self.resample = resample
  }
}
