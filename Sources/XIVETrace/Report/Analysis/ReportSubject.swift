internal import XIVEModel

/// What pages and events belong to: a source, a PHB's interrupt, an END, a server.
struct ReportSubject: Hashable, Comparable, Sendable {
  /// The sort of thing; the numbers are those of the page's data.
  enum Class: UInt8, Hashable, Sendable, CaseIterable {
    /// A source; its number is the LISN.
    case source
    /// A PHB's interrupt; its number is the PHB's << 16 | the interrupt's.
    case phb
    /// An END; its number is the index.
    case end
    /// A server's TIMA.
    case server
    /// The TIMA of whichever vCPU a descriptor is connected to.
    case connected
  }

  /// Class and number in one, so that subjects sort by class, then by number.
  let rawValue: UInt64

  init(_ sort: Class, _ number: UInt32) {
    rawValue = UInt64(sort.rawValue) << 32 | UInt64(number)
  }

  init(_ page: PageTarget) {
    switch page {
    case .esb(let lisn, _): self.init(.source, lisn.rawValue)
    case .phb(let phb, let irq): self.init(.phb, Self.number(phb.rawValue, irq.rawValue))
    case .end(let index, _): self.init(.end, index)
    case .tima(let server, _): self.init(.server, server.rawValue)
    case .connectedTIMA: self.init(.connected, 0)
    }
  }

  static func number(_ phb: UInt16, _ irq: UInt16) -> UInt32 { UInt32(phb) << 16 | UInt32(irq) }

  var sort: Class { Class(rawValue: UInt8(rawValue >> 32)) ?? .source }
  var number: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

  static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A page of a subject.
struct ReportPageKey: Hashable, Comparable, Sendable {
  let subject: ReportSubject
  /// Trigger or management, ESn or ESe, the view of a TIMA.
  let half: UInt8

  init(_ page: PageTarget) {
    subject = ReportSubject(page)
    half =
      switch page {
      case .esb(_, let half): UInt8(half.rawValue)
      case .end(_, let half): UInt8(half.rawValue)
      case .tima(_, let view), .connectedTIMA(let view): UInt8(view.rawValue)
      case .phb: 0
      }
  }

  static func < (a: Self, b: Self) -> Bool { (a.subject, a.half) < (b.subject, b.half) }
}
