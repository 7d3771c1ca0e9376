import Glibc
import SystemCalls
import Testing
import XIVETestSupport

@Suite(
  "A server that was killed or is stuck", .enabled(if: Requirement.canMount),
  .hangGuard)
struct ServeDeathTests {
  @Test("Killed, it leaves its consumers warm pages, SIGBUS and ENOTCONN; a new one takes over")
  func killed() throws {
    var device = try ServedDevice(["--create", "0-15"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 16 << 13)
    try consumer.setPQ(0, 2)
    #expect(try consumer.mapped(0, 0x1800) == 2)
    try consumer.storeMapped(0, 0x2000)
    device.signal(SIGKILL)
    #expect(device.exitCode() == 128 + SIGKILL)
    try expectOrphaned(&consumer)
    try device.restart(["--create", "0-15"])
    let lines = device.errors.split(separator: "\n")
    #expect(lines.count == 1)
    #expect(lines.first?.contains("cleaned up the stale mount of a killed server") == true)
    #expect(lines.first?.contains(device.path) == true)
    var newer = try Consumer(opening: device.path)
    #expect(try newer.pq(0) == 1)
    #expect(
      try consumer.ask("pread 0 \(triggerPage(0)) 8").hasPrefix("errno ENOTCONN"),
      "an old descriptor stays with the dead server")
    #expect(device.stop() == 0)
    #expect(device.isMounted == false)
  }

  @Test("Killed under load, it never leaves a consumer waiting, many times")
  func killedUnderLoad() throws {
    var device = try ServedDevice(["--create", "0-63"])
    for round in 0..<8 {
      // More stores than fit in the time, and few enough that they soon end in a signal each once the
      // server is dead.
      var load = try Load(on: device.path, milliseconds: 400, stores: 50_000)
      usleep(UInt32(40_000 + round * 17_000))
      device.signal(SIGKILL)
      #expect(device.exitCode() == 128 + SIGKILL)
      for answer in [
        try load.faulting.answer(), try load.storing.answer(), try load.setting.answer(),
      ] {
        #expect(answer.hasPrefix("ok "))
      }
      #expect(try load.faulting.ask("pread 0 0 8").hasPrefix("errno ENOTCONN"))
      try device.restart(["--create", "0-63"])
    }
  }

  @Test("Several stale mounts on one path are all cleaned up")
  func staleTwice() throws {
    var device = try ServedDevice(["--create", "0"])
    device.signal(SIGKILL)
    #expect(device.exitCode() == 128 + SIGKILL)
    #expect(device.isMounted == true)
    try device.restart(["--create", "0"])
    device.signal(SIGKILL)
    #expect(device.exitCode() == 128 + SIGKILL)
    try device.restart(["--create", "0"])
    #expect(device.stop() == 0)
    #expect(device.isMounted == false)
  }

  @Test("A second server on the path is refused while the first lives")
  func second() throws {
    var device = try ServedDevice(["--create", "0"])
    let result = try CommandResult.xive("serve", device.path)
    #expect(result.exitCode == 69)
    #expect(result.output == [])
    #expect(result.errors.count == 1)
    #expect(result.errors.first?.contains("is being served already") == true)
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.pq(0) == 1)
    #expect(device.stop() == 0)
  }

  @Test("A server that does not answer is named, with the remedy, and goes on when it can")
  func stopped() throws {
    var device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(0))
    try device.suspend()
    let result = try CommandResult.xive("serve", device.path)
    #expect(result.exitCode == 69)
    #expect(result.errors.count == 1)
    #expect(result.errors.first?.contains("does not answer") == true)
    #expect(result.errors.first?.contains("umount -l \(device.path)") == true)
    consumer.send("load 0 0x800 8")
    device.signal(SIGCONT)
    #expect(try consumer.answer() == "ok 0x1")
    #expect(device.stop() == 0)
  }

  @Test("A consumer that waits for a stopped server can be killed, and so can the server")
  func stoppedAndKilled() throws {
    var device = try ServedDevice(["--create", "0-1"])
    var waiting = try Consumer(opening: device.path)
    var other = try Consumer(opening: device.path)
    try waiting.map(0, at: managementPage(0))
    try other.map(0, at: managementPage(1))
    try device.suspend()
    waiting.send("load 0 0x800 8")
    other.send("load 0 0x808 8")
    usleep(20_000)
    waiting.signal(SIGKILL)
    #expect(waiting.exitCode() == 128 + SIGKILL)
    device.signal(SIGKILL)
    #expect(device.exitCode() == 128 + SIGKILL)
    let answer = try other.answer()
    #expect(answer == "sigbus code=2 address=0x808")
  }
}
