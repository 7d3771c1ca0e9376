import Testing
import XIVETestSupport

@Suite(
  "A VMM in C", .enabled(if: Requirement.canMount && Requirement.has("cc", package: "gcc")),
  .hangGuard)
struct VMMExampleTests {
  @Test(
    "It takes its interrupts with both sizes of pages, and so does the next one on the same device",
    arguments: Compiler.all, ["4k", "64k"])
  func vmm(_ compiler: Compiler, _ pageSize: String) throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/vmm"
    #expect(try compiler.compile("tools/examples/vmm.c", to: program) == [])
    var served = try ServedDevice(["--page-size", pageSize])
    for turn in 1...2 {
      let (code, output) = try run(program, [served.path])
      #expect(code == 0, "turn \(turn): \(output.joined(separator: "\n"))")
      #expect(output.last == "all as expected" && !output.contains { $0.contains("FAILED") })
    }
    #expect(try run(program, []).code == 64)
    #expect(try run(program, ["/nonexistent"]).code == 1)
    #expect(served.stop() == 0)
  }

  @Test("It says what a device that is too small refuses")
  func tooSmall() throws {
    let directory = try TemporaryDirectory()
    let program = directory.path + "/vmm"
    #expect(try Compiler.all[0].compile("tools/examples/vmm.c", to: program) == [])
    let small = try ServedDevice(["--sources", "32"])
    let (code, output) = try run(program, [small.path])
    #expect(code == 1 && output.last == "vmm: LSI: Argument list too long")
  }
}
