import CXIVE
import SystemCalls
import TraceRecords
import XIVETestSupport

/// One who reads a device's records, in a process of its own that may not write.
struct RecordReader: ~Copyable {
  private var consumer: Consumer
  /// Where it goes on.
  private(set) var next: UInt64 = 0

  /// Opens a device and reads, with which records begin to be made.
  init(_ path: String) throws {
    var consumer = try Consumer(opening: path, "ro,direct")
    try consumer.expect("pread 0 \(xive_trace_offset(0)) 64")
    self.consumer = consumer
  }

  /// Bytes of the region as the device gives them.
  mutating func bytes(from sequence: UInt64, count: Int) throws -> [UInt8] {
    let hex = try consumer.expect("pread 0 \(xive_trace_offset(sequence)) \(count * 64)")
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16) ?? 0
    }
  }

  /// Some records from a place on, as many as there are.
  mutating func records(from sequence: UInt64, count: Int = 512) throws -> [TraceRecord] {
    let bytes = try bytes(from: sequence, count: count)
    return stride(from: 0, to: bytes.count, by: 64).map {
      TraceRecord(unsafe bytes.span.bytes, at: $0)
    }
    .filter { $0.rawKind != 0 }
  }

  /// All records that are new now.
  mutating func take() throws -> [TraceRecord] {
    var all: [TraceRecord] = []
    while case let found = try records(from: next), let last = found.last {
      all += found
      next = last.kind == .gap ? last.sequence + last.value : last.sequence + 1
    }
    return all
  }

  /// The records of all that has been answered, names of threads among them.
  ///
  /// A toucher goes on when it has its answer, which is a little before the record can be read. Numbers are taken
  /// before answers are given: what has been answered lies before an access of the reader's own.
  mutating func read() throws -> [TraceRecord] {
    let mark = managementPage(0) + 0xbf8
    _ = try consumer.load(at: mark)
    let deadline = MonotonicClock.nanoseconds + 60_000_000_000
    var all: [TraceRecord] = []
    while !all.contains(where: { $0.kind == .load && $0.offset == mark }) {
      guard MonotonicClock.nanoseconds < deadline else {
        throw SupportFailure("no record of 0x\(String(mark, radix: 16))")
      }
      all += try take()
    }
    return all
  }

  /// The new records that a process has caused, but for its threads' names.
  mutating func read(by process: Int32) throws -> [TraceRecord] {
    try read().filter { $0.processID == UInt32(process) && $0.kind != .task }
  }

  /// Asks its consumer anything else.
  mutating func ask(_ command: String) throws -> String { try consumer.ask(command) }

  /// Ends its process, whatever it is doing.
  mutating func kill() {
    consumer.signal(9)
    _ = consumer.exitCode()
  }
}

extension Consumer {
  /// The state of the stream of records.
  mutating func traceInfo() throws -> xive_info_trace { try info(XIVE_INFO_TRACE) }

  /// Maps or unmaps a run of sources.
  mutating func passthrough(
    _ source: UInt32, phb: UInt32 = 0, irq: UInt32, count: UInt32 = 1, flags: UInt32 = 0
  ) throws {
    try expect("inline 0 set 0x41 \(source) \(Payload(phb, irq, count, flags).hex)")
  }
}

extension TraceRecord {
  /// The name in a record of one.
  var name: String {
    let words = [offset ?? .max, value]
    let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// Whether it began between two readings of the clock, and had taken some time when it was read.
  func isWithin(_ start: UInt64, _ end: UInt64) -> Bool {
    time >= start && time <= end && UInt64(queueTime) <= end - start && serviceTime > 0
      && time + UInt64(serviceTime) <= MonotonicClock.nanoseconds
  }
}
