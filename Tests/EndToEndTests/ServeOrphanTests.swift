internal import Glibc
import SystemCalls
import Testing
import XIVETestSupport

@Suite("A server whose parent ends", .enabled(if: Requirement.canMount), .hangGuard)
struct ServeOrphanTests {
  @Test("With --exit-with-parent it unmounts and ends; the shell that started it is killed")
  func orphan() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/device"
    let words = ServedDevice.xive.joined(separator: " ")
    var shell = try ChildProcess("/bin/sh", ["-c", "\(words) \(path); true"])
    #expect(shell.line(within: 20_000) == "ready \(path)")
    #expect(MountTable.fileSystemType(at: path) == "fuse.xive")
    shell.signal(SIGKILL)
    #expect(shell.exitCode(within: 10_000) == 128 + SIGKILL)
    for _ in 0..<10_000 where MountTable.fileSystemType(at: path) != nil {
      MonotonicClock.sleep(nanoseconds: 1_000_000)
    }
    #expect(MountTable.fileSystemType(at: path) == nil)
  }
}
