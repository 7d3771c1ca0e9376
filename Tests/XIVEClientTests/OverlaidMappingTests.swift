import Foundation
import SystemCalls
import SystemPackage
import Testing
import XIVETestSupport

@testable import DeviceClient

/// A file that is no device, but is mapped like one: each page holds its number.
private struct NumberedFile: ~Copyable {
  private let directory: TemporaryDirectory
  let path: String
  static let page = 4_096

  init(pageCount: Int) throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/pages"
    var bytes = Data()
    for number in 0..<pageCount {
      let register = unsafe withUnsafeBytes(of: UInt64(number).bigEndian) { unsafe Data($0) }
      for _ in 0..<Self.page / 8 { bytes.append(register) }
    }
    try bytes.write(to: URL(fileURLWithPath: path))
    self.directory = directory
    self.path = path
  }

  func map(_ pages: Range<Int>, isWritable: Bool = true) throws -> OverlaidMapping {
    let device = try DeviceDescriptor(path, isWritable: isWritable)
    return try OverlaidMapping(
      device, offset: UInt64(pages.lowerBound * Self.page), byteCount: pages.count * Self.page)
  }
}

extension OverlaidMapping {
  /// The numbers of the pages that it shows.
  fileprivate var numbers: [Int] {
    (0..<region.byteCount / NumberedFile.page).map { page in
      let first = region.load(at: page * NumberedFile.page)
      #expect(region.load(at: (page + 1) * NumberedFile.page - 8) == first)
      return Int(first)
    }
  }

  /// Lays pages of the file over pages of the mapping.
  fileprivate func lay(_ pages: [Int], over page: Int) throws(OverlayError) {
    let size = NumberedFile.page
    try lay(
      pages.map { FilePiece(offset: UInt64($0 * size), byteCount: size) }, at: page * size)
  }

  fileprivate func lift(pages: Range<Int>) throws(OverlayError) {
    try lift(pages.lowerBound * NumberedFile.page..<pages.upperBound * NumberedFile.page)
  }
}

@Suite("Overlaid mappings")
struct OverlaidMappingTests {
  private static let page = NumberedFile.page

