internal import PagedDevice
internal import XIVEModel

/// What injects events beside pages and hardware; belongs to the device's injection lock.
struct Injection: Sendable {
  /// Most irqfds on one line: an end of its interrupt raises all of them, while whoever ends it waits.
  ///
  /// As many as a PCI bus has functions, which is more than a line of real hardware has.
  static let sharingLimit = 256

  /// Where requesters' messages go.
  var messages = MessageTable()
  private var byEvent: [UInt64: IRQFD] = [:]
  private var shared: [LISN: [IRQFD]] = [:]
  private var byOpener: [UInt64: [ObjectIdentifier: IRQFD]] = [:]
  /// How many irqfds there are.
  private(set) var count = 0

  /// The irqfds that a descriptor has assigned.
  func irqfds(of opener: UInt64) -> [IRQFD] { byOpener[opener].map { Array($0.values) } ?? [] }

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

  /// Whether a line has room for one more.
  func hasRoom(for irqfd: IRQFD) -> Bool {
    irqfd.resample == nil || sharing(irqfd.lisn).count < Self.sharingLimit
  }

  /// - Precondition: its eventfd is no other's, and there is room for it.
  mutating func insert(_ irqfd: IRQFD) {
    count += 1
    byOpener[irqfd.opener, default: [:]][ObjectIdentifier(irqfd)] = irqfd
    if let event = irqfd.event { byEvent[event.identity] = irqfd }
    if irqfd.resample != nil { shared[irqfd.lisn, default: []].append(irqfd) }
  }

  /// - Returns: false for one that is not there any more.
  @discardableResult
  mutating func remove(_ irqfd: IRQFD) -> Bool {
    guard byOpener[irqfd.opener]?.removeValue(forKey: ObjectIdentifier(irqfd)) != nil else {
      return false
    }
    if byOpener[irqfd.opener]?.isEmpty == true { byOpener[irqfd.opener] = nil }
    count -= 1
    if let event = irqfd.event { byEvent[event.identity] = nil }
    guard irqfd.resample != nil else { return true }
    let left = sharing(irqfd.lisn).filter { $0 !== irqfd }
    shared[irqfd.lisn] = left.isEmpty ? nil : left
    return true
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
