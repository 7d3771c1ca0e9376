internal import ArgumentParser
internal import XIVEModel

/// An argument of `--phb`: `0:16`, `1:2048:8`.
struct PHBPlug: Hashable {
  let index: PHBIndex
  let shape: PHBShape

  /// Reads the argument.
  /// - Throws: `ValidationError` with the argument and the reason why it is none.
  init(_ text: String) throws {
    func fail(_ reason: String) -> ValidationError {
      ValidationError(
        "--phb '\(text)': \(reason): write K:MSIS or K:MSIS:LSIS, such as 0:16 or 1:2048:8")
    }
    let words = text.split(separator: ":", omittingEmptySubsequences: false)
    guard words.count == 2 || words.count == 3 else { throw fail("two or three numbers") }
    let numbers = try words.map { word in
      guard let number = OffsetName.number(String(word)) else {
        throw fail("'\(word)' is no number")
      }
      return number
    }
    guard let plain = UInt16(exactly: numbers[0]), let index = PHBIndex(rawValue: plain) else {
      throw fail("PHB \(numbers[0]) is beyond \(PHBIndex.maximumCount - 1)")
    }
    let limit = UInt64(HardwareIRQ.maximumCount)
    let (sum, overflow) = numbers[1].addingReportingOverflow(numbers.count == 3 ? numbers[2] : 0)
    guard !overflow, (1...limit).contains(sum) else {
      throw fail("a PHB has 1 to \(limit) interrupts")
    }
    self.index = index
    shape = PHBShape(
      msiCount: UInt32(numbers[1]), lsiCount: numbers.count == 3 ? UInt32(numbers[2]) : 0)
  }
}
