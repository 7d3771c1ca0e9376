import Glibc
import Testing
import XIVETestSupport

@Suite("A server's life", .enabled(if: Requirement.canMount), .hangGuard)
struct ServeLifeTests {
  @Test(
    "SIGTERM and SIGINT end it: exit 0, nothing mounted, nothing said",
    arguments: [SIGTERM, SIGINT])
  func signals(_ signal: Int32) throws {
    var device = try ServedDevice(["--create", "0-3"])
    #expect(device.isMounted == true)
    device.signal(signal)
    #expect(device.exitCode() == 0)
    #expect(device.isMounted == false)
    #expect(device.errors == "")
    let file = try CommandResult(["stat", "-c", "%s %F", device.path])
    #expect(file.output == ["0 regular empty file"], "the file below is there again")
  }

  @Test("SIGHUP and SIGPIPE do not end it", arguments: [SIGHUP, SIGPIPE])
  func ignored(_ signal: Int32) throws {
    var device = try ServedDevice(["--create", "0"])
    device.signal(signal)
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.pq(0) == 1)
    #expect(device.stop() == 0)
  }

  @Test(
    "A consumer that is left keeps its warm pages, gets SIGBUS on cold ones and ENOTCONN otherwise")
  func consumers() throws {
    var device = try ServedDevice(["--create", "0-15"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 16 << 13)
    try consumer.setPQ(0, 2)
    #expect(try consumer.mapped(0, 0x1800) == 2)
    try consumer.storeMapped(0, 0x2000)
    #expect(device.stop() == 0)
    #expect(device.isMounted == false)
    try expectOrphaned(&consumer)
  }

  @Test("Stores to mappings are delivered before the end")
  func lastStores() throws {
    var device = try ServedDevice(["--create", "0-63", "--tick", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 64 << 13)
    #expect(try consumer.expect("threads 1 64 store 0 0x1c00 0x2000 8").hasPrefix("sigbus=0"))
    #expect(try consumer.mapped(0, 0x1c00) == 0)
    #expect(device.stop() == 0)
    // The last thing that the server did was to put the slots back, which follows delivery.
    for lisn in 0..<UInt64(64) {
      #expect(try consumer.mapped(0, lisn << 13 | 0x1c00) == allOnes)
      #expect(try consumer.mapped(0, lisn << 13 | 0x1800) == 0)
    }
  }

  @Test("It ends while consumers fault, store and set PQ without a pause, many times")
  func underLoad() throws {
    var device = try ServedDevice(["--create", "0-63"])
    for round in 0..<8 {
      var load = try Load(on: device.path, milliseconds: 60_000, stores: 20_000_000)
      usleep(UInt32(40_000 + round * 17_000))
      #expect(device.stop() == 0)
      #expect(device.isMounted == false)
      load.faulting.signal(SIGKILL)
      load.storing.signal(SIGKILL)
      load.setting.signal(SIGKILL)
      #expect(load.faulting.exitCode() != nil)
      #expect(load.storing.exitCode() != nil)
      #expect(load.setting.exitCode() != nil)
      try device.restart(["--create", "0-63"])
    }
  }

  @Test("It ends while a request waits for a page of the device")
  func duringRequests() throws {
    var device = try ServedDevice(["--create", "0-255", "--threads", "2"])
    for _ in 0..<10 {
      var first = try Consumer(opening: device.path)
      var second = try Consumer(opening: device.path)
      try first.map(0, at: triggerPage(0), 256 << 13)
      try second.map(0, at: triggerPage(0), 256 << 13)
      for lisn in 0..<UInt64(100) {
        first.send("attr 0 set 2 255 page:0:\(lisn << 13 | 0x1800)")
        second.send("attr 0 set 2 255 page:0:\((255 - lisn) << 13 | 0x1800)")
      }
      #expect(try first.answer() == "ok")
      #expect(device.stop() == 0)
      first.signal(SIGKILL)
      second.signal(SIGKILL)
      #expect(first.exitCode() != nil)
      #expect(second.exitCode() != nil)
      try device.restart(["--create", "0-255", "--threads", "2"])
    }
  }

  @Test("A service manager hears that it is ready, and that it stops", arguments: [false, true])
  func notification(_ isAbstract: Bool) throws {
    let socket = try NotifySocket(isAbstract: isAbstract)
    var device = try ServedDevice(
      program: ["/usr/bin/env", "NOTIFY_SOCKET=\(socket.name)", Built.path("xive"), "serve"])
    #expect(socket.receive() == "READY=1")
    #expect(device.stop() == 0)
    #expect(socket.receive() == "STOPPING=1")
  }

  @Test("A service manager that has gone does no harm")
  func noManager() throws {
    var device = try ServedDevice(
      program: ["/usr/bin/env", "NOTIFY_SOCKET=/nowhere", Built.path("xive"), "serve"])
    #expect(device.stop() == 0)
    #expect(device.errors == "")
  }

  @Test(
    "Unmounted from outside it ends by itself: exit 0 and a notice", arguments: ["-l", "-f", "-lf"])
  func unmounted(_ option: String) throws {
    var device = try ServedDevice(["--create", "0-3"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 4 << 13)
    _ = try consumer.mapped(0, 0)
    _ = try CommandResult(["umount", option, device.path])
    #expect(device.exitCode() == 0)
    #expect(device.errors.contains("unmounted from outside"))
    #expect(device.errors.split(separator: "\n").count == 1)
    #expect(device.isMounted == false)
    #expect(try consumer.ask("load 0 0x4800 8").hasPrefix("sigbus"))
    #expect(try consumer.ask("pread 0 \(triggerPage(0)) 8").hasPrefix("errno ENOTCONN"))
    try device.restart()
    #expect(device.stop() == 0)
  }

  @Test("A mount over the served file is left alone, and does not end the server")
  func covered() throws {
    var device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    let cover = try CommandResult.shell("mount --bind /etc/hostname \"$1\"", device.path)
    try #require(cover.exitCode == 0)
    #expect(try consumer.pq(0) == 1)
    #expect(device.exitCode(within: 200) == nil)
    #expect(try CommandResult(["umount", device.path]).exitCode == 0)
    #expect(try consumer.pq(0) == 1)
    #expect(device.stop() == 0)
  }
}

/// Checks what a consumer sees whose server has gone: page 1 of mapping 0 is warm, page 9 is cold.
func expectOrphaned(_ consumer: inout Consumer) throws {
  #expect(try consumer.mapped(0, 0x1800) == 2, "a warm page stays readable")
  #expect(try consumer.ask("load 0 0x9800 8") == "sigbus code=2 address=0x9800")
  #expect(try consumer.ask("store 0 0x9800 8 0") == "sigbus code=2 address=0x9800")
  #expect(try consumer.ask("pread 0 \(managementPage(0) + 0x800) 8").hasPrefix("errno ENOTCONN"))
  let zeros = "0000000000000000"
  #expect(try consumer.ask("pwrite 0 \(triggerPage(0)) \(zeros)").hasPrefix("errno ENOTCONN"))
  #expect(try consumer.ask("inline 0 get 0x50 1 -").hasPrefix("errno ENOTCONN"))
  #expect(try consumer.expect("unmap 0") == "")
}
