/// A piece of HTML or SVG. Text that comes from outside can only get in escaped.
struct Markup: Sendable {
  /// The source text.
  let source: String

  private init(source: String) { self.source = source }

  /// Pieces one after the other.
  init(_ parts: [Markup]) { source = parts.map(\.source).joined() }

  /// Nothing.
  static let none = Markup(source: "")

  /// Text, escaped.
  static func text(_ text: String) -> Markup { Markup(source: escape(text)) }

  /// An element with content.
  static func element(
    _ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ content: Markup...
  ) -> Markup {
    element(name, attributes, content)
  }

  /// An element with content.
  static func element(
    _ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ content: [Markup]
  ) -> Markup {
    Markup(source: "\(open(name, attributes))>\(Markup(content).source)</\(name)>")
  }

  /// An element with nothing but text in it.
  static func leaf(
    _ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ content: String
  ) -> Markup {
    element(name, attributes, [.text(content)])
  }

  /// The same, with attributes that depend on something.
  static func leaf(_ name: String, _ attributes: [(String, String)], _ content: String) -> Markup {
    let words = attributes.map { " \($0.0)=\"\(escape($0.1))\"" }.joined()
    return Markup(source: "<\(name)\(words)>\(escape(content))</\(name)>")
  }

  /// An HTML element that never has content.
  static func void(_ name: String, _ attributes: KeyValuePairs<String, String>) -> Markup {
    Markup(source: "\(open(name, attributes))>")
  }

  /// An SVG element without content.
  static func shape(_ name: String, _ attributes: KeyValuePairs<String, String>) -> Markup {
    Markup(source: "\(open(name, attributes))/>")
  }

  /// Text that is a language of its own: style, script, data. It must not hold what ends its element.
  static func verbatim(_ text: String) -> Markup { Markup(source: text) }

  private static func open(_ name: String, _ attributes: KeyValuePairs<String, String>) -> String {
    attributes.reduce(into: "<\(name)") { $0 += " \($1.key)=\"\(escape($1.value))\"" }
  }

  /// Replaces what has a meaning in markup, and characters that neither HTML nor XML takes.
  private static func escape(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result.append(contentsOf: "&amp;".unicodeScalars)
      case "<": result.append(contentsOf: "&lt;".unicodeScalars)
      case ">": result.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
      case "\n", "\t": result.append(scalar)
      default: result.append(isAllowed(scalar) ? scalar : "\u{fffd}")
      }
    }
    return String(result)
  }

  private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value >= 0x20 && !(0x7f...0x9f).contains(scalar.value)
      && !scalar.properties.isNoncharacterCodePoint
  }
}
