/// Text as bytes: lines of other tools may hold names that are no UTF-8, and must come out as they were.
extension ArraySlice<UInt8> {
  /// The first place of a text.
  func range(of text: StaticString) -> Range<Int>? {
    text.withUTF8Buffer { pattern in
      guard let first = unsafe pattern.first, pattern.count <= count else { return nil }
      for start in startIndex...endIndex - pattern.count where self[start] == first {
        if unsafe self[start...].starts(with: pattern) { return start..<start + pattern.count }
      }
      return nil
    }
  }

  /// The last place of a text.
  func lastRange(of text: StaticString) -> Range<Int>? {
    var found: Range<Int>?
    var rest = self
    while let next = rest.range(of: text) {
      found = next
      rest = self[(next.lowerBound + 1)...]
    }
    return found
  }

  /// The digits that a number has at the beginning: decimal, or hexadecimal with or without 0x.
  func number(radix: Int) -> (value: UInt64, digits: Range<Int>)? {
    var start = startIndex
    if radix == 16, starts(with: "0x".utf8) { start += 2 }
    var (end, value) = (start, UInt64(0))
    while end < endIndex, let digit = Self.digit(self[end]), digit < UInt64(radix) {
      let (product, isTooLong) = value.multipliedReportingOverflow(by: UInt64(radix))
      guard !isTooLong, product <= .max - digit else { return nil }
      value = product + digit
      end += 1
    }
    return end > start ? (value, startIndex..<end) : nil
  }

  /// Words between blanks.
  var words: [ArraySlice<UInt8>] { split { $0 == 0x20 || $0 == 0x09 } }

  /// The text, for people.
  var text: String { String(decoding: self, as: UTF8.self) }

  private static func digit(_ byte: UInt8) -> UInt64? {
    switch byte {
    case 0x30...0x39: UInt64(byte - 0x30)
    case 0x61...0x66: UInt64(byte - 0x61 + 10)
    case 0x41...0x46: UInt64(byte - 0x41 + 10)
    default: nil
    }
  }
}
