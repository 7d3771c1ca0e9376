import Testing
import XIVETestSupport

/// A program among the examples, in C.
enum Example {
  /// Compiles one with nothing but `xive.h`, without a warning.
  /// - Parameters:
  ///   - name: its file's, without `.c`.
  ///   - directory: where the program is put.
  /// - Returns: the program's path.
  /// - Throws: the error of starting the compiler.
  static func compile(_ name: String, in directory: borrowing TemporaryDirectory) throws -> String {
    let program = "\(directory.path)/\(name)"
    let root = Built.sourceRoot
    let compiled = try ProgramRun(
      "/usr/bin/cc",
      [
        "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-I", root + "/Sources/CXIVE/include",
        "-o", program, "\(root)/tools/examples/\(name).c",
      ])
    #expect(compiled.exitCode == 0, "\(compiled.text)")
    return program
  }
}
