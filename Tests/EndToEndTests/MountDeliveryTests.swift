import Glibc
import Testing
import XIVETestSupport

@Suite("Delivery of mapped stores", .enabled(if: Requirement.canMount), .hangGuard)
struct MountDeliveryTests {
  /// A device without a tick and a consumer that has both pages of source 0 mapped, PQ 00.
  private func consumer(of path: String) throws -> Consumer {
    var consumer = try Consumer(opening: path)
    try consumer.map(0, at: triggerPage(0), 0x2000)
    try consumer.setPQ(0, 0)
    return consumer
  }

  @Test("msync returns after the stores took effect, many times in a row")
  func msync() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path)
    for _ in 0..<50 {
      try consumer.storeMapped(0, 0)
      try consumer.synchronize(0, 0x2000)
      #expect(try consumer.pq(0) == 2)
      try consumer.storeMapped(0, 0x1c00)
      try consumer.synchronize(0, 0x2000)
      #expect(try consumer.pq(0) == 0)
    }
    #expect(try consumer.counters().mappedStores == 100)
  }

  @Test(
    "Every way of synchronizing the file delivers before it returns",
    arguments: ["fsync 0", "syncrange 0 0 0", "unmap 0", "msync 0 0 0x1000 sync"])
  func synchronizing(_ command: String) throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path)
    try consumer.storeMapped(0, 0)
    try consumer.expect(command)
    #expect(try consumer.pq(0) == 2)
  }

  @Test("Without a tick nothing is delivered until somebody synchronizes")
  func noTick() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path)
    try consumer.storeMapped(0, 0)
    try consumer.expect("msync 0 0 0x2000 async")
    try consumer.expect("sleep 300")
    #expect(try consumer.pq(0) == 0)
    #expect(try consumer.counters().mappedStores == 0)
    try consumer.synchronize(0, 0x2000)
    #expect(try consumer.pq(0) == 2)
  }

  @Test("The tick delivers stores that nobody synchronizes, at least once", arguments: ["1", "20"])
  func tick(_ milliseconds: String) throws {
    let device = try ServedDevice(["--create", "0", "--tick", milliseconds])
    var consumer = try consumer(of: device.path)
    for round in 1...10 as ClosedRange<UInt64> {
      try consumer.storeMapped(0, 0)
      // Twice is 11: the tick may come between the write fault and the store.
      for _ in 0..<10_000 where try consumer.pq(0) & 2 == 0 { usleep(1_000) }
      #expect(try consumer.pq(0) & 2 == 2)
      try consumer.storeMapped(0, 0x1c00)
      #expect(try consumer.awaitPQ(0, 0))
      #expect(try consumer.counters().mappedStores >= 2 * round)
    }
    try consumer.expect("sleep 50")
    #expect(try consumer.pq(0) == 0)
    #expect(try consumer.counters().events == 10)
  }

  @Test("Stores of a consumer that ends or is killed are delivered", arguments: [0, SIGKILL])
  func end(_ signal: Int32) throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var witness = try consumer(of: device.path)
    var dying = try consumer(of: device.path)
    try dying.storeMapped(0, 0)
    #expect(try witness.pq(0) == 0)
    if signal == 0 { try dying.expect("exit 0") } else { dying.signal(signal) }
    #expect(dying.exitCode() == (signal == 0 ? 0 : 128 + signal))
    #expect(try witness.awaitPQ(0, 2))
  }

  @Test("Stores to many pages are all delivered, in one write-back or in several")
  func manyPages() throws {
    let device = try ServedDevice(["--create", "0-1023", "--tick", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 1_024 << 13)
    #expect(
      try consumer.expect("threads 4 256 store 0 0x1c00 0x2000 8").hasPrefix("sigbus=0"))
    try consumer.synchronize(0, 1_024 << 13)
    #expect(try consumer.counters().mappedStores == 1_024)
    for lisn in [0, 1, 511, 512, 1_023] as [UInt64] { #expect(try consumer.pq(lisn) == 0) }
    #expect(try consumer.expect("threads 4 256 store 0 0 0x2000 8").hasPrefix("sigbus=0"))
    try consumer.synchronize(0, 1_024 << 13)
    #expect(try consumer.counters().mappedStores == 2_048)
    #expect(try consumer.counters().events == 1_024)
  }

  @Test("A store is delivered although its source is created again meanwhile")
  func createdAgain() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path)
    try consumer.storeMapped(0, 0x1e00)
    try consumer.expect("attr 0 set 2 0 0000000000000000")
    try consumer.synchronize(0, 0x2000)
    #expect(try consumer.pq(0) == 2)
  }

  @Test("An exact access finds the mapped stores to its page performed")
  func exactAfterMapped() throws {
    let device = try ServedDevice(["--create", "0", "--tick", "0"])
    var consumer = try consumer(of: device.path)
    try consumer.storeMapped(0, 0x1f00)
    #expect(try consumer.pq(0) == 3)
    try consumer.storeMapped(0, 0x1c00)
    try consumer.store(at: managementPage(0))
    #expect(try consumer.pq(0) == 2, "SET_PQ_00, then the trigger")
  }

  @Test("A consumer without write permission changes nothing")
  func readOnly() throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path, "ro,direct")
    #expect(
      try consumer.ask("map 0 0 \(managementPage(0)) 0x1000 rw shared").hasPrefix("errno EACCES"))
    #expect(
      try consumer.ask("pwrite 0 \(triggerPage(0)) 0000000000000000").hasPrefix("errno EBADF"))
    for register in [0xc00, 0xf00, 0x000] as [UInt64] {
      #expect(
        try consumer.ask("pread 0 \(managementPage(0) + register) 8").hasPrefix("errno EBADF"),
        "a load with a side effect")
    }
    #expect(try consumer.ask("attr 0 set 2 1 0000000000000000").hasPrefix("errno EBADF"))
    #expect(try consumer.pq(0) == 1)
  }
}
