import SystemCalls
import Testing
import XIVETestSupport

@Suite("The model inside another program", .hangGuard)
struct EmbeddedTests {
  @Test("A device's messages reach one vCPU, its IPIs the other; what is queued is not lost")
  func output() throws {
    var program = try ChildProcess(Built.path("embedded"), [])
    var lines: [String] = []
    while let line = program.line(within: 20_000) { lines.append(line) }
    #expect(program.exitCode(within: 10_000) == 0)
    #expect(
      lines == [
        "the device sends two messages",
        "vCPU 1: priority 6, event 0x8",
        "vCPU 1: priority 6, event 0x8",
        "vCPU 0: priority 6, event 0x0",
        "vCPU 0: priority 6, event 0x0",
        "4 entries, 4 notified",
      ])
  }
}
