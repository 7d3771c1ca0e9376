public import DeviceClient
public import SystemPackage
public import XIVEModel

/// Why a consumer's call on a XIVE device file was refused.
public enum XIVEClientError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file refused it.
  case device(DeviceClientError)
  /// The file is no XIVE device: it does not answer the INFO attribute.
  case notXIVE(String)
  /// The source number lies beyond the device's.
  case noSuchSource(LISN, count: UInt32)
  /// The kernel's device maps from page offset 0 (at most 4 pages) and 4 (at most two a source) alone.
  case window(pageOffset: UInt64, pageCount: UInt64)
  /// A C caller passed a value that its parameter does not have; the parameter's name.
  case value(String, UInt64)
  /// No PHB has that index.
  case noSuchPHB(PHBIndex)
  /// A PHB with that index was added before.
  case phbExists(PHBIndex)
  /// A PHB has at least one interrupt and at most ``/XIVEModel/HardwareIRQ/maximumCount``.
  case phbShape(PHBIndex, PHBShape)
  /// There is no such PHB, or no such interrupt of it.
  case noSuchInterrupt(PHBIndex, HardwareIRQ)
  /// The interrupt does not take the operation: an LSI has a line, the others send messages.
  case operation(HardwareOperation, PHBIndex, HardwareIRQ)
  /// There is no such PHB, or it has fewer interrupts than the run needs.
  case noSuchInterrupts(PassthroughRun)
  /// The source was never created.
  case notCreated(LISN)
  /// A source of the run was never created, or it or its interrupt is mapped already.
  case cannotMap(PassthroughRun)
  /// The run, or a part of it, is not mapped so.
  case notMapped(PassthroughRun)
  /// The run has no interrupts.
  case emptyRun(PassthroughRun)
  /// The run does not lie within the sources of a guest's window.
  case outsideWindow(PassthroughRun, sources: Range<LISN>)
  /// The run's place in a guest's window, or a part of it, is taken by a run that is plugged.
  case plugged(PassthroughRun, over: PassthroughRun)
  /// The run is not what was plugged into a guest's window.
  case notPlugged(PassthroughRun)
  /// The system refuses to map pages in a guest's window, which is as it was.
  case plug(PassthroughRun, Errno)
  /// The system refuses to map pages in a guest's window, and to take back what it has mapped: the run counts
  /// as plugged.
  case halfPlugged(PassthroughRun, Errno)
  /// No page takes an exact access of that size there.
  case access(offset: UInt64, byteCount: Int)
  /// A vCPU, a queue, a route or guest memory was refused.
  case delivery(DeliveryError)
  /// The machine's set-up, or its state, was refused.
  case machine(MachineError)
  /// An irqfd, a line or a message was refused.
  case injection(InjectionError)
  /// A file with a saved state cannot be used, or a state in memory cannot be.
  case stateFile(String, StateFileError)
  /// A machine's state cannot be read from a device, or not be given to it.
  case state(MachineStateError)

  /// The error number that a C caller gets.
  public var errno: Errno {
    switch self {
    case .device(let error): error.errno
    case .notXIVE: .inappropriateIOCTLForDevice
    case .noSuchSource: .argListTooLong
    case .noSuchPHB, .noSuchInterrupt, .noSuchInterrupts, .notMapped, .notPlugged:
      .noSuchFileOrDirectory
    case .phbExists, .plugged: .fileExists
    case .plug(_, let error), .halfPlugged(_, let error): error
    case .phbShape(_, let shape): shape.irqCount == 0 ? .invalidArgument : .argListTooLong
    case .delivery(let error): error.errno
    case .machine(let error): error.errno
    case .injection(let error): error.errno
    case .stateFile(_, let error): error.errno
    case .state(let error): error.errno
    case .access, .window, .value, .operation, .notCreated, .cannotMap, .emptyRun, .outsideWindow:
      .invalidArgument
    }
  }

  /// One line for the user.
  public var description: String {
    switch self {
    case .device(let error): error.description
    case .notXIVE(let path): "\(path): is not a XIVE device: start one with xive serve \(path)"
    case .noSuchSource(let lisn, let count):
      "LISN \(lisn): this device has \(count) sources, numbered from 0"
    case .window(let offset, let count):
      "\(count) pages at page offset \(offset): the kernel's window has 4 TIMA pages at page offset 0 "
        + "and two ESB pages a source at page offset 4, each mapped from its start"
    case .value(let name, let value): "\(name): \(value) is not one of its values"
    case .noSuchPHB(let phb): "\(phb.words): does not exist: add it first"
    case .phbExists(let phb): "\(phb.words): exists already: remove it first"
    case .phbShape(let phb, let shape):
      "\(phb.words): \(shape.irqCount) interrupts: a PHB has 1 to \(HardwareIRQ.maximumCount)"
    case .noSuchInterrupt(let phb, let irq):
      "\(phb.words), interrupt \(irq.rawValue): there is no such PHB, or no such interrupt of it"
    case .operation(let operation, let phb, let irq):
      "\(phb.words), interrupt \(irq.rawValue): does not \(operation): an LSI has a line, others send messages"
    case .noSuchInterrupts(let run):
      "\(run.words): there is no such PHB, or it has fewer interrupts: add it, or map less"
    case .notCreated(let lisn): "LISN \(lisn): was never created: create it first"
    case .cannotMap(let run):
      "\(run.words): a source was never created, or it or its interrupt is mapped already: "
        + "create it, or unmap what is mapped"
    case .notMapped(let run):
      "\(run.words): not mapped so: unmap what was mapped"
    case .emptyRun(let run): "\(run.words): a run has at least one interrupt"
    case .outsideWindow(let run, let sources):
      "\(run.words): the window has LISNs from \(sources.lowerBound) to below \(sources.upperBound)"
    case .plugged(let run, let other):
      "\(run.words): in the way is \(other.words): unplug that first"
    case .notPlugged(let run): "\(run.words): not plugged so: unplug exactly what was plugged"
    case .plug(let run, let error): "\(run.words): the window stays as it was: \(error.words)"
    case .halfPlugged(let run, let error):
      "\(run.words): plugged in part, and has to be unplugged: \(error.words)"
    case .access(let offset, let count):
      "offset 0x\(String(offset, radix: 16)): takes no access of \(count) bytes: an ESB page takes 8, "
        + "a TIMA page 1, 2, 4 or 8, all of them aligned"
    case .delivery(let error): error.description
    case .machine(let error): error.description
    case .injection(let error): error.description
    case .stateFile(let path, let error): "\(path): \(error)"
    case .state(let error): error.description
    }
  }

  /// The words for an exact access that the device refused.
  static func refused(_ error: DeviceClientError, _ byteCount: Int) -> XIVEClientError {
    guard case .access(let offset, .invalidArgument) = error else { return .device(error) }
    return .access(offset: offset, byteCount: byteCount)
  }
}

extension Errno {
  /// The error of a mapping in a message.
  fileprivate var words: String {
    self == .noMemory ? "too many mappings: raise vm.max_map_count" : "\(self)"
  }
}

extension PHBIndex {
  /// The PHB in a message.
  var words: String { "PHB \(rawValue)" }
}

extension PassthroughRun {
  /// The run in a message.
  var words: String {
    guard count != 1 else {
      return "LISN \(firstLISN) on \(phb.words), interrupt \(firstIRQ.rawValue)"
    }
    guard count > 0 else { return "no LISN from \(firstLISN) on" }
    let lastLISN = String(UInt64(firstLISN.rawValue) + UInt64(count) - 1, radix: 16)
    let lastIRQ = UInt64(firstIRQ.rawValue) + UInt64(count) - 1
    return
      "LISNs \(firstLISN)-0x\(lastLISN) on \(phb.words), interrupts \(firstIRQ.rawValue)-\(lastIRQ)"
  }
}
