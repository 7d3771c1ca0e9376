import DeviceClient
import Glibc
import SystemPackage
import Testing
import TraceRecords
import XIVEClient
import XIVETestSupport

@testable import XIVETrace

/// A region of records in memory, which behaves as the device's does.
private final class PretendRegion {
  var records: [TraceRecord] = []
  var oldest: UInt64 = 0
  var version = TraceRecord.version
  var failure: XIVEClientError?
  /// Where reads began.
  var reads: [UInt64] = []

  func append(_ count: Int) {
    for _ in 0..<count { records.append(Samples.record(.fill, UInt64(records.count))) }
  }

  /// What a read from a place on gives.
  func records(from sequence: UInt64) -> [TraceRecord] {
    guard sequence < oldest else { return Array(records.dropFirst(Int(sequence))) }
    let gap = Samples.record(.gap, sequence) { $0.value = oldest - sequence }
    return [gap] + records.dropFirst(Int(oldest))
  }
}

private struct PretendSource: TraceSource {
  let region: PretendRegion

  func info() throws(XIVEClientError) -> TraceInfo {
    if let failure = region.failure { throw failure }
    return TraceInfo(
      version: UInt32(region.version), isOn: true, next: UInt64(region.records.count),
      oldest: region.oldest)
  }

  func read(
    from sequence: UInt64, into records: inout MutableRawSpan
  ) throws(XIVEClientError) {
    if let failure = region.failure { throw failure }
    region.reads.append(sequence)
    let found = region.records(from: sequence)
    for place in 0..<records.byteCount / 64 {
      for word in 0..<8 {
        let value: UInt64 =
          place < found.count
          ? found[place].withBytes {
            unsafe $0.unsafeLoad(fromByteOffset: word * 8, as: UInt64.self)
          }
          : 0
        records.storeBytes(of: value, toByteOffset: place * 64 + word * 8, as: UInt64.self)
      }
    }
  }

  func wait(milliseconds: Int32) -> Bool { true }
}

@Suite("Streams", .hangGuard)
struct StreamTests {
  private let region = PretendRegion()

  private func stream(_ start: TraceStream<PretendSource>.Start = .oldest, batch: Int = 4) throws
    -> TraceStream<PretendSource>
  {
    try TraceStream(PretendSource(region: region), from: start, batch: batch)
  }

  @Test("Records come once, in order, in batches") func order() throws {
    region.append(10)
    var stream = try stream()
    var sequences: [UInt64] = []
    while case let records = try stream.read(), !records.isEmpty {
      #expect(records.count <= 4)
      sequences += records.map(\.sequence)
    }
    #expect(sequences == Array(0..<10) && stream.position == 10 && stream.lost == 0)
    region.append(1)
    #expect(try stream.read().map(\.sequence) == [10])
    #expect(region.reads == [0, 4, 8, 10, 10])
    #expect(try stream.end() == 11)
  }

  @Test("Reading begins with what is kept, or with what is new") func start() throws {
    region.append(10)
    region.oldest = 3
    var stream = try stream()
    #expect(stream.position == 3)
    #expect(try stream.read().first?.sequence == 3 && stream.lost == 0)
    #expect(try self.stream(.now).position == 10)
  }

  @Test("Lost records are counted exactly, and reading goes on behind them") func gaps() throws {
    region.append(2)
    var stream = try stream()
    _ = try stream.read()
    region.append(20)
    region.oldest = 19
    let records = try stream.read()
    #expect(records.map(\.kind) == [.gap, .fill, .fill, .fill])
    #expect(records.map(\.sequence) == [2, 19, 20, 21])
    #expect(stream.lost == 17 && stream.position == 22)
    #expect(try stream.read().isEmpty && stream.lost == 17)
    region.append(10)
    region.oldest = 32
    #expect(try stream.read().map(\.kind) == [.gap])
    #expect(stream.lost == 27 && stream.position == 32)
  }

  @Test("A region that goes back, or stands still, does not hold its reader") func disorder() throws
  {
    region.append(8)
    var stream = try stream()
    _ = try stream.read()
    region.records[5].sequence = 3
    #expect(throws: TraceStreamError.order(expected: 5, found: 3)) { try stream.read() }
    region.records[5] = Samples.record(.gap, 5)
    #expect(throws: TraceStreamError.order(expected: 5, found: 5)) { try stream.read() }
    region.records[5] = Samples.record(.gap, 5) { $0.value = .max }
    #expect(throws: TraceStreamError.order(expected: 5, found: 5)) { try stream.read() }
    // A position behind it would be no place in a file.
    region.records[5] = Samples.record(.gap, 5) { $0.value = 1 << 57 }
    #expect(throws: TraceStreamError.order(expected: 5, found: 5)) { try stream.read() }
    region.oldest = 1 << 58
    #expect(throws: TraceStreamError.order(expected: 0, found: 1 << 58)) { _ = try self.stream() }
  }

  @Test("Another version of records is refused") func version() throws {
    region.version = 2
    #expect(throws: TraceStreamError.version(2)) { _ = try stream() }
  }

  @Test("The server's end is told from a refusal, and from a server that knows no records")
  func failures() throws {
    region.append(1)
    var stream = try stream()
    let cases: [(Errno, TraceStreamError?, String)] = [
      (.socketNotConnected, .ended(.socketNotConnected), "its server has ended"),
      (.connectionAbort, .ended(.connectionAbort), "its server has ended"),
      (.noSuchAddressOrDevice, .unknown, "its server knows no tracing"),
      (.permissionDenied, nil, "offset 0x10010000000000: refused"),
    ]
    for (errno, expected, words) in cases {
      let failure = XIVEClientError.device(.access(offset: 0x1001 << 40, errno))
      region.failure = failure
      let error = #expect(throws: TraceStreamError.self) { try stream.read() }
      #expect(error == expected ?? .client(failure))
      #expect(error?.description.hasPrefix(words) == true, "\(error?.description ?? "")")
    }
  }

  @Test("Names that the stream has not told are asked from the system") func names() {
    var names = TaskNames()
    let own = UInt32(getpid())
    let record = Samples.record(.fence, 7, at: 3) {
      $0.threadID = own
      $0.processID = own
    }
    let told = Samples.record(.fence, 8)
    let made = names.missing(in: [Samples.task("qemu"), told, record, record])
    #expect(made.count == 1 && made.first?.threadID == own && made.first?.kind == .task)
    #expect(made.first?.sequence == 0 && made.first?.threadName?.isEmpty == false)
    #expect(names.name(of: own) == made.first?.threadName && names.name(of: 4_711) == "qemu")
    #expect(names.missing(in: [record]).isEmpty)
    #expect(names.name(of: 0) == "kernel" && names.name(of: 1 << 31) == nil)
  }

  @Test("A thread's name is kept in 16 bytes") func threadName() {
    #expect(Samples.task("").threadName == "")
    #expect(Samples.task("fifteen-bytes-x").threadName == "fifteen-bytes-x")
    #expect(Samples.task("more-than-fifteen").threadName == "more-than-fifte")
    #expect(Samples.record(.fence).threadName == nil)
  }
}
