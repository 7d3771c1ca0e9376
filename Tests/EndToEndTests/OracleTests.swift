import Testing
import XIVETestSupport

/// The models that QEMU 7.2 has, compared live: operations on their memory and on a served device.
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

  @Test("The judge of routers is awake: it finds every planted fault and clears an equal")
  func routerSelfCheck() throws {
    let run = try ProgramRun(Self.oracle, ["--router", "--self-check", "--steps", "300"])
    #expect(run.exitCode == 0, "\(run.text)")
  }

  @Test(
    "Router and presenter do what QEMU's do: as recorded, case by case, and at random",
    .enabled(if: Requirement.canMount))
  func router() throws {
    let seed = Requirement.environment("XIVE_SEED").map { ["--seed", $0] } ?? []
    let vectors = Built.sourceRoot + "/Tests/Vectors/router-sequences.json"
    let run = try ProgramRun(
      Self.oracle,
      ["--router", "--serve", Built.path("xive"), "--vectors", vectors, "--tima", "4500"]
        + ["--steps", "500"] + seed)
    #expect(run.exitCode == 0, "\(run.text)")
    #expect(run.lines.count { $0.contains(" 0 differences;") } == 4, "\(run.text)")
  }
}
