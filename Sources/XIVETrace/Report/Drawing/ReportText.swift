/// How figures are written in reports: the same everywhere, whatever the locale.
enum ReportText {
  /// A whole number with its thousands apart.
  static func number(_ value: UInt64) -> String {
    let digits = Array(String(value))
    return digits.indices.reduce(into: "") { text, place in
      if place > 0 && (digits.count - place) % 3 == 0 { text += "," }
      text.append(digits[place])
    }
  }

  static func number(_ value: Int) -> String { number(UInt64(max(0, value))) }

  /// "1 fault", "2 faults".
  static func count(_ value: UInt64, _ noun: String) -> String {
    "\(number(value)) \(noun)\(value == 1 ? "" : "s")"
  }

  /// Nanoseconds with three significant digits and a unit.
  static func duration(_ nanoseconds: UInt64) -> String {
    let units: [(UInt64, String)] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")]
    guard let (unit, name) = units.first(where: { nanoseconds >= $0.0 }) else {
      return "\(nanoseconds) ns"
    }
    let whole = nanoseconds / unit
    let thousandths = nanoseconds % unit * 1_000 / unit
    if whole >= 100 { return "\(number(whole)) \(name)" }
    let places = whole >= 10 ? 1 : 2
    let divisor: UInt64 = places == 1 ? 100 : 10
    return "\(whole).\(padded(thousandths / divisor, places)) \(name)"
  }

  /// Nanoseconds as microseconds with one decimal, for columns.
  static func microseconds(_ nanoseconds: UInt64) -> String {
    "\(number(nanoseconds / 1_000)).\(nanoseconds % 1_000 / 100)"
  }

  /// Nanoseconds as milliseconds with three decimals, for columns.
  static func milliseconds(_ nanoseconds: UInt64) -> String {
    "\(number(nanoseconds / 1_000_000)).\(padded(nanoseconds / 1_000 % 1_000, 3))"
  }

  /// Nanoseconds as seconds with six decimals, for columns.
  static func seconds(_ nanoseconds: UInt64) -> String {
    "\(nanoseconds / 1_000_000_000).\(padded(nanoseconds / 1_000 % 1_000_000, 6))"
  }

  /// Bytes in the largest unit that leaves a whole number.
  static func bytes(_ count: UInt64) -> String {
    let units: [(UInt64, String)] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
    guard count > 0, let (unit, name) = units.first(where: { count % $0.0 == 0 }) else {
      return "\(number(count)) bytes"
    }
    return "\(number(count / unit)) \(name)"
  }

  /// A share with one decimal; "-" of nothing.
  static func percent(_ part: UInt64, of whole: UInt64) -> String {
    guard whole > 0 else { return "-" }
    let thousandths = UInt64((Double(part) * 1_000 / Double(whole)).rounded())
    return "\(thousandths / 10).\(thousandths % 10) %"
  }

  /// A moment of UTC to the second. Source of the calendar's arithmetic: the Gregorian calendar counts from March, in
  /// eras of 146,097 days.
  static func date(_ nanosecondsSince1970: UInt64) -> String {
    let seconds = nanosecondsSince1970 / 1_000_000_000
    let day = seconds / 86_400 + 719_468
    let (era, dayOfEra) = (day / 146_097, day % 146_097)
    let year = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * year + year / 4 - year / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let date = [
      "\(year + era * 400 + (month <= 2 ? 1 : 0))", padded(month, 2),
      padded(dayOfYear - (153 * shifted + 2) / 5 + 1, 2),
    ].joined(separator: "-")
    let clock = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60]
    return "\(date) \(clock.map { padded($0, 2) }.joined(separator: ":")) UTC"
  }

  private static func padded(_ value: UInt64, _ digits: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}
