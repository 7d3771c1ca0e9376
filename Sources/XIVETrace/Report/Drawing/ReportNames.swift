internal import TraceRecords
internal import XIVEModel

/// What subjects, results and events are called in reports.
extension ReportSubject {
  /// Its name, which a search finds again.
  var name: String { Self.name(sort, number) }

  static func name(_ sort: Class, _ number: UInt32) -> String {
    switch sort {
    case .source: "esb:\(LISN(rawValue: number))"
    case .phb: "phb:\(number >> 16):\(number & 0xffff)"
    case .end: "end:\(number)"
    case .server: "tima:\(number)"
    case .connected: "tima"
    }
  }

  /// The names of the halves of its class.
  static func halves(_ sort: Class) -> [String] {
    switch sort {
    case .source: ["trigger", "management"]
    case .phb: [""]
    case .end: ["esn", "ese"]
    case .server, .connected: ["hw", "hv", "os", "user"]
    }
  }

  /// How people write a number of the class.
  static func numberText(_ sort: Class, _ number: UInt32) -> String {
    switch sort {
    case .source: LISN(rawValue: number).description
    case .phb: "\(number & 0xffff)"
    case .end, .server, .connected: "\(number)"
    }
  }

  /// "LISN 0x11" or "LISNs 0x10–0x1f".
  static func text(_ sort: Class, _ numbers: ClosedRange<UInt32>) -> String {
    let noun =
      switch sort {
      case .source: "LISN"
      case .phb: "interrupt"
      case .end: "END"
      case .server, .connected: "server"
      }
    let first = numberText(sort, numbers.lowerBound)
    guard numbers.count > 1 else { return "\(noun) \(first)" }
    return "\(noun)s \(first)–\(numberText(sort, numbers.upperBound))"
  }
}

extension TraceResult {
  /// Its name in a report.
  var name: String {
    switch self {
    case .ok: "ok"
    case .absent(let reason): reason.words
    case .errno(let number): ErrorNumber.name(number)
    }
  }
}

extension TraceRecord {
  /// Whether its result is that the toucher got `SIGBUS`.
  var isSIGBUS: Bool { isTouch && result != .ok }

  /// What it happened to, for people.
  func place(_ map: DeviceMap) -> String {
    let name = TraceEvent(self, map).name
    let rest = (pages(map)?.count ?? 1) - 1
    return rest == 0 ? name : "\(name) and \(ReportText.number(rest)) more"
  }
}
