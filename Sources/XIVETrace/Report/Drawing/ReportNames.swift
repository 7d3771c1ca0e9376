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
    case .absent(let reason): Self.names[reason] ?? "\(reason)"
    case .errno(let number): "errno \(number)"
    }
  }

  private static let names: [Absence: String] = [
    .notCreated: "never created", .outOfRange: "out of range", .noTriggerPage: "no trigger page",
    .view: "not the OS view", .sharedTIMA: "TIMA of several vCPUs", .notConnected: "no vCPU",
    .noPHB: "no such PHB or interrupt", .noRegion: "no such region", .fenced: "fenced",
    .noOperation: "no such operation", .unchanged: "nothing changed", .held: "held",
    .toHost: "to the host", .notValid: "not valid", .other: "unknown reason",
  ]
}

extension TraceRecord {
  /// Whether its result is that the toucher got `SIGBUS`.
  var isSIGBUS: Bool { isTouch && result != .ok }

  /// What it happened to, for people.
  func place(_ map: DeviceMap) -> String {
    switch kind {
    case .publish, .map, .unmap, .trigger, .forward, .eoi:
      guard let subjects = subjects(map) else { return "" }
      return ReportSubject.text(
        subjects.lowerBound.sort, subjects.lowerBound.number...subjects.upperBound.number)
    case .plug, .unplug, .fence: return hardware.map { "PHB \($0.phb)" } ?? ""
    case .attribute: return "group \(generation)"
    case .notify: return number.map { "vCPU of server \($0)" } ?? ""
    default: return pageText(map)
    }
  }

  private func pageText(_ map: DeviceMap) -> String {
    guard let offset else { return "" }
    guard let page = map.target(at: offset) else { return "0x" + String(offset, radix: 16) }
    let count = pages(map)?.count ?? 1
    return count == 1 ? "\(page)" : "\(page) and \(ReportText.number(count - 1)) more"
  }
}
