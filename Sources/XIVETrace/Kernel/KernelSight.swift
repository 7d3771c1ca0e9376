/// What the kernel knows of an event, for those who show it.
public struct KernelSight: Hashable, Sendable {
  /// The page fault behind the event.
  public let fault: KernelFault
  /// The name of the instruction that touched; nil where it is not known.
  public let instruction: String?
  /// Nanoseconds from the fault until the server began to handle it; nil for a fault that did not reach it.
  public let queueTime: UInt64?

  /// Puts a fault and what is known of it together.
  /// - Parameters:
  ///   - fault: the fault.
  ///   - instruction: the name of its instruction.
  ///   - queueTime: nanoseconds until the server began to handle it.
  public init(_ fault: KernelFault, instruction: String? = nil, queueTime: UInt64? = nil) {
    self.fault = fault
    self.instruction = instruction
    self.queueTime = queueTime
  }

  /// For people: `read 0x7f7e11a23c08 by guarded_load+0xc0, 12.3us after the fault`.
  var words: String {
    let touch = fault.access == .unknown ? "touched" : fault.access.name
    let name = instruction ?? TraceEvent.hex(fault.instructionPointer)
    var words = "\(touch) \(TraceEvent.hex(fault.address)) by \(name)"
    if fault.isProtection { words += ", page was there" }
    if let queueTime { words += ", \(TimeWords.microseconds(queueTime))us after the fault" }
    return words
  }

  /// Adds the members of a JSON object.
  func add(to json: inout JSONText) {
    json.add("address", TraceEvent.hex(fault.address))
    json.add("ip", TraceEvent.hex(fault.instructionPointer))
    json.add("symbol", instruction)
    json.add("access", fault.access.name)
    json.add("protection", isTrue: fault.isProtection)
    json.add("in_kernel", isTrue: fault.isInKernel)
    json.add("outcome", fault.outcome.name)
    json.add("fault_ns", fault.duration)
    json.add("fault_queue_ns", queueTime)
  }
}
