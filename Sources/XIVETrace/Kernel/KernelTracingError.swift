public import SystemPackage

/// Why what only the kernel knows cannot be had of a process.
public enum KernelTracingError: Error, Hashable, Sendable, CustomStringConvertible {
  /// There is no such process, or it is in a process namespace that cannot be seen from here.
  case noProcess(Int32)
  /// The setting `kernel.perf_event_paranoid` forbids it.
  case paranoid(Int)
  /// The process has rights that this one does not have; its user.
  case otherUser(Int32, userID: UInt32)
  /// The process may not be looked at, though it has the same user.
  case hidden(Int32)
  /// The system call itself is forbidden, as containers do by seccomp.
  case forbidden(Errno)
  /// This kernel has no such events: it was built without them, or is older than 5.13.
  case unsupported(Errno)
  /// The memory for samples was refused.
  case memory
  /// Events of all threads on all processors take more descriptors than there may be.
  case descriptors(count: Int)
  /// Anything else.
  case system(Int32, Errno)

  /// One line for the user.
  public var description: String {
    switch self {
    case .noProcess(let process):
      "process \(process): there is none that can be seen from here: give the number that it has in this process namespace"
    case .paranoid(let level):
      "kernel.perf_event_paranoid is \(level): needs 2 or less, or CAP_PERFMON"
    case .otherUser(let process, let userID):
      "process \(process) belongs to user \(userID): needs CAP_PERFMON, or that user"
    case .hidden(let process):
      "process \(process) may not be looked at (it has more rights, or is not dumpable): needs CAP_PERFMON"
    case .forbidden(let error):
      "perf_event_open is forbidden (\(error)), as containers do by seccomp: allow it, or trace from outside"
    case .unsupported(let error):
      "perf_event_open: \(error): needs Linux 5.13 or later with CONFIG_PERF_EVENTS"
    case .memory:
      "memory for samples was refused: raise kernel.perf_event_mlock_kb to 516 or more, or needs CAP_IPC_LOCK"
    case .descriptors(let count):
      "\(count) descriptors are too many: raise the limit of open files (ulimit -n)"
    case .system(let process, let error): "process \(process): \(error)"
    }
  }

  /// Finds what is missing.
  /// - Parameters:
  ///   - error: what `perf_event_open` said last, of the request that needs least.
  ///   - process: of which process.
  ///   - facts: what else is known.
  init(_ error: Errno, process: Int32, _ facts: Facts) {
    switch error {
    case .noSuchProcess: self = .noProcess(process)
    case .permissionDenied:
      if facts.paranoid > 2 {
        self = .paranoid(facts.paranoid)
      } else if let owner = facts.owner, owner != facts.user {
        self = .otherUser(process, userID: owner)
      } else {
        self = .hidden(process)
      }
    case .notPermitted: self = .forbidden(error)
    case .noFunction, .invalidArgument: self = .unsupported(error)
    case .noMemory: self = .memory
    case .tooManyOpenFiles: self = .descriptors(count: facts.descriptors)
    default: self = .system(process, error)
    }
  }

  /// What an error number does not tell.
  struct Facts: Hashable, Sendable {
    /// `kernel.perf_event_paranoid`.
    var paranoid: Int
    /// The process's user, nil when it is gone.
    var owner: UInt32?
    /// This process's user.
    var user: UInt32
    /// The descriptors that were wanted.
    var descriptors: Int
  }
}

/// What is missing from what the kernel tells, though the rest goes on.
public enum KernelTracingLimit: Hashable, Sendable, CustomStringConvertible {
  /// The tracepoints cannot be used: no tracefs, or no permission.
  case noTracepoints
  /// Faults in the kernel's own code are not seen; the setting.
  case inProcessOnly(paranoid: Int)
  /// The kernel found no room for so many samples.
  case lost(UInt64)
  /// The process's mappings could not be read to the end: it is stuck in a change of them.
  case stuck(Int32)

  /// One line for the user.
  public var description: String {
    switch self {
    case .noTracepoints:
      "tracepoints exceptions:page_fault_*: cannot be used: write or read is taken from the instructions: "
        + "needs CAP_PERFMON and a tracefs that can be read"
    case .inProcessOnly(let level):
      "kernel.perf_event_paranoid is \(level): faults in the kernel's own code are not seen: needs 1 or less, "
        + "or CAP_PERFMON"
    case .lost(let count):
      "\(count) samples of page faults were lost: the process faults faster than they are read"
    case .stuck(let process):
      "process \(process): does not let its mappings be read: its last faults are not placed"
    }
  }
}
