import SystemCalls
import Testing
import TraceRecords
import XIVEModel

import XIVETestSupport

@testable import XIVETrace

/// A ring's bytes, record by record, as `include/uapi/linux/perf_event.h` documents them.
private struct RingBytes {
  var bytes: [UInt8] = []

  mutating func add(_ type: UInt32, misc: UInt16 = 2, _ body: [UInt8]) {
    bytes += Self.bytes(type) + Self.bytes(misc) + Self.bytes(UInt16(body.count + 8)) + body
  }

  static func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
    var number = number
    return unsafe withUnsafeBytes(of: &number) { unsafe Array($0) }
  }

  static func words(_ words: [UInt64]) -> [UInt8] { words.flatMap { bytes($0) } }

  /// A sample of an event: thread 12 of process 11.
  mutating func sample(
    _ number: UInt64, time: UInt64, address: UInt64, misc: UInt16 = 2, raw: [UInt64] = []
  ) {
    let fixed = Self.words([number, 0x1000]) + Self.bytes(UInt32(11)) + Self.bytes(UInt32(12))
    let size = Self.bytes(UInt32(raw.count * 8 + 4))
    let tail = raw.isEmpty ? [] : size + Self.words(raw) + [0, 0, 0, 0]
    add(9, misc: misc, fixed + Self.words([time, address]) + tail)
  }

  /// Ends a record that is no sample.
  static func trailer(time: UInt64) -> [UInt8] { words([0, time, 0]) }
}

@Suite("Samples as the kernel writes them", .hangGuard)
struct PerfSampleTests {
  private var numbers: PerfEventNumbers {
    PerfEventNumbers(meanings: [
      1: .beginning(nil), 2: .end(isMajor: false), 3: .end(isMajor: true),
      4: .beginning(FaultFields(format: PermissionTests.format)),
    ])
  }

  private func began(_ samples: [TimedSample]) -> [KernelFault] {
    samples.compactMap { if case .began(let fault) = $0.sample { fault } else { nil } }
  }

  @Test("A software event: address, instruction, thread, and whether in the kernel")
  func software() {
    var ring = RingBytes()
    ring.sample(1, time: 500, address: 0x7000)
    ring.sample(1, time: 600, address: 0x8000, misc: 1)
    let faults = began(numbers.samples(in: ring.bytes))
    #expect(faults.map(\.address) == [0x7000, 0x8000])
    #expect(faults.map(\.instructionPointer) == [0x1000, 0x1000])
    #expect(faults.map(\.isInKernel) == [false, true])
    #expect(faults.map(\.access) == [.unknown, .unknown])
    #expect(faults.map(\.record.time) == [500, 600])
    #expect(faults.allSatisfy { $0.record.threadID == 12 && $0.record.processID == 11 })
  }

  #if arch(x86_64)
  @Test(
    "A tracepoint: its own fields, and the error code",
    arguments: [
      (4, KernelFault.Access.read, false, false), (7, .write, true, false),
      (2, .write, false, true),
      (0x14, .execute, false, false), (0, .read, false, true),
    ] as [(UInt64, KernelFault.Access, Bool, Bool)])
  func tracepoint(code: UInt64, access: KernelFault.Access, isProtection: Bool, isInKernel: Bool)
    throws
  {
    var ring = RingBytes()
    ring.sample(4, time: 500, address: 0, raw: [0, 0x7000, 0x2000, code])
    let fault = try #require(began(numbers.samples(in: ring.bytes)).first)
    #expect(fault.address == 0x7000 && fault.instructionPointer == 0x2000)
    #expect(fault.access == access)
    #expect(fault.isProtection == isProtection && fault.isInKernel == isInKernel)
  }
  #endif

