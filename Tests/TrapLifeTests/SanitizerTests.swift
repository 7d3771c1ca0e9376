import Testing
import XIVETestSupport

@Suite(
  "Trapped windows under sanitizers",
  .enabled(
    if: Requirement.has("cc", package: "gcc") && Requirement.has("c++", package: "g++")
      && !Requirement.isSanitized),
  .serialized, .hangGuard)
struct SanitizerTests {
  /// Runs cases of a program; all that a sanitizer finds ends it.
  private func expect(_ build: borrowing LivingBuild, _ variables: String, _ cases: [String]) throws
  {
    #expect(!cases.isEmpty)
    for name in cases {
      try Living.expect(
        variables, [build.program, name], of: Requirement.path(of: "env") ?? "/usr/bin/env")
    }
  }

  /// Not those that measure stacks, which instrumented code has more of, nor those that need quick threads.
  private static let quick = Living.cases(onDevice: false).filter {
    $0 != "stack-depth" && !$0.hasPrefix("threads-") && $0 != "nested-timers"
      // Jumps out of the middle of the runtime leave its locks.
      && $0 != "nested-jumps" && $0 != "nested-sent-jumps"
  }

  @Test("The handler and its callers have no undefined behavior")
  func undefined() throws {
    let build = try LivingBuild(["-O1", "-fsanitize=undefined", "-fno-sanitize-recover=undefined"])
    try expect(build, "UBSAN_OPTIONS=print_stacktrace=1", Self.quick)
  }

  @Test("The handler and its callers touch no memory that is not theirs")
  func address() throws {
    let build = try LivingBuild(["-O1", "-fsanitize=address"])
    // The program's own handlers are judged, not the sanitizer's.
    let options = "handle_segv=0:handle_sigbus=0:use_sigaltstack=0:detect_leaks=0"
    try expect(build, "ASAN_OPTIONS=\(options)", Self.quick)
  }

  // Its runtime blocks all signals in every handler and puts off those that arrive: what is judged of masks and nested
  // handlers elsewhere does not hold there.
  @Test("Threads on windows that change have no data race")
  func thread() throws {
    let build = try LivingBuild(["-O1", "-fsanitize=thread"])
    try expect(
      build, "TSAN_OPTIONS=handle_segv=0:handle_sigbus=0", ["threads-one-page", "threads-changes"])
  }
}
