import Testing
import XIVETestSupport

/// The order of overmap and unmap, checked in all interleavings of a model.
@Suite(
  "The model of overmap and unmap",
  .enabled(if: Requirement.has("spin", package: "spin")),
  .enabled(if: Requirement.has("gcc", package: "gcc")), .hangGuard)
struct ModelCheckTests {
  private static let checks = [
    "every wait ends", "overmap", "two operators",
    "zap first", "alias not zapped", "zap in the handler", "no gate",
  ]

  @Test("The design has no error, and each wrong design has its own")
  func quick() throws {
    let run = try ProgramRun(
      Built.sourceRoot + "/tools/spec/check", ["--quick"], within: 120_000)
    #expect(run.exitCode == 0, "\(run.text)")
    #expect(run.lines.map { $0.prefix { $0 != ":" } }.map(String.init) == Self.checks)
    #expect(run.lines.prefix(3).allSatisfy { $0.hasSuffix(" states, no error") }, "\(run.text)")
    #expect(run.lines.dropFirst(3).allSatisfy { $0.hasSuffix("as it must be") }, "\(run.text)")
  }
}
