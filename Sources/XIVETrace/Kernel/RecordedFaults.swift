public import TraceRecords
public import XIVEModel

/// Puts the kernel's faults of a recorded file with the fills that they caused.
///
/// In a file a fault stands right in front of its fill, where the recorder has put it; one that did not reach the
/// server stands by itself. Not for several threads at once.
public struct RecordedFaults: Sendable {
  /// Names of instructions: by process, then by address.
  public var symbols: [UInt32: [UInt64: String]] = [:]
  private let map: DeviceMap
  private var held: KernelFault?
  /// The fault of each thread's last fill that had one: a `SIGBUS` is one fault of two fills.
  private var joined: [UInt32: KernelFault] = [:]

  /// Begins.
  /// - Parameter map: the layout of the device.
  public init(_ map: DeviceMap) { self.map = map }

  /// Takes the next record.
  /// - Parameter record: in the order of the file.
  /// - Returns: the events that are known by now, in their order; the last one may be held back.
  public mutating func take(_ record: TraceRecord) -> [TraceEvent] {
    if let fault = KernelFault(record) {
      let before = end()
      held = fault
      return before
    }
    if let fault = held, fault.isOf(record) {
      held = nil
      joined[record.threadID] = fault
      return [event(record, fault)]
    }
    return end() + [event(record, again(record))]
  }

  /// Takes what is held back: nothing more will come.
  public mutating func end() -> [TraceEvent] {
    defer { held = nil }
    return held.map { [event($0.record, $0)] } ?? []
  }

  private func again(_ record: TraceRecord) -> KernelFault? {
    guard let fault = joined[record.threadID], fault.isOf(record) else { return nil }
    // Without an end it could be any later one's, too.
    return fault.duration != nil || record.cause == .again ? fault : nil
  }

  private func event(_ record: TraceRecord, _ fault: KernelFault?) -> TraceEvent {
    TraceEvent(
      record, map,
      fault.map {
        KernelSight(
          $0, instruction: symbols[$0.record.processID]?[$0.instructionPointer],
          queueTime: FaultJoin.Event(record, fault: $0).queueTime)
      })
  }
}
