import TraceRecords
import XIVEClient
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

/// Devices and records for tests.
enum Samples {
  static let geometry = DeviceGeometry(
    sourceCount: 8_192, serverCount: 4, pageShift: 12, pagesPerSource: 2, supportsStoreEOI: true)

  static let device = TracedDevice(
    geometry: geometry, segments: [0x4000..<0x6000, 1 << 40..<1 << 40 | 0x2000], path: "/tmp/xivé",
    start: .init(monotonic: 1_000_000_000, realtime: 1_700_000_000_123_456_789))

  static let symbols: [UInt32: [UInt64: String]] = [
    4_700: [0x7f00_0000_1234: "main+0x14", 0x7f00_0000_2000: ""], 4_701: [:],
  ]

  /// A record with chosen fields.
  static func record(
    _ kind: TraceKind, _ sequence: UInt64 = 0, at microseconds: UInt64 = 0,
    _ change: (inout TraceRecord) -> Void = { _ in }
  ) -> TraceRecord {
    var record = TraceRecord(
      kind, sequence: sequence, time: device.start.monotonic + microseconds * 1_000)
    record.threadID = 4_711
    record.processID = 4_700
    change(&record)
    return record
  }

  /// A record that names thread 4711.
  static func task(_ name: String) -> TraceRecord {
    record(.task) { $0.threadName = name }
  }

  /// Records of any bytes, but ascending in sequence numbers.
  static func records(_ count: Int, stream: UInt64 = 0) -> [TraceRecord] {
    var generator = Seed.generator(stream: stream)
    return (0..<count).map { index in
      let words = (0..<8).map { _ in generator.next() }
      var record = [TraceRecord](words.flatMap(bytes))[0]
      record.sequence = UInt64(index)
      return record
    }
  }

  private static func bytes(_ word: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
  }
}
