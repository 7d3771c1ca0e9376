internal import Glibc

/// Programs to run.
public enum Program {
  /// The path of the program that this process runs.
  public static var own: String {
    (try? MountTable.realPath("/proc/self/exe")) ?? CommandLine.arguments[0]
  }

  /// Finds a program as a shell would.
  /// - Parameter name: its name.
  /// - Returns: its path, or nil when no directory of `PATH` has it.
  public static func find(_ name: String) -> String? {
    (variable("PATH") ?? "/usr/bin:/bin").split(separator: ":").map { "\($0)/\(name)" }
      .first { unsafe access($0, X_OK) == 0 }
  }

  /// Reads a variable of the environment.
  /// - Parameter name: its name.
  /// - Returns: its value, or nil.
  public static func variable(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }
}
