import SystemCalls
import SystemPackage
import Testing
import XIVETestSupport

@Suite("System calls", .hangGuard)
struct SystemCallsTests {
  @Test("A payload shorter than its request's number says is the caller's bug")
  func shortPayload() async {
    await #expect(processExitsWith: .failure) {
      let file = try OwnedDescriptor(opening: "/dev/null", .readWrite)
      // 128 bytes, as XIVE_GET_ATTR has them.
      var payload = [UInt8](repeating: 0, count: 127)
      try file.control(0xc080_5802, &payload)
    }
  }

  @Test("A payload of the right size reaches the file, which may not know the request")
  func unknownRequest() throws {
    let file = try OwnedDescriptor(opening: "/dev/null", .readWrite)
    var payload = [UInt8](repeating: 0, count: 128)
    #expect(throws: Errno.inappropriateIOCTLForDevice) { try file.control(0xc080_5802, &payload) }
  }

  @Test("A child that has gone hears nothing, does no harm, and keeps its exit code")
  func endedChild() throws {
    var child = try ChildProcess("/bin/sh", ["-c", "exit 7"])
    #expect(child.exitCode(within: 10_000) == 7)
    // Without care the first of these would raise SIGPIPE, and end this process.
    for _ in 0..<3 { child.send("is anybody there?") }
    child.signal(15)
    #expect(child.exitCode(within: 0) == 7)
    #expect(child.line(within: 1_000) == nil)
  }
}
