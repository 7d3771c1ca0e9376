import Testing
import XIVEModel

@Suite("What pseries uses numbers for")
struct NumberSpaceTests {
  struct Range: CustomTestStringConvertible, Sendable {
    let numbers: ClosedRange<UInt32>
    let space: NumberSpace

    /// All numbers that there are, in order.
    static let all = [
      Range(numbers: 0x0000...0x0fff, space: .ipi),
      Range(numbers: 0x1000...0x1000, space: .epow),
      Range(numbers: 0x1001...0x1001, space: .hotplug),
      Range(numbers: 0x1002...0x10ff, space: .other),
      Range(numbers: 0x1100...0x11ff, space: .vio),
      Range(numbers: 0x1200...0x127f, space: .phbLSI),
      Range(numbers: 0x1280...0x12ff, space: .other),
      Range(numbers: 0x1300...0x1fff, space: .msi),
      Range(numbers: 0x2000...UInt32.max, space: .other),
    ]

    var testDescription: String { "\(LISN(rawValue: numbers.lowerBound)): \(space.rawValue)" }
  }

  @Test("The ranges of this test leave no number out")
  func rangesAreComplete() {
    #expect(Range.all.first?.numbers.lowerBound == 0)
    for (range, next) in zip(Range.all, Range.all.dropFirst()) {
      #expect(range.numbers.upperBound + 1 == next.numbers.lowerBound)
    }
    #expect(Set(Range.all.map(\.space)) == Set(NumberSpace.allCases))
  }

  @Test("A range's ends and inside have its use", arguments: Range.all)
  func use(_ range: Range) {
    #expect(NumberSpace(LISN(rawValue: range.numbers.lowerBound)) == range.space)
    #expect(NumberSpace(LISN(rawValue: range.numbers.upperBound)) == range.space)
    for number in range.numbers.prefix(0x1000) {
      if NumberSpace(LISN(rawValue: number)) != range.space { Issue.record("\(number)") }
    }
  }

  @Test("0x1303 reads as an MSI")
  func example() { #expect(NumberSpace(LISN(rawValue: 0x1303)).rawValue == "MSI") }
}

@Suite("Plain numbers")
struct NumberTests {
  @Test("A source number is written in hexadecimal and ordered by value")
  func lisn() {
    #expect(LISN(rawValue: 0x1303).description == "0x1303")
    #expect(LISN(rawValue: 0).description == "0x0")
    #expect(LISN(rawValue: 9) < LISN(rawValue: 10))
    #expect(!(LISN(rawValue: 10) < LISN(rawValue: 10)))
  }

  @Test("A PHB index ends at 1,023")
  func phbIndex() {
    #expect(PHBIndex(rawValue: 0)?.rawValue == 0)
    #expect(PHBIndex(rawValue: 1023)?.rawValue == 1023)
    #expect(PHBIndex(rawValue: 1024) == nil)
    #expect(PHBIndex(rawValue: .max) == nil)
  }
}
