internal import FoundationEssentials
internal import Glibc
internal import SystemCalls

/// A program that was run to its end, with what it wrote.
public struct CommandResult: Sendable {
  /// The exit code, or 128 plus the signal that ended it.
  public let exitCode: Int32
  /// The lines of its standard output.
  public let output: [String]
  /// The lines of its standard error.
  public let errors: [String]

  /// Runs a program and waits for its end.
  /// - Parameters:
  ///   - words: the program, found as a shell would find it, and its arguments.
  ///   - milliseconds: how long it may take.
  /// - Throws: ``SupportFailure`` for a missing program or one that does not end in time.
  public init(_ words: [String], within milliseconds: Int = 120_000) throws {
    guard let name = words.first,
      let program = name.contains("/") ? name : Requirement.path(of: name)
    else { throw SupportFailure("no such program: \(words)") }
    let directory = try TemporaryDirectory()
    let errorFile = directory.path + "/errors"
    var process = try ChildProcess(program, Array(words.dropFirst()), errors: errorFile)
    let deadline = MonotonicClock.nanoseconds + UInt64(milliseconds) * 1_000_000
    var lines: [String] = []
    while let line = process.line(within: Self.left(until: deadline)) { lines.append(line) }
    guard let code = process.exitCode(within: Self.left(until: deadline)) else {
      throw SupportFailure("\(words.joined(separator: " ")): no end in \(milliseconds) ms")
    }
    exitCode = code
    output = lines
    errors = try String(contentsOfFile: errorFile, encoding: .utf8)
      .split(separator: "\n").map(String.init)
  }

  /// Runs the `xive` command.
  /// - Parameter arguments: its arguments.
  /// - Returns: what became of it.
  /// - Throws: ``SupportFailure``.
  public static func xive(_ arguments: String...) throws -> CommandResult {
    try CommandResult([Built.path("xive")] + arguments)
  }

  /// Runs a shell script, ended at its first failing command.
  /// - Parameters:
  ///   - script: its text.
  ///   - arguments: `$1` and so on.
  /// - Returns: what became of it.
  /// - Throws: ``SupportFailure``.
  public static func shell(_ script: String, _ arguments: String...) throws -> CommandResult {
    try CommandResult(["/bin/sh", "-ec", script, "sh"] + arguments)
  }

  private static func left(until deadline: UInt64) -> Int {
    let now = MonotonicClock.nanoseconds
    return now < deadline ? Int((deadline - now) / 1_000_000) + 1 : 0
  }
}
