internal import SystemCalls
internal import TraceRecords
internal import XIVEModel
internal import XIVETrace

/// What the kernel sees of a consumer, beside the records of a live trace.
///
/// Thread rule: one thread at a time.
final class KernelWatch {
  private let faults: KernelFaults
  private var join = FaultJoin()

  /// Starts; nil where it is not permitted, of which the user has been told: the rest goes on.
  /// - Parameters:
  ///   - processID: the consumer.
  ///   - path: the device file.
  ///   - map: its layout.
  init?(_ processID: Int32, _ path: String, _ map: DeviceMap) {
    guard let device = FileIdentity(ofPath: path) else { return nil }
    do throws(KernelTracingError) {
      faults = try KernelFaults(ofProcess: processID, device: device, map: map)
    } catch {
      printError("xive: --kernel: \(error)")
      return nil
    }
    for limit in faults.missing { printError("xive: --kernel: \(limit)") }
  }

  /// Takes records, and gives back those of which the kernel's part is known by now.
  func events(adding records: [TraceRecord]) -> [FaultJoin.Event] {
    join.add(records, readAt: MonotonicClock.nanoseconds)
    join.add(faults.take())
    return join.events()
  }

  /// Ends, and gives back what is left.
  func finish() -> [FaultJoin.Event] {
    let known = faults.missing.count
    join.add(faults.stop())
    for limit in faults.missing.dropFirst(known) { printError("xive: --kernel: \(limit)") }
    return join.finish()
  }

  /// What is shown of an event.
  func sight(_ event: FaultJoin.Event) -> KernelSight? {
    event.fault.map {
      KernelSight($0, instruction: symbols[$0.instructionPointer], queueTime: event.queueTime)
    }
  }

  /// The names of instructions.
  var symbols: [UInt64: String] { faults.symbols }
}