  @Test("An overlay shows its pieces in its place, and lifting it brings the base back")
  func layAndLift() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = try file.map(8..<16)
    #expect(mapping.numbers == [8, 9, 10, 11, 12, 13, 14, 15])
    try mapping.lay([20, 20, 3], over: 2)
    #expect(mapping.numbers == [8, 9, 20, 20, 3, 13, 14, 15])
    try mapping.lay([0], over: 0)
    try mapping.lay([31], over: 7)
    #expect(mapping.numbers == [0, 9, 20, 20, 3, 13, 14, 31])
    #expect(mapping.overlays.map(\.lowerBound) == [2, 0, 7].map { $0 * Self.page })
    try mapping.lift(pages: 2..<5)
    #expect(mapping.numbers == [0, 9, 10, 11, 12, 13, 14, 31])
    try mapping.lay([1, 2, 3, 4, 5, 6], over: 1)
    try mapping.lift(pages: 0..<1)
    try mapping.lift(pages: 7..<8)
    #expect(mapping.numbers == [8, 1, 2, 3, 4, 5, 6, 15])
    try mapping.lift(pages: 1..<7)
    #expect(mapping.numbers == [8, 9, 10, 11, 12, 13, 14, 15])
    #expect(mapping.overlays == [])
  }

  @Test("An overlay may take the whole mapping")
  func whole() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = try file.map(4..<6)
    try mapping.lay([9, 11], over: 0)
    #expect(mapping.numbers == [9, 11])
    try mapping.lift(pages: 0..<2)
    #expect(mapping.numbers == [4, 5])
  }

  @Test("Pieces that continue each other are mapped by one call")
  func calls() {
    func pieces(_ list: [(offset: UInt64, byteCount: Int)]) -> [FilePiece] {
      list.map { FilePiece(offset: $0.offset, byteCount: $0.byteCount) }
    }
    #expect(pieces([]).joined == [])
    #expect(pieces([(.max - 3, 4), (4, 4)]).joined == pieces([(.max - 3, 4), (4, 4)]))
    #expect(
      pieces([(8, 4), (12, 4), (16, 8), (28, 4), (32, 4)]).joined == pieces([(8, 16), (28, 8)]))
    #expect(pieces([(8, 4), (8, 4), (4, 4)]).joined == pieces([(8, 4), (8, 4), (4, 4)]))
  }

  @Test("Pieces that continue each other are one mapping")
  func joined() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = try file.map(0..<8)
    #expect(try mappingCount(of: file.path) == 1)
    try mapping.lay([20, 21, 21, 22, 22, 23], over: 1)
    // The base on both sides, 20-21, 21-22 and 22-23.
    #expect(try mappingCount(of: file.path) == 5)
    try mapping.lift(pages: 1..<7)
    #expect(mapping.numbers == Array(0..<8))
  }

  @Test("What comes and goes leaves no more mappings than places where overlays have ended")
  func bounded() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = try file.map(0..<16)
    for cycle in 0..<1_000 {
      let first = [2, 5, 9][cycle % 3]
      try mapping.lay([20, 20, 21], over: first)
      try mapping.lift(pages: first..<first + 3)
    }
    #expect(try mappingCount(of: file.path) <= 4)
    #expect(mapping.numbers == Array(0..<16))
  }

  @Test("Overlays that are in each other's way are refused, and nothing changes")
  func overlaps() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = try file.map(0..<8)
    try mapping.lay([20, 22, 24], over: 3)
    let before = mapping.numbers
    let place = 3 * Self.page..<6 * Self.page
    for (pages, position) in [
      ([20, 22, 24], 3), ([9, 9], 2), ([9, 9], 5), ([9], 4), ([9, 9, 9, 9, 9, 9, 9, 9], 0),
    ] {
      #expect(throws: OverlayError.overlaps(place)) { try mapping.lay(pages, over: position) }
    }
    #expect(mapping.numbers == before)
    #expect(mapping.overlays == [place])
    // Beside it there is room.
    try mapping.lay([10], over: 2)
    try mapping.lay([11], over: 6)
    #expect(mapping.numbers == [0, 1, 10, 20, 22, 24, 11, 7])
  }

  @Test("Only exactly what was laid is lifted")
  func exactness() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = try file.map(0..<8)
    try mapping.lay([20, 22, 24], over: 3)
    let before = mapping.numbers
    for pages in [0..<8, 3..<5, 3..<7, 2..<6, 4..<6, 3..<3, 0..<1, 6..<8] {
      let place = pages.lowerBound * Self.page..<pages.upperBound * Self.page
      #expect(throws: OverlayError.notLaid(place)) { try mapping.lift(place) }
    }
    #expect(mapping.numbers == before)
    try mapping.lift(pages: 3..<6)
    #expect(throws: OverlayError.notLaid(3 * Self.page..<6 * Self.page)) {
      try mapping.lift(pages: 3..<6)
    }
  }

  @Test("What is empty, beyond the mapping, or not of whole pages is refused, and nothing changes")
  func places() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = try file.map(0..<8)
    let size = Self.page
    let cases: [([(offset: Int, byteCount: Int)], at: Int)] = [
      ([], 0), ([(0, 0)], 0), ([(0, size), (0, 0)], 0), ([(0, -size)], 0), ([(0, size)], -size),
      ([(0, size)], 8 * size), ([(0, 2 * size)], 7 * size), ([(0, 9 * size)], 0),
      ([(0, size)], .max - size + 1), ([(0, size)], 1), ([(0, size)], size / 2),
      ([(0, .max - size + 1), (0, size)], 0), ([(1, size)], 0), ([(0, size + 1)], 0),
      ([(0, size / 2), (size, size / 2)], 0),
    ]
    for (pieces, position) in cases {
      let byteCount = pieces.reduce(0) { $0 &+ max($1.byteCount, 0) }
      #expect(throws: OverlayError.place(byteOffset: position, byteCount: byteCount)) {
        try mapping.lay(
          pieces.map { FilePiece(offset: UInt64($0.offset), byteCount: $0.byteCount) },
          at: position)
      }
    }
    #expect(mapping.numbers == Array(0..<8))
    #expect(try mappingCount(of: file.path) == 1)
  }

  @Test("A piece that the system refuses takes those before it back")
  func refusedPiece() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = try file.map(0..<8)
    let size = Self.page
    // No file has such an offset.
    let last = FilePiece(offset: UInt64(Int64.max) - UInt64(size) + 1, byteCount: size)
    let pieces = [20, 9, 22].map { FilePiece(offset: UInt64($0 * size), byteCount: size) }
    let error = #expect(throws: OverlayError.self) { try mapping.lay(pieces + [last], at: size) }
    guard case .system = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(mapping.numbers == Array(0..<8))
    #expect(mapping.overlays == [])
    try mapping.lay(pieces, at: size)
    #expect(mapping.numbers == [0, 20, 9, 22, 4, 5, 6, 7])
  }

  @Test("Stores reach the file where they are made, and overlays may be stored to as the base may")
  func stores() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = try file.map(0..<4)
    try mapping.lay([20], over: 1)
    mapping.region.store(77, at: Self.page + 8)
    try mapping.lift(pages: 1..<2)
    #expect(mapping.region.load(at: Self.page + 8) == 1)
    #expect(try file.map(20..<21).region.load(at: 8) == 77)
    let reader = try file.map(0..<4, isWritable: false)
    try reader.lay([20], over: 1)
    #expect(try mappings(of: file.path).count { $0.contains(" r--s ") } == 3)
  }

  @Test("Nothing is left of it when its owner goes")
  func gone() throws {
    let file = try NumberedFile(pageCount: 32)
    func use() throws {
      let mapping = try file.map(0..<8)
      try mapping.lay([20, 9, 22], over: 3)
      #expect(try mappingCount(of: file.path) == 5)
      #expect(try descriptorCount(of: file.path) == 1)
    }
    try use()
    #expect(try mappingCount(of: file.path) == 0)
    #expect(try descriptorCount(of: file.path) == 0)
  }

  @Test("Threads that lay and lift take turns, and each finds its own")
  func threads() throws {
    let file = try NumberedFile(pageCount: 32)
    let mapping = Shared(try file.map(0..<16))
    Threads.run(4) { index in
      for _ in 0..<500 {
        do {
          try mapping.value.lay([20 + index, 16, 20 + index], over: index * 4)
          #expect(mapping.value.region.load(at: index * 4 * Self.page) == UInt64(20 + index))
          try mapping.value.lift(pages: index * 4..<index * 4 + 3)
          #expect(mapping.value.region.load(at: index * 4 * Self.page) == UInt64(index * 4))
        } catch { Issue.record("\(error)") }
      }
    }
    #expect(mapping.value.numbers == Array(0..<16))
  }

  private final class Shared: Sendable {
    let value: OverlaidMapping
    init(_ value: consuming OverlaidMapping) { self.value = value }
  }
}
