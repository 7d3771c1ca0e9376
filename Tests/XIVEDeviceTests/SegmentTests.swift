import PagedDevice
import Testing
import XIVEModel
import XIVETestSupport

@testable import XIVEDevice

@Suite("Segments: which pages exist")
struct SegmentTests {
  private static let geometries = ESBGeometry.allCases

  /// All segments, as `SEEK_DATA` and `SEEK_HOLE` walk over them.
  private func segments(_ rig: Rig) -> [Range<UInt64>] {
    var result: [Range<UInt64>] = []
    while let next = rig.device.segment(endingAfter: result.last?.upperBound ?? 0) {
      result.append(next)
    }
    return result
  }

  /// The same from nothing but the list of sources: the TIMA's OS page, then each run in both windows.
  private func naive(_ rig: Rig, _ sources: Set<UInt32>) -> [Range<UInt64>] {
    let size = rig.map.pageByteCount
    var result = [2 * size..<3 * size]
    for base in [4 * size, 1 << 40] {
      for source in sources.sorted() {
        let start = base + UInt64(source) * 2 * size
        if let last = result.last, last.upperBound == start, source > 0 {
          result[result.count - 1] = last.lowerBound..<start + 2 * size
        } else {
          result.append(start..<start + 2 * size)
        }
      }
    }
    return result
  }

  @Test("Random sets of sources give the runs that a naive list gives", arguments: geometries)
  func random(geometry: ESBGeometry) {
    var random = Seed.generator(stream: 80)
    for round in 0..<40 {
      let count = UInt32(random.next() % 300) + 1
      let rig = Rig(sources: count, existing: 0, geometry: geometry)
      var sources: Set<UInt32> = []
      let density = random.next() % 100
      for source in 0..<count where random.next() % 100 < density {
        rig.create(source)
        sources.insert(source)
      }
      let expected = naive(rig, sources)
      #expect(segments(rig) == expected, "round \(round); \(Seed.comment)")
      for _ in 0..<200 {
        let region = random.next() % 3 << 40
        let offset = region + random.next() % (rig.map.pageByteCount * UInt64(count + 4) * 2)
        let next = expected.first { $0.upperBound > offset }
        #expect(
          rig.segment(behind: offset) == next.map { max(offset, $0.lowerBound)..<$0.upperBound },
          "offset \(offset); \(Seed.comment)")
      }
    }
  }

  @Test("Segments are seen at their very edges", arguments: geometries)
  func edges(geometry: ESBGeometry) {
    let rig = Rig(sources: 100, existing: 0, geometry: geometry)
    for source: UInt32 in [0, 1, 40, 99] { rig.create(source) }
    let expected = naive(rig, [0, 1, 40, 99])
    #expect(expected.count == 7)
    for (index, segment) in expected.enumerated() {
      for offset in [segment.lowerBound, segment.lowerBound + 1, segment.upperBound - 1] {
        #expect(rig.segment(behind: offset) == offset..<segment.upperBound)
      }
      let next = index + 1 < expected.count ? expected[index + 1] : nil
      #expect(rig.device.segment(endingAfter: segment.upperBound) == next)
    }
    for offset: UInt64 in [2 << 40, 16 << 40, 1 << 62, .max] {
      #expect(rig.device.segment(endingAfter: offset) == nil)
    }
  }

  @Test("Without sources there is the TIMA alone", arguments: geometries)
  func empty(geometry: ESBGeometry) {
    let rig = Rig(existing: 0, geometry: geometry)
    #expect(segments(rig) == [2 * rig.map.pageByteCount..<3 * rig.map.pageByteCount])
  }

  @Test(
    "Pages that resolve lie in segments, and each segment's last page resolves",
    arguments: geometries, [[], [1], [0, 3, 4]] as [[UInt64]])
  func faultsAgree(geometry: ESBGeometry, servers: [UInt64]) throws {
    let rig = Rig(sources: 20, existing: 0, servers: 6, geometry: geometry)
    for source: UInt32 in [0, 3, 4, 19] { rig.create(source) }
    for server in servers {
      try rig.connect(Machine.opener(UInt32(server)), to: server)?.completion()
    }
    // Of a vCPU that has gone the END pages are left.
    try rig.connect(Rig.writer, to: 5)?.completion()
    rig.device.closed(Rig.writer)?.completion()
    let size = rig.map.pageByteCount
    let found = segments(rig)
    for start in [0, 1 << 40, 2 << 40, 3 << 40] as [UInt64] {
      for page in stride(from: start, to: start + 120 * size, by: Int(size)) {
        let isListed = found.contains { $0.contains(page) }
        // A source's pair of pages is one thing, also where its trigger page is missing.
        let isMissingHalf =
          if case .esb(_, .trigger) = rig.map.target(at: page) { geometry.pageCount == 1 } else {
            false
          }
        #expect(rig.resolves(page) == (isListed && !isMissingHalf), "page \(page)")
      }
    }
  }

  @Test("The largest device lists its last source")
  func largest() {
    let count = UInt32(LISN.maximumCount)
    let rig = Rig(sources: count, existing: 0, geometry: .two64K)
    rig.create(count - 1)
    let end: UInt64 = 1 << 40 + UInt64(count) << 17
    #expect(segments(rig).last == end - 1 << 17..<end)
  }
}

extension Rig {
  /// The next segment, from the offset on where that lies inside.
  fileprivate func segment(behind offset: UInt64) -> Range<UInt64>? {
    device.segment(endingAfter: offset).map { max(offset, $0.lowerBound)..<$0.upperBound }
  }
}
