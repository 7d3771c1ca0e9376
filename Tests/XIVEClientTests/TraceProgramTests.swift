import Testing
import XIVETestSupport

@Suite(
  "Trace records for C", .enabled(if: Requirement.canMount && !Compiler.all.isEmpty), .hangGuard)
struct TraceProgramTests {
  @Test(
    "A program that has nothing but the header reads records, as C and as C++",
    arguments: Compiler.all, ["-std=c11", "-xc++"])
  func program(_ compiler: Compiler, _ language: String) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/trace"
    let complaints = try compiler.compile(
      "Tests/XIVEClientTests/trace.c", to: program, language: language)
    #expect(complaints == [])
    let device = try ServedDevice(["--sources", "16", "--create", "0-3"])
    let (code, output) = try run(program, [device.path])
    #expect(output == ["all as expected"])
    #expect(code == 0)
  }
}
