import SystemCalls
import XIVEClient
import XIVEModel
import XIVETestSupport

/// States for tests of their format.
enum StateSamples {
  static let geometry = DeviceGeometry(
    sourceCount: 4, serverCount: 2, pageShift: 12, pagesPerSource: 2, supportsStoreEOI: false)

  /// One of each: the bytes are in `StateFormatTests`, written out by hand.
  static var small: MachineState {
    var routed = SourceRecord(pq: .queued)
    routed.route(to: 1, 6, eisn: 0x1234)
    routed.isLatched = true
    var line = SourceRecord(pq: .pending, isLSI: true)
    line.isAsserted = true
    return MachineState(
      geometry: geometry, serverCount: 2,
      vps: [VPRecord(server: 1, w01: 0x80ff_0200_ff00_0006)],
      ends: [ENDRecord(index: ENDIndex(1, 6), end: end)],
      sources: [.absent, SourceRecord(pq: .off), routed, line])
  }

  private static var end: END {
    var end = END(notifying: 1, 6, queueAddress: 0x1_2345_0000)
    end.generation = 0
    end.queueIndex = 5
    return end
  }

  /// A state of any size and contents.
  static func random(_ random: inout SplitMix64) -> MachineState {
    let geometry = DeviceGeometry(
      sourceCount: .random(in: 1...400, using: &random),
      serverCount: .random(in: 1...60, using: &random),
      pageShift: Bool.random(using: &random) ? 12 : 16,
      pagesPerSource: .random(in: 1...2, using: &random),
      supportsStoreEOI: .random(using: &random))
    let sourceCount = UInt32.random(in: 1...geometry.sourceCount, using: &random)
    let serverCount = UInt32.random(in: 1...geometry.serverCount, using: &random)
    let vps = (0..<serverCount).filter { _ in Bool.random(using: &random) }
      .map { VPRecord(server: Server(rawValue: $0), w01: random.next()) }
    let ends = (0..<geometry.serverCount * 8).filter { _ in Bool.random(using: &random) }
      .map { ENDRecord(index: ENDIndex(rawValue: $0), end: randomEND(&random)) }
    let sources = (0..<sourceCount).map { _ in randomSource(geometry.serverCount, &random) }
    return MachineState(
      geometry: geometry, serverCount: serverCount, vps: vps, ends: ends, sources: sources)
  }

  /// Any bits that an END may have: valid, of one vCPU, with a queue that is aligned where it has one.
  private static func randomEND(_ random: inout SplitMix64) -> END {
    var end = END()
    func word() -> UInt32 { UInt32(truncatingIfNeeded: random.next()) }
    (end.w0, end.w1, end.w2, end.w3) = (word(), word(), word(), word())
    (end.w4, end.w5, end.w6, end.w7) = (word(), word(), word(), word())
    end.isValid = true
    end.w6 &= ~(1 << 23)
    end.w7 &= ~(1 << 31)
    guard end.isEnqueued else { return end }
    end.w0 &= ~0xf_0000
    end.w0 |= .random(in: 0...12, using: &random) << 16
    end.queueIndex &= end.queueEntryCount - 1
    end.w3 &= ~(1 << end.queueShift - 1)
    return end
  }

  private static func randomSource(_ serverCount: UInt32, _ random: inout SplitMix64)
    -> SourceRecord
  {
    guard Int.random(in: 0..<4, using: &random) > 0 else { return .absent }
    let pq = PQ(rawValue: .random(in: 0...3, using: &random))
    var record = SourceRecord(pq: pq, isLSI: .random(using: &random))
    record.isAsserted = record.isLSI && .random(using: &random)
    record.isLatched = .random(using: &random)
    if Bool.random(using: &random), let priority = Priority(rawValue: .random(in: 0...6)) {
      record.route(
        to: Server(rawValue: .random(in: 0..<serverCount, using: &random)), priority,
        eisn: EISN(rawValue: UInt32(truncatingIfNeeded: random.next())))
    }
    guard Int.random(in: 0..<4, using: &random) == 0 else { return record }
    let hardware: UInt64 = random.next() & 0x3ff_ffff << 32 | 0x80
    return SourceRecord(
      configuration: record.configuration, flags: record.flags | hardware)
  }
}

extension [UInt8] {
  /// The bytes with a number put in, and the checksum of the whole put right.
  func setting<Number: FixedWidthInteger>(_ number: Number, at offset: Int) -> [UInt8] {
    var bytes = self
    unsafe Swift.withUnsafeBytes(of: number.littleEndian) {
      unsafe bytes.replaceSubrange(offset..<offset + $0.count, with: $0)
    }
    return bytes.withChecksum
  }

  /// The bytes with their last four replaced by the checksum of the others.
  var withChecksum: [UInt8] {
    var bytes = self
    let sum = dropLast(4).crc32
    bytes.replaceSubrange(count - 4..<count, with: (0..<4).map { UInt8(sum >> ($0 * 8) & 0xff) })
    return bytes
  }
}

extension Collection<UInt8> {
  /// CRC-32, bit by bit: reflected, polynomial 0x04c11db7, all ones before and inverted after.
  var crc32: UInt32 {
    ~reduce(UInt32.max) { sum, byte in
      (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in
        sum & 1 == 1 ? sum >> 1 ^ 0xedb8_8320 : sum >> 1
      }
    }
  }
}
