import SystemCalls
import Testing
import XIVETestSupport

@Suite(
  "Swift programs with trapped windows",
  .enabled(if: Requirement.canMount && !Requirement.isSanitized), .serialized, .hangGuard)
struct SwiftProgramTests {
  private func served() throws -> ServedDevice {
    try ServedDevice(["--sources", "64", "--create", "0-31"])
  }

  @Test("Tasks operate on sources through plain pointers")
  func tasks() throws {
    let served = try served()
    try Living.expect("tasks", [served.path], of: Built.path("TrapProgram"))
  }

  @Test("A crash is the runtime's to report")
  func crash() throws {
    let served = try served()
    let words = [
      "SWIFT_BACKTRACE=enable=yes,color=no", Built.path("TrapProgram"), "crash", served.path,
    ]
    let run = try ProgramRun(
      Requirement.path(of: "env") ?? "/usr/bin/env", words, within: Living.deadline)
    #expect(run.lines.contains("operated"), "\(run.text)")
    #expect(
      run.lines.contains { $0.contains("Bad pointer dereference at 0x0000000000001000") },
      "\(run.text)")
    #expect(run.lines.contains { $0.contains("faultOnPurpose") }, "\(run.text)")
    // SIGSEGV, after the report.
    #expect(run.exitCode == 139)
  }
}
