internal import Glibc

/// Something a test needs that a machine may not have.
///
/// A test that lacks it is skipped with the reason printed; with `XIVE_REQUIRE_ALL=1` it runs, and fails.
public enum Requirement {
  /// Whether a test can run: its requirement is met, or nothing may be skipped.
  /// - Parameters:
  ///   - isMet: whether the machine has it.
  ///   - reason: what is missing, and how to get it.
  /// - Returns: whether to run the test.
  public static func check(_ isMet: Bool, _ reason: String) -> Bool {
    if isMet { return true }
    let mayNotSkip = environment("XIVE_REQUIRE_ALL") == "1"
    print(mayNotSkip ? "required and missing: \(reason)" : "skipped: \(reason)")
    return mayNotSkip
  }

  /// Whether this machine can mount device files.
  public static var canMount: Bool {
    check(
      unsafe access("/dev/fuse", R_OK | W_OK) == 0,
      "/dev/fuse cannot be opened: run as root with fuse loaded")
  }

  /// Whether a program is installed.
  /// - Parameters:
  ///   - program: its name.
  ///   - package: the Debian package that has it.
  /// - Returns: whether to run the test.
  public static func has(_ program: String, package: String) -> Bool {
    check(path(of: program) != nil, "\(program) is not installed: apt-get install \(package)")
  }

  /// Finds a program.
  /// - Parameter program: its name.
  /// - Returns: its path, or nil.
  public static func path(of program: String) -> String? {
    (environment("PATH") ?? "/usr/bin:/bin").split(separator: ":")
      .map { "\($0)/\(program)" }.first { unsafe access($0, X_OK) == 0 }
  }

  /// Whether a sanitizer's runtime is in this process: it counts as memory, and takes signals for itself.
  public static let isSanitized = ["__asan_init", "__tsan_init"].contains { (name: String) in
    unsafe dlsym(nil, name) != nil
  }

  /// Whether this process can take faults on purpose.
  public static var canFault: Bool {
    if isSanitized { print("skipped: a sanitizer's runtime does not let its process take faults") }
    return !isSanitized
  }

  /// Whether touches of device files can trap.
  public static var canTrap: Bool {
    #if arch(x86_64)
    true
    #else
    check(false, "trapped windows need an x86-64 processor")
    #endif
  }

  /// Reads a variable of the environment.
  /// - Parameter name: its name.
  /// - Returns: its value, or nil.
  public static func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }
}
