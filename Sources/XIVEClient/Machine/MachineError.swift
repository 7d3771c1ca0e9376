public import SystemPackage
public import XIVEModel

/// Why the machine's set-up, or its state, was refused.
public enum MachineError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The number of sources cannot be that, or not any more; and the most that it can be.
  case sourceCount(UInt32, limit: UInt32, Errno)
  /// A window cannot be at that guest-physical address, or not any more.
  case address(AddressWindow, UInt64, Errno)
  /// The device refuses to stop or to run.
  case running(Bool, Errno)
  /// The state of the sources from one on cannot be read, or not be set so.
  case sourceState(from: LISN, Errno)
  /// The state of a server's vCPU cannot be read, or not be set.
  case vpState(Server, Errno)

  /// The error number that a C caller gets.
  public var errno: Errno {
    switch self {
    case .sourceCount(_, _, let error), .address(_, _, let error), .running(_, let error),
      .sourceState(_, let error), .vpState(_, let error):
      error
    }
  }

  /// One line for the user.
  public var description: String {
    switch self {
    case .sourceCount(let count, let limit, let error):
      "\(count) sources: \(error.sourceCountReason(limit))"
    case .address(let window, _, .noSuchAddressOrDevice):
      "\(window) window: has no address: set it first"
    case .address(let window, let address, let error):
      "\(window) window at 0x\(String(address, radix: 16)): \(error.addressReason(window))"
    case .running(let isRunning, let error):
      "the machine cannot be \(isRunning ? "resumed" : "stopped"): \(error.machineReason)"
    case .sourceState(let first, let error):
      "state of the sources from LISN \(first) on: \(error.stateReason)"
    case .vpState(let server, let error):
      "state of server \(server.rawValue): \(error.vpReason)"
    }
  }
}

extension Errno {
  fileprivate func sourceCountReason(_ limit: UInt32) -> String {
    switch self {
    case .argListTooLong: "this device was started with \(limit): set at most that"
    case .resourceBusy:
      "another number is set, or a source beyond it was created: set it once, before the sources"
    case .invalidArgument: "a device has at least one"
    default: machineReason
    }
  }

  fileprivate func addressReason(_ window: AddressWindow) -> String {
    switch self {
    case .invalidArgument:
      "must be aligned to the device page, end below 2^64, and not overlap the \(window.other) window"
    case .fileExists:
      "it is set already: it is set once, and a reset with no vCPU connected forgets it"
    case .resourceBusy: "a vCPU has connected: set it before the first does"
    default: machineReason
    }
  }

  fileprivate var stateReason: String {
    switch self {
    case .invalidArgument:
      "a record does not fit this machine: its sources, servers and mappings to PHBs must be as they were when "
        + "it was read"
    case .resourceBusy:
      "irqfds share the line of a source that would be none any more: deassign them first"
    default: machineReason
    }
  }

  fileprivate var vpReason: String {
    switch self {
    case .noSuchAddressOrDevice: "no descriptor is connected as it: connect one first"
    case .invalidArgument: "all but the state itself must be 0"
    case .badAddress:
      "the server may not reach this process's memory: ask by vpState(of:), which needs none of it"
    default: machineReason
    }
  }

  fileprivate var machineReason: String {
    self == .badFileDescriptor
      ? "the device is not open for writing: open it so" : "refused: \(self)"
  }
}
