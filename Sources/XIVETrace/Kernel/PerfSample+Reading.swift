internal import TraceRecords
internal import XIVEModel

extension PerfEventNumbers {
  // Linux include/uapi/linux/perf_event.h: the records that are read here.
  private static let lostType: UInt32 = 2
  private static let commType: UInt32 = 3
  private static let sampleType: UInt32 = 9
  private static let mappingType: UInt32 = 10
  private static let executedFlag: UInt16 = 1 << 13
  private static let cpuModeMask: UInt16 = 7
  private static let kernelMode: UInt16 = 1
  /// Bytes at the end of each record but samples: pid, tid, time, number.
  private static let trailerByteCount = 24

  /// Reads what was taken from a ring.
  /// - Parameter bytes: whole records.
  /// - Returns: those that are known, in their order.
  func samples(in bytes: [UInt8]) -> [TimedSample] {
    var samples: [TimedSample] = []
    let span = unsafe bytes.span.bytes
    var start = 0
    while start + 8 <= span.byteCount {
      let size = Int(span.number(at: start + 6, as: UInt16.self))
      guard size >= 8, start + size <= span.byteCount else { break }
      if let sample = sample(in: span.extracting(start..<start + size)) {
        samples.append(sample)
      }
      start += size
    }
    return samples
  }

  private func sample(in record: RawSpan) -> TimedSample? {
    switch record.number(at: 0, as: UInt32.self) {
    case Self.sampleType: return fault(in: record)
    case Self.mappingType: return mapping(in: record)
    case Self.lostType where record.byteCount >= 24 + Self.trailerByteCount:
      return timed(record, .lost(record.number(at: 16)))
    case Self.commType where record.number(at: 4, as: UInt16.self) & Self.executedFlag != 0:
      return timed(record, .executed(processID: record.number(at: 8)))
    default: return nil
    }
  }

  private func timed(_ record: RawSpan, _ sample: PerfSample) -> TimedSample? {
    guard record.byteCount >= Self.trailerByteCount else { return nil }
    return TimedSample(time: record.number(at: record.byteCount - 16), sample: sample)
  }

  // Number 8, instruction pointer 16, pid 24, tid 28, time 32, address 40, raw: size 48, then its bytes.
  private func fault(in record: RawSpan) -> TimedSample? {
    guard record.byteCount >= 48, let meaning = meanings[record.number(at: 8)] else { return nil }
    let thread: UInt32 = record.number(at: 28)
    let time: UInt64 = record.number(at: 32)
    switch meaning {
    case .end(let isMajor):
      let address: UInt64 = record.number(at: 40)
      return TimedSample(
        time: time, sample: .ended(threadID: thread, address: address, isMajor: isMajor))
    case .beginning(let fields):
      return beginning(of: record, thread, fields).map {
        TimedSample(time: time, sample: .began($0))
      }
    }
  }

  private func beginning(of record: RawSpan, _ thread: UInt32, _ fields: FaultFields?)
    -> KernelFault?
  {
    let process: UInt32 = record.number(at: 24)
    let time: UInt64 = record.number(at: 32)
    guard let fields else {
      var fault = KernelFault(
        time: time, threadID: thread, processID: process, address: record.number(at: 40),
        instructionPointer: record.number(at: 16))
      let mode = record.number(at: 4, as: UInt16.self) & Self.cpuModeMask
      fault.isInKernel = mode == Self.kernelMode
      return fault
    }
    let raw = 52
    guard record.byteCount >= raw + fields.byteCount else { return nil }
    var fault = KernelFault(
      time: time, threadID: thread, processID: process,
      address: record.number(at: raw + fields.address),
      instructionPointer: record.number(at: raw + fields.instructionPointer))
    fault.apply(errorCode: record.number(at: raw + fields.errorCode))
    return fault
  }

  // pid 8, tid 12, address 16, length 24, offset 32, major 40, minor 44, inode 48, path 72.
  private func mapping(in record: RawSpan) -> TimedSample? {
    let end = record.byteCount - Self.trailerByteCount
    guard end > 72 else { return nil }
    let start: UInt64 = record.number(at: 16)
    let (last, overflow) = start.addingReportingOverflow(record.number(at: 24))
    guard !overflow, start < last else { return nil }
    let file = FileIdentity(
      major: record.number(at: 40), minor: record.number(at: 44), inode: record.number(at: 48))
    let path = (72..<end).map { record.number(at: $0, as: UInt8.self) }.prefix { $0 != 0 }
    return timed(
      record,
      .mapped(
        processID: record.number(at: 8),
        ProcessMapping(
          addresses: start..<last, offset: record.number(at: 32), file: file,
          path: String(decoding: path, as: UTF8.self))))
  }
}

extension KernelFault {
  // x86: Intel SDM volume 3, 4.7; Linux arch/x86/include/asm/trap_pf.h.
  private static let protectionCode: UInt64 = 1 << 0
  private static let writeCode: UInt64 = 1 << 1
  private static let userCode: UInt64 = 1 << 2
  private static let fetchCode: UInt64 = 1 << 4

  /// Takes what the processor told of the fault; other processors than x86 tell it in ways of their own.
  mutating func apply(errorCode: UInt64) {
    #if arch(x86_64)
    isProtection = errorCode & Self.protectionCode != 0
    isInKernel = errorCode & Self.userCode == 0
    access = Self.access(errorCode: errorCode)
    #endif
  }

  /// What an x86 processor's error code says was wanted.
  static func access(errorCode: UInt64) -> Access {
    if errorCode & fetchCode != 0 { return .execute }
    return errorCode & writeCode != 0 ? .write : .read
  }
}

extension RawSpan {
  /// A number in the host's order; it need not be aligned.
  fileprivate func number<Number: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as type: Number.Type = Number.self
  ) -> Number {
    unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: Number.self)
  }
}
