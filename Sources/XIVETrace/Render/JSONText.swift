/// An object of JSON that is written member by member (RFC 8259).
struct JSONText {
  private(set) var text = "{"

  /// Adds a number.
  mutating func add(_ key: StaticString, _ value: (some BinaryInteger)?) {
    guard let value else { return }
    begin(key)
    text += String(value)
  }

  /// Adds a number with digits behind the point, as written.
  mutating func add(_ key: StaticString, decimal: String) {
    begin(key)
    text += decimal
  }

  /// Adds text.
  mutating func add(_ key: StaticString, _ value: String?) {
    guard let value else { return }
    begin(key)
    Self.append(value, to: &text)
  }

  /// Adds a truth; a false one is left out.
  mutating func add(_ key: StaticString, isTrue: Bool) {
    guard isTrue else { return }
    begin(key)
    text += "true"
  }

  /// Adds an object.
  mutating func add(_ key: StaticString, _ value: JSONText) {
    begin(key)
    text += value.closed
  }

  /// Adds an array of objects.
  mutating func add(_ key: StaticString, _ values: [JSONText]) {
    begin(key)
    text += "[" + values.map(\.closed).joined(separator: ",") + "]"
  }

  /// Adds a number under a name that is known only now.
  mutating func add(name: String, _ value: some BinaryInteger) {
    if text.utf8.count > 1 { text += "," }
    Self.append(name, to: &text)
    text += ":" + String(value)
  }

  /// The whole object.
  var closed: String { text + "}" }

  private mutating func begin(_ key: StaticString) {
    if text.utf8.count > 1 { text += "," }
    text += "\"\(key)\":"
  }

  /// Appends text in quotation marks.
  static func append(_ value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\0"..." ": text += scalar == " " ? " " : escape(scalar)
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16)
    return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
  }
}
