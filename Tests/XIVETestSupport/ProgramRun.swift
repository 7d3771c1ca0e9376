internal import SystemCalls

/// A program that ran to its end.
public struct ProgramRun {
  /// Its exit code, 128 plus a signal, or nil when it did not end in time.
  public let exitCode: Int32?
  /// The lines that it printed on standard output and standard error.
  public let lines: [String]

  /// Runs a program.
  /// - Parameters:
  ///   - program: its path.
  ///   - arguments: without the program's name.
  ///   - milliseconds: how long each of its lines may take.
  /// - Throws: the error of starting it.
  public init(_ program: String, _ arguments: [String], within milliseconds: Int = 60_000) throws {
    let shell = ["-c", "exec \"$0\" \"$@\" 2>&1", program]
    var process = try ChildProcess("/bin/sh", shell + arguments)
    var lines: [String] = []
    while let line = process.line(within: milliseconds) { lines.append(line) }
    self.lines = lines
    exitCode = process.exitCode(within: 60_000)
  }

  /// All lines, for a failure's comment.
  public var text: String { lines.joined(separator: "\n") }
}
