import Foundation
import SystemPackage
import Testing
import TraceRecords
import XIVETestSupport

@testable import XIVETrace

@Suite("Recorded files", .hangGuard)
struct TraceFileTests {
  let directory: URL

  init() throws {
    directory = FileManager.default.temporaryDirectory
      .appending(path: "xive-trace-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  private func path(_ name: String = "file.xivetrace") -> String {
    directory.appending(path: name).path
  }

  private func written(_ bytes: some Collection<UInt8>, _ name: String = "damaged") throws -> String
  {
    try Data(bytes).write(to: directory.appending(path: name))
    return path(name)
  }

  private func clean() { try? FileManager.default.removeItem(at: directory) }

  @Test("What was written is read again: device, records, symbols")
  func roundTrip() throws {
    defer { clean() }
    let trace = Trace(
      device: Samples.device, records: Samples.records(1_000), symbols: Samples.symbols)
    try trace.write(to: path())
    let read = try Trace(contentsOf: path())
    #expect(read.device == trace.device)
    #expect(read.records == trace.records)
    #expect(read.symbols == trace.symbols)
  }

  @Test("Each block is in the file when its call returns")
  func growth() throws {
    defer { clean() }
    let records = Samples.records(20)
    var writer = try TraceWriter(path(), Samples.device)
    #expect(try Trace(contentsOf: path()).records.isEmpty)
    for (index, record) in records.enumerated() {
      try writer.append([record])
      #expect(try Trace(contentsOf: path()).records == Array(records[...index]))
    }
    let size = try Data(contentsOf: URL(filePath: path())).count
    #expect(writer.byteCount == UInt64(size))
  }

  @Test("More records than a block takes become several blocks")
  func largeBlocks() throws {
    defer { clean() }
    let most = TraceFormat.largestBlock / TraceRecord.byteCount
    let record = Samples.record(.fill)
    try Trace(device: Samples.device, records: .init(repeating: record, count: most + 1))
      .write(to: path())
    var reader = try TraceReader(path())
    var counts: [Int] = []
    while let block = try reader.next() {
      if case .records(let records) = block { counts.append(records.count) }
    }
    #expect(counts == [most, 1])
  }

  @Test("A file that was there is replaced, also by a shorter one")
  func replacement() throws {
    defer { clean() }
    try Trace(device: Samples.device, records: Samples.records(100)).write(to: path())
    try Trace(device: Samples.device, records: Samples.records(1)).write(to: path())
    #expect(try Trace(contentsOf: path()).records.count == 1)
  }

  @Test("At every length a shortened file gives its whole blocks, and says what is lost")
  func truncation() throws {
    defer { clean() }
    var writer = try TraceWriter(path(), Samples.device)
    let head = Int(writer.byteCount)
    let records = Samples.records(3)
    var ends = [head]
    for record in records {
      try writer.append([record])
      ends.append(Int(writer.byteCount))
    }
    let bytes = try Array(Data(contentsOf: URL(filePath: path())))
    for length in 0..<bytes.count {
      let file = try written(bytes[..<length])
      if length < head {
        let reason = #expect(throws: TraceFileError.self) { try Trace.read(file) }?.reason
        #expect(reason == (length < 8 ? .notATrace : .noDevice), "\(length) bytes")
        continue
      }
      let (trace, damage) = try Trace.read(file)
      let whole = ends.lastIndex { $0 <= length } ?? 0
      #expect(trace.records == Array(records[..<whole]), "\(length) bytes")
      let expected = TraceFileDamage(
        kind: .truncated, offset: UInt64(ends[whole]), recordCount: whole,
        lostByteCount: UInt64(length - ends[whole]))
      #expect(damage == (length == ends[whole] ? nil : expected), "\(length) bytes")
      guard damage != nil else { continue }
      #expect(throws: TraceFileError(file, .damaged(expected))) { try Trace(contentsOf: file) }
    }
  }

  @Test("Any changed byte is noticed")
  func everyByte() throws {
    defer { clean() }
    let trace = Trace(
      device: Samples.device, records: Samples.records(3), symbols: Samples.symbols)
    try trace.write(to: path())
    let bytes = try Array(Data(contentsOf: URL(filePath: path())))
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 1 << UInt8(index % 8)
      let file = try written(damaged)
      let error = #expect(throws: TraceFileError.self, "byte \(index)") {
        try Trace(contentsOf: file)
      }
      let line = error?.description ?? ""
      #expect(line.hasPrefix(file + ": ") && !line.contains("\n"))
    }
  }

  @Test("Files of any bytes are refused in one line, whatever they are")
  func fuzz() throws {
    defer { clean() }
    try Trace(
      device: Samples.device, records: Samples.records(8), symbols: Samples.symbols
    ).write(to: path())
    let bytes = try Array(Data(contentsOf: URL(filePath: path())))
    var generator = Seed.generator()
    for _ in 0..<3_000 {
      let file = try written(Self.mutated(bytes, &generator))
      do {
        let (trace, damage) = try Trace.read(file)
        let isSame = trace.records.count == 8 && trace.symbols == Samples.symbols
        #expect(isSame || damage != nil || trace.records.count < 8, "\(Seed.comment)")
        #expect(damage.map { !"\($0)".contains("\n") } ?? true)
      } catch { #expect(!"\(error)".contains("\n"), "\(Seed.comment)") }
    }
  }

  /// The same bytes with a few changes: bits, bytes, lost and repeated parts, or no part of them at all.
  private static func mutated(_ bytes: [UInt8], _ generator: inout SplitMix64) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      let end = Int.random(in: place...bytes.count, using: &generator)
      switch Int.random(in: 0..<6, using: &generator) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: bytes[place] = UInt8.random(in: 0...255, using: &generator)
      case 2: bytes.removeSubrange(place..<end)
      case 3: bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
      case 4: for index in place..<min(end, place + 4) { bytes[index] = 0xff }
      default:
        bytes = (0..<Int.random(in: 0..<400, using: &generator)).map { _ in
          UInt8.random(in: 0...255, using: &generator)
        }
      }
    }
    return bytes
  }

  @Test("Blocks with a right checksum and wrong contents are refused, too")
  func wrongContents() throws {
    defer { clean() }
    _ = try TraceWriter(path(), Samples.device)
    let head = try Array(Data(contentsOf: URL(filePath: path())))
    var generator = Seed.generator(stream: 1)
    for _ in 0..<2_000 {
      let kind = UInt32.random(in: 2...3, using: &generator)
      let payload = (0..<Int.random(in: 0..<40, using: &generator)).map { _ in
        UInt8.random(in: 0...3, using: &generator)
      }
      let file = try written(head + Self.block(kind, payload))
      let (trace, damage) = try Trace.read(file)
      if kind == 2 { #expect((damage == nil) == payload.isEmpty, "\(Seed.comment)") }
      if damage != nil { #expect(trace.symbols.isEmpty) }
    }
  }

  @Test("A device that cannot be is refused", arguments: [0, 4, 8, 12, 16, 20, 24, 48])
  func wrongDevice(place: Int) throws {
    defer { clean() }
    var payload = Samples.device.encoded
    for index in place..<place + 4 { payload[index] = 0xff }
    let file = try written(Self.head + Self.block(1, payload))
    #expect(throws: TraceFileError(file, .noDevice)) { try Trace.read(file) }
  }

  @Test("A block of a kind that is not known is passed over")
  func unknownKind() throws {
    defer { clean() }
    try Trace(device: Samples.device, records: Samples.records(2)).write(to: path())
    let bytes = try Array(Data(contentsOf: URL(filePath: path())))
    let file = try written(bytes + Self.block(77, [1, 2, 3]) + Self.block(77, []))
    #expect(try Trace(contentsOf: file).records.count == 2)
  }

  @Test("Other versions, other byte orders and other files are told apart")
  func strangers() throws {
    defer { clean() }
    _ = try TraceWriter(path(), Samples.device)
    let bytes = try Array(Data(contentsOf: URL(filePath: path())))
    var version = bytes
    version[12] = 9
    var order = bytes
    order.replaceSubrange(8..<12, with: bytes[8..<12].reversed())
    let cases: [(file: String, reason: TraceFileError.Reason, words: String)] = [
      (try written(version, "a"), .version(9), "has format version 9"),
      (try written(order, "b"), .byteOrder, "was recorded on a machine of the other byte order"),
      (try written("no trace".utf8, "c"), .notATrace, "is no recorded trace"),
      (try written([], "d"), .notATrace, "is no recorded trace"),
      (path("absent"), .reading(.noSuchFileOrDirectory), "cannot be read: No such file"),
      (directory.path, .reading(.isDirectory), "cannot be read: it is a directory"),
      ("/dev/null", .reading(.invalidArgument), "cannot be read: it is no regular file"),
    ]
    for (file, reason, words) in cases {
      let error = #expect(throws: TraceFileError(file, reason)) { try Trace(contentsOf: file) }
      #expect(error?.description.contains("\(file): \(words)") == true)
    }
  }

  @Test("A place that cannot be written is told in one line")
  func unwritable() throws {
    defer { clean() }
    for (file, reason): (String, TraceFileError.Reason) in [
      (directory.path, .writing(.isDirectory)), ("/dev/null", .writing(.invalidArgument)),
      (path("no/such/place"), .writing(.noSuchFileOrDirectory)),
    ] {
      #expect(throws: TraceFileError(file, reason)) { _ = try TraceWriter(file, Samples.device) }
    }
  }

  private static let head: [UInt8] = {
    var head = TraceFormat.magic
    head.append(word: TraceFormat.byteOrderMark)
    head.append(word: TraceFormat.version)
    return head
  }()

  private static func block(_ kind: UInt32, _ payload: [UInt8]) -> [UInt8] {
    var block: [UInt8] = []
    block.append(word: kind)
    block.append(word: UInt32(payload.count))
    block.append(word: TraceFormat.checksum(kind: kind, payload))
    block.append(word: UInt32(0))
    return block + payload
  }
}
