import Testing
import XIVETestSupport

/// The model that QEMU 7.2 has, compared live: random operations on its memory and on a served device.
@Suite(
  "QEMU's model as the judge",
  .enabled(if: Requirement.has("qemu-system-ppc64", package: "qemu-system-ppc")),
  .enabled(if: Requirement.has("python3", package: "python3")), .hangGuard)
struct OracleTests {
  private static let oracle = Built.sourceRoot + "/tools/oracle/oracle.py"

  @Test("The judge is awake: it finds every wrong model and clears the right one")
  func selfCheck() throws {
    let run = try ProgramRun(Self.oracle, ["--self-check"])
    #expect(run.exitCode == 0, "\(run.text)")
  }

  @Test(
    "Random operations give what QEMU gives, in each shape of ESB pages",
    .enabled(if: Requirement.canMount))
  func random() throws {
    let seed = Requirement.environment("XIVE_SEED").map { ["--seed", $0] } ?? []
    let run = try ProgramRun(
      Self.oracle, ["--serve", Built.path("xive"), "--all", "--steps", "1000"] + seed)
    #expect(run.exitCode == 0, "\(run.text)")
    #expect(run.lines.count { $0.hasSuffix(" 0 differences") } == 8, "\(run.text)")
  }
}