  @Test("Ends, mappings, programs and losses")
  func others() {
    var ring = RingBytes()
    ring.sample(2, time: 100, address: 0x7000)
    ring.sample(3, time: 200, address: 0x8000)
    let file =
      RingBytes.bytes(UInt32(0)) + RingBytes.bytes(UInt32(39)) + RingBytes.words([1, 0, 3])
    let name = Array("/tmp/device".utf8) + [0, 0, 0, 0, 0]
    let ids = RingBytes.bytes(UInt32(11)) + RingBytes.bytes(UInt32(12))
    ring.add(
      10,
      ids + RingBytes.words([0x7000, 0x2000, 1 << 40]) + file + name + RingBytes.trailer(time: 300))
    ring.add(3, misc: 1 << 13, ids + Array("program\0".utf8) + RingBytes.trailer(time: 400))
    ring.add(3, ids + Array("renamed\0".utf8) + RingBytes.trailer(time: 410))
    ring.add(2, RingBytes.words([1, 17]) + RingBytes.trailer(time: 500))
    let samples = numbers.samples(in: ring.bytes)
    let mapping = ProcessMapping(
      addresses: 0x7000..<0x9000, offset: 1 << 40,
      file: FileIdentity(major: 0, minor: 39, inode: 1), path: "/tmp/device")
    #expect(
      samples.map(\.sample) == [
        .ended(threadID: 12, address: 0x7000, isMajor: false),
        .ended(threadID: 12, address: 0x8000, isMajor: true),
        .mapped(processID: 11, mapping), .executed(processID: 11), .lost(17),
      ])
    #expect(samples.map(\.time) == [100, 200, 300, 400, 500])
  }

  @Test("Bytes that are cut off anywhere, and events of others, are left out")
  func cut() {
    var ring = RingBytes()
    ring.sample(4, time: 500, address: 0, raw: [0, 0x7000, 0x2000, 4])
    for count in 0..<ring.bytes.count {
      #expect(numbers.samples(in: Array(ring.bytes[..<count])).isEmpty)
    }
    var short = RingBytes()
    short.add(9, RingBytes.words([1, 0x1000]))
    short.add(10, RingBytes.words([0, 0, 0]))
    short.add(2, [])
    short.sample(99, time: 1, address: 1)
    short.sample(4, time: 500, address: 0, raw: [0, 0x7000])
    #expect(numbers.samples(in: short.bytes).isEmpty)
    #expect(numbers.samples(in: [1, 0, 0, 0, 0, 0, 0, 0]).isEmpty)
  }

  @Test("Lost samples are counted, and leave no fault with an end that may be another's")
  func lost() {
    var ring = RingBytes()
    let file =
      RingBytes.bytes(UInt32(0)) + RingBytes.bytes(UInt32(39)) + RingBytes.words([1, 0, 3])
    let ids = RingBytes.bytes(UInt32(11)) + RingBytes.bytes(UInt32(12))
    ring.add(
      10,
      ids + RingBytes.words([0x7000, 0x2000, 1 << 40]) + file + RingBytes.words([0])
        + RingBytes.trailer(time: 100))
    ring.sample(1, time: 200, address: 0x7000)
    ring.add(2, RingBytes.words([1, 17]) + RingBytes.trailer(time: 300))
    ring.sample(3, time: 400, address: 0x7000)
    ring.sample(1, time: 500, address: 0x8008)
    ring.sample(2, time: 1_524, address: 0x8008)
    let pipeline = FaultPipeline(
      TracedProcess(id: 0x3fff_ffff), device: FileIdentity(major: 0, minor: 39, inode: 1),
      map: smallMap, numbers)
    #expect(pipeline.add([ring.bytes], takenAt: FaultPipeline.lag + 200).isEmpty)
    #expect(pipeline.completeUntil == 200)
    let faults = pipeline.add([], takenAt: .max)
    #expect(faults.map(\.outcome) == [.unfinished, .minor])
    #expect(faults.map(\.offset) == [1 << 40, 1 << 40 + 0x1008])
    #expect(faults.map(\.duration) == [nil, 1_024])
    #expect(pipeline.lost == 17)
    #expect(pipeline.completeUntil == .max)
  }
}
