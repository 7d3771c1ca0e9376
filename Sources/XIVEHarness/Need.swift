internal import CHarness
internal import Glibc
internal import SystemCalls

/// Something that a scenario needs and that a machine may not have.
public enum Need: String, Hashable, Sendable, CaseIterable {
  /// Device files can be mounted.
  case fuse
  /// A virtual machine can be made, on x86-64.
  case kvm
  /// QEMU for x86-64 is installed.
  case qemu
  /// Touches can trap: on x86-64.
  case trappedWindows = "trapped-windows"

  /// What is missing and how to get it; nil where the machine has it.
  public var whatIsMissing: String? {
    switch self {
    case .fuse:
      unsafe access("/dev/fuse", R_OK | W_OK) == 0
        ? nil : "/dev/fuse cannot be opened: run as root with fuse loaded"
    case .kvm:
      unsafe charness_guest_unavailable().map { unsafe String(cString: $0) }
    case .trappedWindows:
      #if arch(x86_64)
      nil
      #else
      "trapped windows need an x86-64 processor"
      #endif
    case .qemu:
      Program.find("qemu-system-x86_64") == nil
        ? "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86" : nil
    }
  }

  /// Whether a missing need is a failure rather than a reason to skip: `XIVE_REQUIRE_ALL=1`.
  public static var isRequired: Bool { Program.variable("XIVE_REQUIRE_ALL") == "1" }
}
