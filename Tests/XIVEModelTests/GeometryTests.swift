import Testing
import XIVEModel

@Suite("Shapes of ESB pages")
struct GeometryTests {
  struct Shape: CustomTestStringConvertible, Sendable {
    let esbShift: UInt8
    let geometry: ESBGeometry
    let pageShift: UInt8
    let pageCount: Int

    static let all = [
      Shape(esbShift: 12, geometry: .one4K, pageShift: 12, pageCount: 1),
      Shape(esbShift: 13, geometry: .two4K, pageShift: 12, pageCount: 2),
      Shape(esbShift: 16, geometry: .one64K, pageShift: 16, pageCount: 1),
      Shape(esbShift: 17, geometry: .two64K, pageShift: 16, pageCount: 2),
    ]

    var testDescription: String { "shift \(esbShift)" }
  }

  @Test("The four shapes of the architecture are accepted", arguments: Shape.all)
  func accepted(_ shape: Shape) {
    #expect(ESBGeometry(rawValue: shape.esbShift) == shape.geometry)
    #expect(ESBGeometry(pageShift: shape.pageShift, pageCount: shape.pageCount) == shape.geometry)
    #expect(shape.geometry.pageShift == shape.pageShift)
    #expect(shape.geometry.pageCount == shape.pageCount)
  }

  @Test("Every other shift is refused, 14 among them")
  func refusedShifts() {
    #expect(ESBGeometry.allCases == Shape.all.map(\.geometry))
    for shift in UInt8.min...UInt8.max where ![12, 13, 16, 17].contains(shift) {
      #expect(ESBGeometry(rawValue: shift) == nil, "shift \(shift)")
    }
  }

  @Test("Every other pair of page size and page count is refused")
  func refusedWords() {
    for pageShift in UInt8.min...UInt8.max {
      for pageCount in [Int.min, -1, 0, 1, 2, 3, Int.max] {
        let isKnown = Shape.all.contains { $0.pageShift == pageShift && $0.pageCount == pageCount }
        let geometry = ESBGeometry(pageShift: pageShift, pageCount: pageCount)
        #expect((geometry != nil) == isKnown, "\(pageCount) pages of shift \(pageShift)")
      }
    }
  }
}
