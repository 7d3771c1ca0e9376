import SystemCalls
import Testing
import XIVETestSupport

@Suite(
  "A debugger and trapped windows",
  .enabled(
    if: Requirement.has("gdb", package: "gdb") && Requirement.has("cc", package: "gcc")
      && Requirement.has("c++", package: "g++") && !Requirement.isSanitized),
  .serialized, .hangGuard)
struct DebuggerTests {
  /// What gdb says while it runs a case.
  private func debug(_ program: String, _ commands: [String]) throws -> [String] {
    let all = ["set debuginfod enabled off", "handle SIGSEGV nostop noprint pass"] + commands
    let options = ["-nx", "-batch", program] + all.flatMap { ["-ex", $0] }
    return try ProgramRun(
      Requirement.path(of: "gdb") ?? "gdb", options, within: Living.deadline
    ).lines
  }

  /// The number of accesses of the program.
  private static let count = "printf \"COUNT %lu\\n\", access_count"
  private static let place =
    "printf \"BEHIND %ld VALUE %lx\\n\", (long)$pc - (long)&stepped_next, $rax"

  @Test("stepi over a load, off a breakpoint too, lands behind it and performs it once")
  func instructions() throws {
    let build = try LivingBuild(["-O0"])
    let lines = try debug(
      build.program,
      [
        "break *(long)&stepped_access", "run step-debugged", "stepi", Self.place, Self.count,
        "continue", "stepi", Self.place, Self.count, "stepi",
        "printf \"THEN %ld\\n\", (long)$pc - (long)&stepped_next", "delete", "continue",
      ])
    let said = lines.filter { ["BEHIND", "COUNT", "THEN", "all "].contains(where: $0.hasPrefix) }
    #expect(
      said == [
        "BEHIND 0 VALUE 10000005a", "COUNT 1", "BEHIND 0 VALUE 10000005a", "COUNT 3", "THEN 1",
        "all as expected",
      ], "\(lines.joined(separator: "\n"))")
  }

  @Test("next over a line with a load stops behind the load and then behind the line")
  func sourceLines() throws {
    let build = try LivingBuild(["-O0"])
    let loaded = "printf \"LOADED %lx\\n\", loaded"
    let lines = try debug(
      build.program,
      [
        "break load_in_line", "run step-debugged", Self.count, "next", Self.count, "next", loaded,
        Self.count, "next", loaded, "delete", "continue",
      ])
    let said = lines.filter { ["LOADED", "COUNT", "all "].contains(where: $0.hasPrefix) }
    #expect(
      said == [
        "COUNT 1", "COUNT 2", "LOADED 20000005a", "COUNT 2", "LOADED 20000005b", "all as expected",
      ], "\(lines.joined(separator: "\n"))")
  }

  @Test(
    "Looking at a window shows the page's image, which is no access",
    .enabled(if: Requirement.canMount))
  func image() throws {
    let build = try LivingBuild(["-O0"])
    let served = try ServedDevice(["--sources", "64", "--create", "0-31"])
    let lines = try debug(
      build.program,
      [
        "break look", "run device-debugged \(served.path)", "x/1gx source + 4096 + 0x800",
        Self.count, "continue",
      ])
    // P alone, in the device's order.
    #expect(
      lines.contains { $0.hasSuffix(":\t0x0200000000000000") },
      "\(lines.joined(separator: "\n"))")
    #expect(lines.contains("COUNT 1"))
    #expect(lines.contains("all as expected"))
  }
}
