import Testing
import XIVETestSupport

@Suite("The output of decode", .hangGuard)
struct DecodeOutputTests {
  @Test("What cannot be written is said in one line, and is no success")
  func full() throws {
    let script = "printf 'a line of nobody\\n' | \"$1\" trace decode >/dev/full"
    let result = try CommandResult.shell(script, Built.path("xive"))
    #expect(result.exitCode == 1)
    #expect(
      result.errors == ["xive: standard output: cannot be written: No space left on device"])
  }
}
