internal import ArgumentParser
internal import XIVEModel

/// An argument of `--create`: `16`, `0x10-0x1f`, `0x1200-0x120f:lsi`.
struct SourceRange: Hashable {
  let range: ClosedRange<UInt32>
  let isLSI: Bool

  /// Reads the argument.
  /// - Throws: `ValidationError` with the argument and the reason why it is none.
  init(_ text: String) throws {
    func fail(_ reason: String) -> ValidationError {
      ValidationError("--create '\(text)': \(reason): write 16, 0x10-0x1f or 0x1200-0x120f:lsi")
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 1 || parts == [parts[0], "lsi"] else {
      throw fail("only ':lsi' may stand behind the numbers")
    }
    let words = parts[0].split(separator: "-", omittingEmptySubsequences: false)
    guard words.count <= 2 else { throw fail("a range has two ends") }
    let ends = try words.map { word in
      guard let number = OffsetName.number(String(word)) else {
        throw fail("'\(word)' is no number")
      }
      guard let end = UInt32(exactly: number) else { throw fail("\(word) is beyond any device") }
      return end
    }
    guard let first = ends.first, let last = ends.last, first <= last else {
      throw fail("the first number is above the last")
    }
    range = first...last
    isLSI = parts.count == 2
  }
}
