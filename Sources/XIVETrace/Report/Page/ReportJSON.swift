/// A value of the page's data, written as JSON that may stand inside an HTML script element.
indirect enum ReportJSON: Sendable {
  case number(UInt64)
  case text(String)
  case list([ReportJSON])
  case object([(String, ReportJSON)])

  /// The JSON text. No "<" is in it, so that nothing can end the element or begin a comment.
  var source: String {
    var text = ""
    write(to: &text)
    return text
  }

  private func write(to text: inout String) {
    switch self {
    case .number(let value): text += String(value)
    case .text(let value): Self.quote(value, &text)
    case .list(let values):
      Self.join(values, "[", "]", &text) { $0.write(to: &$1) }
    case .object(let members):
      Self.join(members, "{", "}", &text) { member, text in
        Self.quote(member.0, &text)
        text += ":"
        member.1.write(to: &text)
      }
    }
  }

  private static func join<Element>(
    _ values: [Element], _ open: String, _ close: String, _ text: inout String,
    _ write: (Element, inout String) -> Void
  ) {
    text += open
    for (place, value) in values.enumerated() {
      if place > 0 { text += "," }
      write(value, &text)
    }
    text += close
  }

  private static func quote(_ value: String, _ text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"", "\\": text += "\\\(scalar)"
      case "<", "\u{0}"..."\u{1f}", "\u{2028}", "\u{2029}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }

  static func numbers(_ values: [UInt64]) -> ReportJSON { .list(values.map { .number($0) }) }
  static func texts(_ values: [String]) -> ReportJSON { .list(values.map { .text($0) }) }
}
