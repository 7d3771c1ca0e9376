internal import Glibc
internal import SystemCalls
import Testing
import XIVETestSupport

@Suite("A server that is killed", .enabled(if: Requirement.canMount), .hangGuard)
struct KilledServerTests {
  @Test("A consumer is freed when the server dies while it waits for a page that is never filled")
  func killedInNotification() throws {
    var device = try ServedDevice(program: [Built.path("StuckServer")])
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("map 0 0 0 8192 r shared")
    try consumer.expect("load 0 0 8")
    consumer.send("load 0 4096 8")
    // The server's notifier waits for the fill now, in the kernel.
    MonotonicClock.sleep(nanoseconds: 300_000_000)
    device.signal(SIGKILL)
    #expect(try consumer.answer(within: 10_000).hasPrefix("sigbus"))
    #expect(device.exitCode(within: 10_000) == 128 + SIGKILL)
    #expect(try consumer.ask("pread 0 0 8").hasPrefix("errno ENOTCONN"))
  }

  @Test("It ends although its main thread waits for a page of its own file")
  func killedInMainThread() throws {
    var device = try ServedDevice(["stuck-main"], program: [Built.path("StuckServer")])
    MonotonicClock.sleep(nanoseconds: 300_000_000)
    device.signal(SIGKILL)
    #expect(device.exitCode(within: 10_000) == 128 + SIGKILL)
  }

  @Test("It frees its consumers when it crashes there, too", arguments: [SIGABRT, SIGSEGV])
  func crashed(_ signal: Int32) throws {
    var device = try ServedDevice(program: [Built.path("StuckServer")])
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("map 0 0 0 8192 r shared")
    consumer.send("load 0 4096 8")
    MonotonicClock.sleep(nanoseconds: 300_000_000)
    device.signal(signal)
    #expect(try consumer.answer(within: 10_000).hasPrefix("sigbus"))
    #expect(device.exitCode(within: 10_000) == 128 + signal)
  }

  @Test("The first test sees the hang: without the watchdog nobody is freed")
  func withoutWatchdog() throws {
    var device = try ServedDevice(["no-watchdog"], program: [Built.path("StuckServer")])
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("map 0 0 0 8192 r shared")
    consumer.send("load 0 4096 8")
    MonotonicClock.sleep(nanoseconds: 300_000_000)
    device.signal(SIGKILL)
    #expect(throws: SupportFailure.self) { try consumer.answer(within: 1_000) }
    #expect(device.exitCode(within: 100) == nil)
    // What an administrator would do; the mount is gone and everybody is freed.
    #expect(throws: Never.self) { try MountTable.abortConnection(device.path) }
    #expect(try consumer.answer(within: 10_000).hasPrefix("sigbus"))
    #expect(device.exitCode(within: 10_000) == 128 + SIGKILL)
  }
}
