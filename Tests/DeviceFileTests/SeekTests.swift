import CFuse3
import PagedDevice
import Testing
import XIVETestSupport

@testable import DeviceFile

@Suite("Seeking data and holes")
struct SeekTests {
  private static let cases: [[Range<UInt64>]] = [
    [], [0..<4], [2..<3], [2..<3, 3..<5], [0..<1, 2..<3, 4..<6], [1..<2, 2..<3, 3..<4, 6..<7],
  ]

  @Test("Data and holes are where a naive look at each byte finds them", arguments: cases)
  func small(segments: [Range<UInt64>]) {
    let device = RecordingDevice(segments: segments)
    for offset in UInt64(0)..<10 {
      let isData = { (byte: UInt64) in segments.contains { $0.contains(byte) } }
      #expect(device.seek(from: offset, toHole: false) == (offset..<10).first(where: isData))
      #expect(device.seek(from: offset, toHole: true) == (offset..<11).first { !isData($0) })
    }
  }

  @Test("Walking by data and hole finds each run once, runs that touch as one")
  func walk() {
    var random = Seed.generator(stream: 120)
    for _ in 0..<100 {
      let bits = (0..<64).filter { _ in random.next() & 1 == 0 }
      let device = RecordingDevice(
        segments: bits.map { UInt64($0) * 4_096..<UInt64($0 + 1) * 4_096 })
      var found: [Int] = []
      var position: UInt64 = 0
      while let data = device.seek(from: position, toHole: false),
        let hole = device.seek(from: data, toHole: true)
      {
        #expect(position == 0 || data > position, "\(Seed.comment)")
        found += Int(data / 4_096)..<Int(hole / 4_096)
        position = hole
      }
      #expect(found == bits, "\(Seed.comment)")
    }
  }
}
