internal import SystemCalls
internal import TraceRecords
internal import XIVEModel

/// Makes placed and named faults of what the rings hold.
///
/// Thread rule: one thread at a time.
final class FaultPipeline {
  private let numbers: PerfEventNumbers
  private let process: TracedProcess
  private let symbols: Symbols
  private var order = SampleOrder()
  private var assembly = FaultAssembly()
  private var resolver: FaultResolver
  private var accesses: [UInt64: KernelFault.Access] = [:]

  /// The names of the instructions of all faults, by their addresses.
  private(set) var names: [UInt64: String] = [:]
  /// Samples that found no room.
  private(set) var lost: UInt64 = 0
  /// The time up to which everything has been told.
  private(set) var completeUntil: UInt64 = 0

  /// Samples have their time a little before they are in the ring: nothing older than this is still to come, in ns.
  static let lag: UInt64 = 1_000_000

  init(_ process: TracedProcess, device: FileIdentity, map: DeviceMap, _ numbers: PerfEventNumbers)
  {
    self.numbers = numbers
    self.process = process
    resolver = FaultResolver(device: device, map: map) { TracedProcess(id: Int32($0)).maps }
    // What moves later, which is told to nobody, is where it was until then.
    resolver.look(at: UInt32(process.id))
    symbols = Symbols(ofProcess: process.id)
  }

  /// Takes what was in the rings.
  /// - Parameters:
  ///   - chunks: the bytes of each ring.
  ///   - start: when the first ring began to be emptied; `UInt64.max` when nothing more will come.
  /// - Returns: the device's faults of which nothing more will be told.
  func add(_ chunks: [[UInt8]], takenAt start: UInt64) -> [KernelFault] {
    for chunk in chunks { order.add(numbers.samples(in: chunk)) }
    let horizon = start == .max ? start : start - min(start, Self.lag)
    for sample in order.release(before: horizon) { apply(sample) }
    let faults = assembly.take(at: horizon)
    completeUntil = min(horizon, assembly.oldest ?? horizon)
    return faults.compactMap(describe)
  }

  private func apply(_ sample: TimedSample) {
    switch sample.sample {
    case .began(let fault): assembly.begin(resolved(fault))
    case .ended(let thread, let address, let isMajor):
      assembly.end(threadID: thread, address: address, isMajor: isMajor, time: sample.time)
    case .mapped(let process, let mapping): resolver.add(mapping, to: process)
    case .executed(let process): resolver.forget(process)
    case .lost(let count):
      lost += count
      assembly.forget()
    }
  }

  /// Placed when it begins: later something else may be mapped there.
  private func resolved(_ fault: KernelFault) -> KernelFault { resolver.resolve(fault) ?? fault }

  /// Names a fault of the device; nil for one of other memory.
  private func describe(_ fault: KernelFault) -> KernelFault? {
    guard fault.offset != nil else { return nil }
    var fault = fault
    let pointer = fault.instructionPointer
    if fault.isInKernel {
      names[pointer] = "[kernel]"
    } else if names[pointer] == nil, !resolver.isDevice(pointer, of: fault.record.processID) {
      // Never the device itself: its pages are not a program's, and would be read.
      names[pointer] = symbols.name(of: pointer)
    }
    if fault.access == .unknown, !fault.isInKernel { fault.access = access(at: pointer) }
    return fault
  }

  private func access(at pointer: UInt64) -> KernelFault.Access {
    if let known = accesses[pointer] { return known }
    let bytes = process.bytes(at: pointer, byteCount: InstructionAccess.longest)
    let access = InstructionAccess.access(of: bytes) ?? .unknown
    accesses[pointer] = access
    return access
  }
}
