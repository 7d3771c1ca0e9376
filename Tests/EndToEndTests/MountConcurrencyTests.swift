import Glibc
import Testing
import XIVETestSupport

@Suite("Many at once", .enabled(if: Requirement.canMount), .hangGuard)
struct MountConcurrencyTests {
  @Test(
    "64 threads that fault at once on two processors all get their pages", arguments: [2, 4, 16])
  func faults(_ serverThreads: Int) throws {
    let device = try ServedDevice(["--create", "0-1023", "--threads", "\(serverThreads)"])
    var consumer = try Consumer(opening: device.path)
    for process in [device.processID, consumer.processID] {
      let pinned = try ProgramRun("/usr/bin/taskset", ["-a", "-cp", "0,1", "\(process)"])
      #expect(pinned.exitCode == 0, "\(pinned.text)")
    }
    for round in 0..<8 {
      try consumer.map(0, at: triggerPage(0), 1_024 << 13)
      let word = round % 2 == 0 ? "load" : "store"
      let answer = try consumer.ask("threads 64 32 \(word) 0 0x800 0x1000 8")
      #expect(answer.hasPrefix("ok sigbus=0 accesses=2048 "))
      #expect(!answer.contains("errno"))
      try consumer.expect("unmap 0")
      try consumer.expect("drop 0 \(triggerPage(0)) \(1_024 << 13)")
    }
    #expect(try consumer.counters().fills >= 2_048)
  }

  @Test("64 threads that fault on one page get the same page, from one fill")
  func samePage() throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(0))
    #expect(try consumer.ask("threads 64 4 load 0 0x800 0 8").hasPrefix("ok sigbus=0 "))
    #expect(try consumer.counters().fills == 1)
  }

  @Test("64 threads that touch holes and pages get SIGBUS for the holes alone")
  func holes() throws {
    let device = try ServedDevice(["--create", "0-31", "--create", "64-95"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 128 << 13)
    for _ in 0..<4 {
      let answer = try consumer.ask("threads 64 4 load 0 0x800 0x1000 8")
      #expect(answer.hasPrefix("ok sigbus=128 accesses=256 "))
      try consumer.expect("advise 0 0 \(128 << 13) dontneed")
      try consumer.expect("drop 0 \(triggerPage(0)) \(128 << 13)")
    }
  }

  @Test("Signals during faults turn none of them into a SIGBUS")
  func signals() throws {
    let device = try ServedDevice(["--create", "0-255"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 256 << 13)
    let answer = try consumer.ask("intr-storm 1500 0 0x800 0x1000 512")
    #expect(answer.hasPrefix("ok sigbus=0 "), "\(answer)")
    #expect(try consumer.counters().fills > 1_000, "pages were forgotten and filled again")
  }

  @Test("Triggers from many threads are counted: one event, the rest is queued as one")
  func triggers() throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.setPQ(0, 0)
    let answer = try consumer.ask("trigger-burst 64 50 0 \(triggerPage(0))")
    #expect(answer.hasPrefix("ok errors=0 "), "\(answer)")
    #expect(try consumer.counters().exactStores == 3_200)
    #expect(try consumer.counters().events == 1)
    #expect(try consumer.pq(0) == 3)
  }

  @Test("Four consumers that fault, store, load and control at once all get their answers")
  func consumers() throws {
    let device = try ServedDevice(["--create", "0-511"])
    var faulting = try Consumer(opening: device.path)
    var storing = try Consumer(opening: device.path)
    var loading = try Consumer(opening: device.path)
    var controlling = try Consumer(opening: device.path)
    try faulting.map(0, at: triggerPage(0), 512 << 13)
    try storing.map(0, at: triggerPage(0), 512 << 13)
    for _ in 0..<3 {
      faulting.send("intr-storm 300 0 0x800 0x1000 1024")
      storing.send("threads 8 2000 store 0 0x1c00 0x20 8")
      loading.send("hammer 4 300 pread 0 \(managementPage(7) + 0x800)")
      for lisn in 0..<UInt64(200) { try controlling.expect("attr 0 set 2 \(lisn) \(zeroValue)") }
      #expect(try faulting.answer().hasPrefix("ok sigbus=0 "))
      #expect(try storing.answer().hasPrefix("ok sigbus=0 "))
      #expect(try loading.answer().contains(" errors=0 "))
    }
  }

  @Test(
    "Payloads that lie in pages of the device itself are read and written without a hang",
    arguments: [2, 3])
  func payloads(_ serverThreads: Int) throws {
    let device = try ServedDevice(["--create", "0-63", "--threads", "\(serverThreads)"])
    var consumers = ConsumerList()
    for _ in 0..<6 { consumers.append(try Consumer(opening: device.path)) }
    try consumers.forEach { try $0.map(0, at: triggerPage(0), 64 << 13) }
    for round in 0..<20 as Range<UInt64> {
      var lisn = round * 3
      consumers.forEach { consumer in
        consumer.send("attr 0 set 2 63 page:0:\(lisn % 60 << 13 | 0x1800)")
        lisn += 1
      }
      try consumers.forEach { try $0.expectAnswer() }
      try consumers.forEach { try $0.expect("advise 0 0 \(64 << 13) dontneed") }
      try consumers.forEach { try $0.expect("drop 0 \(triggerPage(0)) \(64 << 13)") }
    }
    consumers.forEach { consumer in
      consumer.send("attr 0 get 0x50 1 page:0:0x1000")
    }
    try consumers.forEach { try $0.expectAnswer() }
  }

  @Test("A consumer that is killed in the middle of its faults does no harm, many times")
  func killed() throws {
    let device = try ServedDevice(["--create", "0-255"])
    var witness = try Consumer(opening: device.path)
    try witness.map(0, at: managementPage(3), 0x1000, "r")
    for round in 0..<40 as Range<UInt64> {
      var dying = try Consumer(opening: device.path)
      try dying.map(0, at: triggerPage(0), 256 << 13)
      dying.send(
        round % 2 == 0
          ? "intr-storm 60000 0 0x800 0x1000 512" : "threads 8 60 store 0 0 0x1000 8")
      try witness.expect("sleep \(round % 7)")
      dying.signal(SIGKILL)
      #expect(dying.exitCode() == 128 + SIGKILL)
      try witness.setPQ(3, round & 3)
      #expect(try witness.await(0, 0x800, round & 3))
    }
  }
}

private let zeroValue = "0000000000000000"

extension Consumer {
  /// Reads the answer of a command that must have worked.
  fileprivate mutating func expectAnswer() throws {
    let answer = try answer()
    #expect(answer == "ok")
  }
}

/// Consumers, which cannot be copied into an array.
private struct ConsumerList: ~Copyable {
  private final class Box {
    var consumer: Consumer
    init(_ consumer: consuming Consumer) { self.consumer = consumer }
  }
  private var boxes: [Box] = []

  mutating func append(_ consumer: consuming Consumer) { boxes.append(Box(consumer)) }

  func forEach(_ body: (inout Consumer) throws -> Void) rethrows {
    for box in boxes { try body(&box.consumer) }
  }
}
