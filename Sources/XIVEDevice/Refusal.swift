internal import CXIVE
public import XIVEModel

/// Why a request was refused, where its error number alone would leave its author guessing.
public enum Refusal: Hashable, Sendable, CustomStringConvertible {
  /// The server cannot reach the memory of the caller, whose name this is: `EFAULT`.
  case unreachableMemory(of: String)
  /// The server may not take a descriptor of the caller's: `EPERM`.
  case untakenDescriptor(of: String)
  /// An eventfd without a resamplefd on a level-sensitive source: `EINVAL`.
  case neverLowered(LISN)
  /// A resamplefd on a message source: `EINVAL`.
  case neverResampled(LISN)
  /// An injection into a source that was never created: `EINVAL`.
  case noSource(LISN)
  /// An injection by number into a source that is mapped to hardware: `EINVAL`.
  case mappedToHardware(LISN)
  /// A message without a device's number: `EINVAL`.
  case messageWithoutDevice
  /// A number of sources that leaves out one that exists: `EBUSY`.
  case sourceBeyond(LISN)
  /// A number of sources or servers that differs from what was set: `EBUSY`.
  case sizeIsSet(String, Int)

  /// One line: what, why, and what to do.
  public var description: String {
    switch self {
    case .unreachableMemory(let caller):
      "\(caller): its memory cannot be reached (EFAULT): pass the value inline, by XIVE_SET_ATTR or XIVE_GET_ATTR"
    case .untakenDescriptor(let caller):
      "\(caller): its descriptor may not be taken (EPERM): let the server trace it (ptrace_scope, same user), or run "
        + "the server as root"
    case .neverLowered(let lisn):
      "irqfd on LISN \(lisn): an LSI's line that nothing would ever lower (EINVAL): assign it with "
        + "KVM_IRQFD_FLAG_RESAMPLE and a resamplefd"
    case .neverResampled(let lisn):
      "irqfd on LISN \(lisn): a resamplefd on a message source would never be raised (EINVAL): assign it without "
        + "KVM_IRQFD_FLAG_RESAMPLE, or create the source as an LSI"
    case .noSource(let lisn):
      "injection into LISN \(lisn): it was never created (EINVAL): create it by group 2, SOURCE, first"
    case .mappedToHardware(let lisn):
      "injection into LISN \(lisn): it is mapped to hardware, whose events come from there (EINVAL): unmap it first"
    case .messageWithoutDevice:
      "KVM_SIGNAL_MSI: routes are looked up by device (EINVAL): set KVM_MSI_VALID_DEVID and devid"
    case .sourceBeyond(let lisn):
      "NR_SOURCES: LISN \(lisn) exists and cannot be taken back (EBUSY): set a number above it, or serve a new device"
    case .sizeIsSet(let what, let count):
      "\(what) is \(count) and can be set once (EBUSY): RESET without vCPUs starts over"
    }
  }
}
