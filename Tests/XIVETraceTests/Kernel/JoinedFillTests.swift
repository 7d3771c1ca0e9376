import SystemCalls
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

@Suite("Fills of a server with the faults that caused them", .hangGuard, .enabled(if: canTrace))
struct JoinedFillTests {
  /// Reads the device's records from the beginning.
  private func records(_ reader: inout Consumer) throws -> [TraceRecord] {
    let hex = try reader.expect("pread 0 \(Region.trace.start) 16384")
    let digits = Array(hex.utf8)
    let bytes = try stride(from: 0, to: digits.count, by: 2).map { place in
      try #require(UInt8(String(decoding: digits[place..<place + 2], as: UTF8.self), radix: 16))
    }
    return stride(from: 0, to: bytes.count, by: TraceRecord.byteCount)
      .map { unsafe TraceRecord(bytes.span.bytes, at: $0) }.filter { $0.kind != nil }
  }

  @Test("Each fill has its fault, and a fault on a page that was there has no fill")
  func joined() throws {
    let device = try ServedDevice(["--create", "0-15"])
    var consumer = try Consumer(opening: device.path)
    var reader = try Consumer(opening: device.path, "ro,direct")
    _ = try records(&reader)
    let file = try #require(FileIdentity(ofPath: device.path))
    let faults = try KernelFaults(ofProcess: consumer.processID, device: file, map: smallMap)
    try consumer.expect("map 0 0 \(Region.esb.start) 262144 rw shared")
    try consumer.expect("advise 0 0 262144 random")
    try consumer.expect("load 0 4096 8")
    try consumer.expect("store 0 \(2 * 4_096 + 8) 8 0")
    #expect(try consumer.ask("load 0 \(40 * 4_096 + 16) 8").hasPrefix("sigbus"))
    try consumer.expect("map 1 0 \(Region.esb.start) 65536 r shared")
    try consumer.expect("load 1 \(4_096 + 24) 8")
    var join = FaultJoin()
    join.add(faults.stop())
    join.add(try records(&reader), readAt: MonotonicClock.nanoseconds)
    let events = join.finish().filter { $0.record.kind == .fill || $0.record.kind == .kernelFault }
    let pages = events.map { ($0.record.offset ?? 0) >> 12 & 0xff }
    #expect(pages == [1, 2, 40, 40, 1])
    #expect(events.map { $0.fault?.address ?? 0 }.map { $0 & 0xfff } == [0, 8, 16, 16, 24])
    #expect(events.map(\.fault?.access) == [.read, .write, .read, .read, .read])
    #expect(events.map(\.record.kind) == [.fill, .fill, .fill, .fill, .kernelFault])
    #expect(events.map(\.record.cause)[..<4] == [.firstTouch, .firstTouch, .none, .again])
    // The two fills of the SIGBUS are of one fault.
    #expect(events[2].fault == events[3].fault)
    for event in events[..<4] {
      let wait = try #require(event.queueTime)
      #expect(wait > 0 && wait < 60_000_000_000)
      #expect(event.record.threadID == UInt32(consumer.processID))
    }
  }
}
