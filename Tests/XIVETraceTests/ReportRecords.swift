import TraceRecords
import XIVEClient
import XIVEModel

@testable import XIVETrace

/// Short ways to records and traces for tests that count by hand.
enum ReportRecords {
  static let device = TracedDevice(
    geometry: SampleTrace.geometry, segments: [Region.esb.start..<Region.esb.start + 8 * 4_096],
    path: "/run/xive")
  static let map = SampleTrace.geometry.map

  static func trace(_ records: [TraceRecord]) -> Trace {
    Trace(device: device, records: records)
  }

  /// A fill of region 1 that took `time` nanoseconds, half of them waiting.
  static func fill(
    _ lisn: UInt32, _ half: ESBHalf = .management, at time: UInt64 = 1_000, took: UInt32 = 100,
    _ cause: TraceCause = .firstTouch, _ result: TraceResult = .ok, bytes: UInt64 = 4_096,
    thread: UInt32 = 7
  ) -> TraceRecord {
    var record = TraceRecord(.fill, time: time)
    record.offset = map.offset(of: .esb(LISN(rawValue: lisn), half))
    record.value = bytes
    record.number = lisn
    record.half = UInt8(half.rawValue)
    record.cause = cause
    record.result = result
    record.threadID = thread
    record.processID = thread
    record.queueTime = took / 2
    record.serviceTime = took - took / 2
    return record
  }

  static func key(_ lisn: UInt32, _ half: ESBHalf = .management) -> ReportPageKey {
    ReportPageKey(.esb(LISN(rawValue: lisn), half))
  }
}
