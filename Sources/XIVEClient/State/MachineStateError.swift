public import SystemPackage

/// Why a machine's state cannot be read from a device, or not be given to it. Unless it says so nothing was changed.
public enum MachineStateError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The device differs from what the state needs: what, in which the two differ, and what to do.
  case differs(String, expected: String, found: String, remedy: String)
  /// Somebody had the machine run while its state was read.
  case ran
  /// The device refused a part in the middle: what had been changed by then, and the refusal. The machine has been
  /// left stopped.
  case incomplete(applied: String, refusal: String, Errno)
  /// A source of a stopped machine has changed in a way that no event explains: its number.
  case changed(UInt32)

  /// The error number that fits.
  public var errno: Errno {
    switch self {
    case .differs: .invalidArgument
    case .ran, .changed: .resourceBusy
    case .incomplete(_, _, let error): error
    }
  }

  /// One line for the user.
  public var description: String {
    switch self {
    case .differs(let what, let expected, let found, let remedy):
      "\(what): the saved state needs \(expected), this device has \(found): \(remedy)"
    case .ran:
      "the machine ran while its state was read: let one at a time save it or let it run"
    case .incomplete(let applied, let refusal, _):
      "refused in the middle: \(refusal): it has \(applied), and stays stopped: restore again"
    case .changed(let lisn):
      "source 0x\(String(lisn, radix: 16)): has changed as no event changes it: keep vCPUs from running, and "
        + "do not configure, while a machine moves"
    }
  }
}
