import Glibc
import SystemCalls
import Testing
import XIVETestSupport

/// The program whose cases live with trapped windows.
enum Living {
  static let program = Built.path("TrapLife")

  /// The names of its cases, those on a device (or not).
  static func cases(onDevice: Bool) -> [String] {
    let all = (try? ProgramRun(program, []).lines) ?? []
    return all.filter { $0.hasPrefix("device-") == onDevice }
  }

  /// Far beyond what a case takes: on a busy machine sixteen threads wait long for their turns.
  static let deadline = 600_000

  /// Runs a case in a process of its own.
  static func expect(
    _ name: String, _ more: [String] = [], of program: String = Living.program,
    _ location: SourceLocation = #_sourceLocation
  ) throws {
    // The package's products have Swift's runtime, whose handlers of crashes would be the program's own.
    let run = try ProgramRun(
      "/usr/bin/env", ["SWIFT_BACKTRACE=enable=no", program, name] + more, within: deadline)
    #expect(run.lines.last == "all as expected", "\(name): \(run.text)", sourceLocation: location)
    #expect(run.exitCode == 0, "\(name)", sourceLocation: location)
  }
}

/// The program, compiled again by other compilers with other options.
struct LivingBuild: ~Copyable {
  let program: String
  private let directory: TemporaryDirectory

  /// - Parameter options: of both compilers.
  /// - Throws: ``SupportFailure`` with what a compiler complains about.
  init(_ options: [String]) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/living"
    let root = Built.sourceRoot
    let script = """
      set -e
      cd "$1"; out="$2"; shift 2
      include="-ISources/CTrap -ISources/CTrap/include -ISources/CXIVE/include"
      c++ -std=gnu++17 -g -Wall -Wextra -Werror -fnon-call-exceptions "$@" $include \
        -c -o "$out.throw.o" Tests/TrapLife/living_throw.cc
      cc -std=gnu11 -g -Wall -Wextra -Werror "$@" $include -o "$out" \
        Tests/TrapLife/*.c Sources/CTrap/*.c "$out.throw.o" -lZydis -lpthread -lstdc++
      """
    let compiled = try CommandResult(["/bin/sh", "-c", script, "sh", root, program] + options)
    guard compiled.exitCode == 0 else {
      throw SupportFailure(compiled.errors.joined(separator: "\n"))
    }
    self.directory = directory
    self.program = program
  }
}
