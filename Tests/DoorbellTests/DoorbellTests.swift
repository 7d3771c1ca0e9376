import Glibc
import Testing
import XIVETestSupport

@Suite("Doorbell", .enabled(if: Requirement.canMount), .hangGuard)
struct DoorbellTests {
  private let bell: UInt64 = 0
  private let counter: UInt64 = 4_096

  // No tick, where a ring must not come a second time by it.
  private func serve(tick: Int = 1) throws -> ServedDevice {
    try ServedDevice(["\(tick)"], program: [Built.path("doorbell")])
  }

  @Test("An exact store of any size, anywhere in the page, rings; a load gives all ones")
  func ringsExactly() throws {
    let device = try serve()
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.load(at: counter) == 0)
    #expect(try consumer.load(at: bell) == .max)
    try consumer.expect("pwrite 0 0 00")
    try consumer.expect("pwrite 0 7 ffff")
    try consumer.store(1, at: 4_088)
    #expect(try consumer.load(at: counter) == 3)
    #expect(try consumer.expect("pread 0 5 3") == "ffffff")
    try consumer.store(9, at: counter)
    #expect(try consumer.load(at: counter) == 3)
  }

  @Test("The counter is a register of 8 bytes, and there is nothing behind it")
  func refusesOtherAccesses() throws {
    let device = try serve()
    var consumer = try Consumer(opening: device.path)
    for access in ["pread 0 4096 4", "pread 0 4100 4", "pread 0 4104 8", "pread 0 8192 8"] {
      #expect(try consumer.ask(access) == "errno EINVAL 22", "\(access)")
    }
    #expect(try consumer.ask("pwrite 0 8192 00") == "errno EINVAL 22")
    #expect(try consumer.ask("ioctl 0 0x5801 -") == "errno ENOTTY 25")
    #expect(try consumer.expect("seek 0 0 data") == "0x0")
    #expect(try consumer.expect("seek 0 0 hole") == "0x2000")
    #expect(try consumer.ask("seek 0 8192 data") == "errno ENXIO 6")
    #expect(try consumer.load(at: counter) == 0)
  }

  @Test("A store to a mapped doorbell rings once when it is synchronized, same value or not")
  func ringsThroughAMapping() throws {
    let device = try serve(tick: 0)
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("map 0 0 \(bell) 4096 rw shared")
    for count in 1...5 as ClosedRange<UInt64> {
      try consumer.expect("store 0 \(count * 8) 8 0")
      try consumer.expect("msync 0 0 4096 sync")
      #expect(try consumer.load(at: counter) == count)
      // What was stored is put back, so that a load gives all ones again.
      try consumer.expect("await 0 \(count * 8) 8 0xffffffffffffffff 10000")
    }
  }

  @Test("A mapped doorbell rings without a synchronization as well")
  func ringsByTheTick() throws {
    let device = try serve()
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("map 0 0 \(bell) 8192 rw shared")
    try consumer.expect("store 0 0 8 1")
    while try consumer.load(at: counter) == 0 {}
    // A tick between the fault and the store rings as well: let both arrive.
    try consumer.expect("sleep 100")
    let count = try consumer.load(at: counter)
    #expect(try consumer.ask("await 0 \(counter) 8 \(count) 10000").hasPrefix("ok"))
  }

  @Test("A mapped counter is kept current without a fault, in every process")
  func counterIsLive() throws {
    let device = try serve()
    var ringer = try Consumer(opening: device.path)
    var watcher = try Consumer(opening: device.path, "ro,direct")
    try watcher.expect("map 0 0 \(counter) 4096 r shared")
    #expect(try watcher.expect("load 0 0 8") == "0x0")
    for count in [1, 2, 255, 256, 257] as [UInt64] {
      while try ringer.load(at: counter) < count { try ringer.store(at: bell) }
      let answer = try watcher.ask("await 0 0 8 \(count) 10000")
      #expect(answer.hasPrefix("ok"), "\(answer)")
      // Still the page of the first load: it was never dropped.
      #expect(try watcher.expect("resident 0 0 4096") == "1")
    }
    // Nothing but the count has changed.
    #expect(try watcher.expect("bytes 0 8 8") == "0000000000000000")
  }

  @Test("A store to the mapped counter counts nothing and is put back")
  func counterIsPutBack() throws {
    let device = try serve()
    var consumer = try Consumer(opening: device.path)
    try consumer.store(at: bell)
    try consumer.expect("map 0 0 \(counter) 4096 rw shared")
    try consumer.expect("store 0 0 8 99")
    try consumer.expect("store 0 4088 8 99")
    try consumer.expect("msync 0 0 4096 sync")
    #expect(try consumer.ask("await 0 0 8 1 10000").hasPrefix("ok"))
    #expect(try consumer.ask("await 0 4088 8 0 10000").hasPrefix("ok"))
    #expect(try consumer.load(at: counter) == 1)
  }

  @Test("A touch behind the two pages raises SIGBUS at its address")
  func holes() throws {
    let device = try serve()
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("map 0 0 0 16384 rw shared")
    #expect(try consumer.expect("load 0 8 8") == "0xffffffffffffffff")
    #expect(try consumer.ask("load 0 8200 8") == "sigbus code=2 address=0x2008")
    #expect(try consumer.ask("store 0 12288 8 1") == "sigbus code=2 address=0x3000")
    #expect(try consumer.load(at: counter) == 0)
  }

  @Test("Rings from many threads are all counted")
  func ringsAtOnce() throws {
    let device = try serve()
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.ask("trigger-burst 8 500 0 0").hasPrefix("ok errors=0"))
    #expect(try consumer.load(at: counter) == 4_000)
    try consumer.expect("map 0 0 \(counter) 4096 r shared")
    #expect(try consumer.ask("await 0 0 8 4000 10000").hasPrefix("ok"))
  }

  @Test("A descriptor is readable while the bell was rung since it loaded the counter")
  func waits() throws {
    let device = try serve()
    var ringer = try Consumer(opening: device.path)
    var first = try Consumer(opening: device.path)
    var second = try Consumer(opening: device.path, "ro,direct")
    for count in 1...3 as ClosedRange<UInt64> {
      #expect(try first.ask("poll 0 in 0") == "ok none")
      first.send("poll 0 in 600000")
      second.send("poll 0 in 600000")
      try ringer.store(at: bell)
      #expect(try first.answer() == "ok in")
      #expect(try second.answer() == "ok in")
      #expect(try first.load(at: counter) == count)
      #expect(try first.ask("poll 0 in 0") == "ok none")
      #expect(try second.ask("poll 0 in 0") == "ok in", "it has not looked")
      #expect(try second.load(at: counter) == count)
    }
    #expect(try ringer.ask("poll 0 in 0") == "ok in")
  }

  @Test("A mapped ring wakes as well, and edges are told one by one")
  func waitsForEdges() throws {
    let device = try serve(tick: 0)
    var ringer = try Consumer(opening: device.path)
    var waiter = try Consumer(opening: device.path)
    try ringer.expect("map 0 0 \(bell) 4096 rw shared")
    try waiter.expect("epoll-add 0 in,edge")
    for count in 1...5 as ClosedRange<UInt64> {
      #expect(try waiter.ask("epoll-wait 0") == "ok none")
      try ringer.expect("store 0 0 8 1")
      #expect(try waiter.ask("epoll-wait 0") == "ok none")
      try ringer.expect("msync 0 0 4096 sync")
      #expect(try waiter.ask("epoll-wait 10000") == "ok 0:in")
      #expect(try waiter.load(at: counter) == count)
    }
  }

  @Test("SIGTERM ends the server with exit code 0, also while the device is mapped")
  func stops() throws {
    var device = try serve()
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("map 0 0 0 8192 rw shared")
    try consumer.expect("load 0 4096 8")
    #expect(device.stop() == 0)
    #expect(try consumer.ask("pread 0 0 8") == "errno ENOTCONN 107")
  }
}
