import Foundation
import SystemCalls
import Testing
import XIVETestSupport

/// Whether this processor's instructions are those that trapped windows know.
let hasTrappedWindows: Bool = {
  #if arch(x86_64)
  return true
  #else
  return Requirement.check(false, "trapped windows: only on x86-64")
  #endif
}()

@Suite(
  "Instructions on trapped windows",
  .enabled(if: hasTrappedWindows && Requirement.has("cc", package: "gcc")), .hangGuard)
struct InstructionTests {
  // MARK: - An assembler's list

  @Test("Every form leaves registers, flags and memory as the processor does, on a window too")
  func performed() throws {
    let forms = PerformedForms.all
    let counts = try run(forms, rounds: 8)
    let tried = UInt64(forms.count * 8)
    #expect(forms.count > 6500)
    #expect(counts["performed"] == tried)
    // Where another mapping or the system is in the way, an address without a register is out of reach.
    #expect(counts["compared", default: 0] > tried * 99 / 100, "\(counts)")
    #expect(counts["windows", default: 0] > tried * 99 / 100, "\(counts)")
  }

  @Test("No other instruction with an operand in memory is performed")
  func refused() throws {
    let forms = RefusedForms.all
    let counts = try run(forms, rounds: 2)
    #expect(forms.count > 1500)
    #expect(counts["performed"] == 0)
    #expect(counts["refused", default: 0] + counts["errors", default: 0] == UInt64(forms.count * 2))
  }

  /// Assembles a list, links it with the program that goes through it, and runs that.
  private func run(_ forms: [AssemblerForm], rounds: Int) throws -> [String: UInt64] {
    let directory = try TemporaryDirectory()
    let list = directory.path + "/list.s"
    try AssemblerForm.source(of: forms).write(toFile: list, atomically: false, encoding: .utf8)
    let program = try TrapProgram("forms", in: directory.path, [list], with: TrapProgram.trial)
    return try program.counts(["\(Seed.value)", "\(rounds)"])
  }

  // MARK: - Everything there is

  @Test(
    "Of all opcodes exactly those are performed that only load or store",
    .enabled(if: Requirement.has("objdump", package: "binutils")))
  func opcodes() throws {
    let directory = try TemporaryDirectory()
    let map = try OpcodeMap(in: directory.path)
    let program = try TrapProgram("opcodes", in: directory.path)
    let letters = try CommandResult.shell("\"$1\" <\"$2\"", program.path, map.path)
      .output.joined()
    let verdicts: [Character: Verdict] = [
      "P": .performed, "B": .busError, "R": .refused, "T": .refused,
    ]
    try #require(letters.count == map.texts.count)
    var differences: [String] = []
    var seen: [Verdict: Int] = [:]
    for (number, letter) in letters.enumerated() {
      let expected = OpcodeMap.verdict(of: map.texts[number])
      seen[expected, default: 0] += 1
      if verdicts[letter] != expected { differences.append("\(map.texts[number]): \(letter)") }
    }
    #expect(differences == [])
    #expect(seen[.performed, default: 0] > 1000 && seen[.busError, default: 0] > 300, "\(seen)")
  }

  @Test("Random bytes are performed as the processor does, or not at all")
  func fuzz() throws {
    let directory = try TemporaryDirectory()
    let program = try TrapProgram("fuzz", in: directory.path, with: TrapProgram.trial)
    let rounds = Requirement.environment("XIVE_FUZZ").flatMap { UInt64($0) } ?? 200_000
    let counts = try program.counts(["\(Seed.value)", "\(rounds)"])
    #expect(counts["tried"] == rounds)
    #expect(counts["compared", default: 0] > rounds / 5, "\(counts)")
    #expect(counts["windows", default: 0] > rounds / 5, "\(counts)")
    #expect(counts["refused", default: 0] > rounds / 4, "\(counts)")
    #expect(counts["errors", default: 0] > rounds / 200, "\(counts)")
    for kind in ["load", "store"] {
      for size in [1, 2, 4, 8] {
        #expect(counts["\(kind)\(size)", default: 0] > rounds / 1000, "\(counts)")
      }
    }
  }
}

/// A C program of these tests, compiled with the sources of the trap themselves.
struct TrapProgram {
  let path: String

  /// What executes instructions and compares.
  static let trial = ["trial", "stage", "executor"]

  /// Compiles `name.c` and others, and other files.
  init(
    _ name: String, in directory: String, _ files: [String] = [], with others: [String] = []
  ) throws {
    path = directory + "/" + name
    let trap = Built.sourceRoot + "/Sources/CTrap"
    let own = ([name] + others).map { Built.sourceRoot + "/Tests/TrapTests/Programs/\($0).c" }
    let parts = try FileManager.default.contentsOfDirectory(atPath: trap)
      .filter { $0.hasSuffix(".c") }.sorted().map { trap + "/" + $0 }
    let words = [
      "cc", "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-I", trap, "-I",
      trap + "/include", "-I", Built.sourceRoot + "/Sources/CXIVE/include", "-o", path,
    ]
    let result = try CommandResult(words + own + files + parts + ["-lZydis", "-lpthread"])
    try #require(result.exitCode == 0 && result.errors == [], "\(result.errors)")
  }

  /// Runs it and reads the counts off its last line: each a number behind a word.
  func counts(_ arguments: [String]) throws -> [String: UInt64] {
    let result = try CommandResult([path] + arguments, within: 3_600_000)
    #expect(result.errors == [], "\(Seed.comment)")
    #expect(result.exitCode == 0, "\(Seed.comment)")
    let words = (result.output.last ?? "").split(separator: " ").map(String.init)
    return Dictionary(
      zip(words, words.dropFirst()).compactMap { word, number in UInt64(number).map { (word, $0) }
      },
      uniquingKeysWith: { $1 })
  }
}
