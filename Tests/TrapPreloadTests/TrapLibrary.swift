import Glibc
import SystemCalls
import Testing
import XIVETestSupport

/// The library under test, built once per run beside the other products, and C programs that use it.
enum TrapLibrary {
  /// Whether it can be built, and windows trap on this processor.
  static var canBuild: Bool {
    #if arch(x86_64)
    Requirement.canMount && Requirement.has("cc", package: "gcc")
      && Requirement.check(
        unsafe access("/usr/include/Zydis/Zydis.h", R_OK) == 0,
        "Zydis is not installed: apt-get install libzydis-dev")
    #else
    Requirement.check(false, "windows trap on x86-64 only")
    #endif
  }

  /// Where it is, as a linker and as a loader look for it.
  static let directory: String = {
    let directory = Built.directory + "/trap-preload"
    let library = directory + "/libxive-trap.so.0"
    let built = try? CommandResult.shell(
      "mkdir -p \"$1\"; \"$3/tools/trap\" \"$2\"; ln -sfn libxive-trap.so.0 \"$1/libxive-trap.so\"",
      directory, library, Built.sourceRoot)
    if built?.exitCode != 0 { Issue.record("tools/trap: \(built?.errors ?? [])") }
    return directory
  }()

  /// The library's file.
  static var path: String { directory + "/libxive-trap.so.0" }

  private static let strict = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]
  private static let headers = [
    "-I", Built.sourceRoot + "/Sources/CXIVE/include",
    "-I", Built.sourceRoot + "/Sources/CTrapPreload/include",
  ]

  /// Compiles a C program of the source tree.
  /// - Parameters:
  ///   - source: its path in the tree.
  ///   - program: what it becomes.
  ///   - isLinked: with the library.
  /// - Throws: when the compiler cannot be started.
  static func compile(_ source: String, to program: String, isLinked: Bool) throws {
    let link = isLinked ? ["-L", directory, "-lxive-trap", "-Wl,-rpath,\(directory)"] : []
    let words = ["cc"] + strict + headers + ["-o", program, "\(Built.sourceRoot)/\(source)"] + link
    let compiled = try CommandResult(words)
    #expect(compiled.exitCode == 0, "\(compiled.errors.joined(separator: "\n"))")
  }

  /// Runs a program that the library is loaded into, standard error behind standard output.
  /// - Parameters:
  ///   - words: the program and its arguments.
  ///   - choice: the value of `XIVE_TRAP`, if there is to be one.
  /// - Returns: what became of it.
  /// - Throws: when it cannot be started.
  static func preloaded(_ words: [String], choice: String? = nil) throws -> ProgramRun {
    let variables = ["LD_PRELOAD=\(path)"] + (choice.map { ["XIVE_TRAP=\($0)"] } ?? [])
    return try ProgramRun("/usr/bin/env", variables + words)
  }
}

/// What `XIVE_TRAP` may be, with which kinds of pages trap then.
struct TrapChoice: CustomTestStringConvertible, Sendable {
  let value: String?
  let tima: Bool
  let esb: Bool
  var testDescription: String { "XIVE_TRAP=\(value ?? " not set")" }

  static let all = [
    TrapChoice(value: nil, tima: true, esb: true),
    TrapChoice(value: "esb,tima", tima: true, esb: true),
    TrapChoice(value: "tima,esb", tima: true, esb: true),
    TrapChoice(value: "esb", tima: false, esb: true),
    TrapChoice(value: "tima", tima: true, esb: false),
  ]
  static let misspelt = ["", "ESB", "esb,", "esb;tima", "esb,timas", " esb"].map {
    TrapChoice(value: $0, tima: true, esb: true)
  }
  /// What is said of a value that is none.
  static let complaint =
    "xive: XIVE_TRAP is none of esb, tima and esb,tima: the windows of both kinds trap"

  /// The letters of the kinds, as `kinds.c` takes them.
  var letters: String { (tima ? "t" : "") + (esb ? "e" : "") }
}
