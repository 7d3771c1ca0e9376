import Glibc
import Synchronization
import Testing
import XIVETestSupport

@Suite("Memory and descriptors of callers", .enabled(if: Requirement.canMount), .hangGuard)
struct CallerTests {
  @Test("A device keeps a caller's memory for as long as it wants, whatever the caller does")
  func sharesMemory() throws {
    let device = try MailboxDevice.serve()
    var owner = try Consumer(opening: device.path)
    try owner.expect("memfd 1 65536 shrink")
    try owner.expect("pwrite 1 4104 2a00000000000000")
    #expect(try owner.expect(.share, owner.number(of: 1), 4_096, 8_192) == 0)
    let answer = try owner.ask(.exchange, 8, 0x77)
    #expect(answer == "ok result=0 080000000000000077000000000000002a00000000000000")
    #expect(try owner.expect("pread 1 4104 8") == "7700000000000000")
    try owner.expect("close 1")
    owner.signal(SIGKILL)
    #expect(owner.exitCode() == 128 + SIGKILL)
    var other = try Consumer(opening: device.path)
    #expect(
      try other.ask(.exchange, 8, 5)
        == "ok result=0 080000000000000005000000000000007700000000000000")
  }

  @Test("What is no sealed memory is refused, the device's own file among it, and nothing hangs")
  func refuses() throws {
    let device = try MailboxDevice.serve()
    let another = try MailboxDevice.serve()
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("open 1 \(device.path) ro")
    try consumer.expect("open 2 \(another.path) rw,direct")
    try consumer.expect("open 3 /dev/null rw")
    try consumer.expect("memfd 4 65536 none")
    try consumer.expect("memfd 5 4096 shrink")
    for slot in 0...5 {
      let number = try consumer.number(of: slot)
      #expect(try consumer.ask(.share, number, 0, 8_192) == "errno EINVAL 22", "\(slot)")
    }
    for number in [999, UInt64(UInt32.max)] {
      #expect(try consumer.ask(.share, number, 0, 8_192) == "errno EBADF 9")
    }
    #expect(try consumer.ask(.exchange, 0, 0) == "errno ENXIO 6")
  }

  @Test("A descriptor is the device's or not, however it was opened; looking does not keep it")
  func findsTheDevice() throws {
    let device = try MailboxDevice.serve()
    let another = try MailboxDevice.serve()
    var consumer = try Consumer(opening: device.path)
    let files = [
      (device.path, "ro", 1), (device.path, "wo", 1), (device.path, "rw,direct,nonblock", 1),
      (another.path, "rw,direct", 0), ("/dev/null", "rw", 0),
    ]
    for (index, (path, flags, result)) in files.enumerated() {
      try consumer.expect("open \(index + 1) \(path) \(flags)")
      let number = try consumer.number(of: index + 1)
      #expect(try consumer.expect(.isDevice, number) == result, "\(path) \(flags)")
      try consumer.expect("close \(index + 1)")
      #expect(try consumer.ask(.isDevice, number) == "errno EBADF 9")
    }
    // The end of the asking descriptor itself reaches the device as well.
    try consumer.expect(.attach, 0)
    #expect(try consumer.expect(.isDevice, consumer.number(of: 0)) == 1)
    #expect(try consumer.ask(.share, consumer.number(of: 0), 0, 4_096) == "errno EINVAL 22")
    try consumer.expect("close 0")
    var other = try Consumer(opening: device.path)
    #expect(try other.awaits { try $0.expect(.countAttached) == 0 })
  }

  @Test("Many callers at once share and ask, and none waits for another for ever")
  func atOnce() throws {
    let device = try MailboxDevice.serve()
    let path = device.path
    let rounds = Atomic<Int>(0)
    Threads.run(8) { _ in
      do {
        var consumer = try Consumer(opening: path)
        try consumer.expect("memfd 1 65536 shrink")
        let own = try consumer.number(of: 0)
        let memory = try consumer.number(of: 1)
        for _ in 0..<50 {
          #expect(try consumer.expect(.share, memory, 0, 65_536) == 0)
          #expect(try consumer.expect(.isDevice, own) == 1)
          #expect(try consumer.ask(.share, own, 0, 65_536) == "errno EINVAL 22")
          rounds.add(1, ordering: .relaxed)
        }
      } catch {
        Issue.record(error)
      }
    }
    #expect(rounds.load(ordering: .relaxed) == 8 * 50)
    var consumer = try Consumer(opening: path)
    #expect(try consumer.expect(.exchange, 0, 0) == 0)
  }

  @Test("A page that goes with a descriptor goes from all mappings when that is closed")
  func pageGoes() throws {
    let device = try MailboxDevice.serve()
    var owner = try Consumer(opening: device.path)
    var watcher = try Consumer(opening: device.path)
    try watcher.map(0, at: 0, 32_768, "r")
    let page = MailboxDevice.shownPage
    let fault = "sigbus code=2 address=0x4000"
    #expect(try watcher.ask("load 0 \(page) 8") == fault)
    try owner.expect(.show)
    #expect(try watcher.mapped(0, page) == 0)
    #expect(try watcher.mapped(0, 0) == 0)
    try owner.expect("close 0")
    #expect(try watcher.awaits { try $0.ask("load 0 \(page) 8") == fault })
    // The other pages stay.
    #expect(try watcher.expect("resident 0 0 4096") == "1")
  }
}
