import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Contract: events, levels and the end of an interrupt", .enabled(if: Requirement.canMount),
  .hangGuard)
struct ContractEventTests {
  @Test(
    "E9: however often a pending source is triggered, its EOI sends exactly one event more",
    arguments: [1, 2, 100])
  func coalescing(_ count: Int) throws {
    var device = try ContractDevice(["--create", "0-3"])
    let trigger = device.page(2, .trigger)
    let management = device.page(2, .management)
    try device.setPQ(2, 0)
    try device.consumer.store(at: trigger)
    #expect(try device.counters().events == 1)
    let burst = try device.consumer.expect("trigger-burst 1 \(count) 0 \(trigger)")
    #expect(burst.hasPrefix("errors=0 "))
    #expect(try device.counters().events == 1)
    #expect(try device.pq(2) == 3)
    #expect(try device.consumer.load(at: management) == 1)
    #expect(try device.counters().events == 2)
    #expect(try device.consumer.load(at: management) == 0)
    #expect(try device.consumer.load(at: management) == 0)
    #expect(try device.counters().events == 2)
    #expect(try device.pq(2) == 0)
    device.end()
  }

  @Test("E10: the EOI of an MSI driver loses no trigger of two others")
  func endOfMessage() throws {
    var device = try ContractDevice(["--create", "0-3"])
    var first = try Consumer(opening: device.server.path)
    var second = try Consumer(opening: device.server.path)
    let trigger = device.page(2, .trigger)
    try device.setPQ(2, 0)
    first.send("hammer 1 400 pwrite 0 \(trigger)")
    second.send("hammer 2 400 pwrite 0 \(trigger)")
    var driver = Driver()
    // The others have begun once something is pending, and go on for longer than this takes.
    for _ in 0..<100_000 where driver.ended == 0 { try driver.endOfInterrupt(2, on: &device) }
    for _ in 0..<500 { try driver.endOfInterrupt(2, on: &device) }
    for answer in [try first.answer(), try second.answer()] {
      #expect(answer.contains(" errors=0 "), "\(answer)")
    }
    for _ in 0..<3 { try driver.endOfInterrupt(2, on: &device) }
    // Each event is one time that the source became pending, and each of those was ended once.
    #expect(try device.counters().events == driver.ended)
    #expect(driver.queued > 0, "nothing was ever queued: the processes did not overlap")
    #expect(try device.pq(2) == 0)
    // Nothing is left behind: the next trigger is an event at once.
    try second.store(at: trigger)
    #expect(try device.counters().events == driver.ended + 1)
    device.end()
  }

  /// What Linux does at the end of an MSI: PQ becomes 00, and a queued event is triggered again.
  private struct Driver {
    var ended: UInt64 = 0
    var queued: UInt64 = 0

    mutating func endOfInterrupt(_ lisn: UInt32, on device: inout ContractDevice) throws {
      let pq = try device.setPQ(lisn, 0)
      if pq & 2 != 0 { ended += 1 }
      guard pq & 1 != 0 else { return }
      queued += 1
      try device.consumer.store(at: device.page(lisn, .trigger))
    }
  }

  @Test("E11: the end of an interrupt, row by row, with the line up and down")
  func levels() throws {
    var device = try ContractDevice(["--create", "0-3:lsi"])
    try device.create(2, 3)
    let rows = ReferenceTable.levelRows.filter { $0.event == .endOfInterrupt }
    #expect(rows.count == 8)
    for row in rows {
      // Source 2 is held asserted from its creation, source 1 never.
      let lisn: UInt32 = row.wasAsserted ? 2 : 1
      try device.setPQ(lisn, UInt64(row.before))
      let before = try device.counters().events
      #expect(try device.consumer.load(at: device.page(lisn, .management)) == row.value, "\(row)")
      #expect(try device.pq(lisn) == row.after, "\(row)")
      #expect(try device.counters().events - before == (row.notifies ? 1 : 0), "\(row)")
    }
    device.end()
  }

  @Test("E11: an asserted line fires at EOI only, not when PQ is set")
  func levelFiresAtEOI() throws {
    var device = try ContractDevice(["--create", "0-3:lsi"])
    let management = device.page(2, .management)
    try device.create(2, 3)
    #expect(try device.pq(2) == 1)
    for pq: UInt64 in [0, 1, 2, 3, 0] {
      try device.setPQ(2, pq)
      #expect(try device.pq(2) == pq)
    }
    #expect(try device.counters().events == 0)
    // It fires again with every EOI for as long as the device holds the line.
    for count: UInt64 in 1...3 {
      #expect(try device.consumer.load(at: management) == 1)
      #expect(try device.pq(2) == 2)
      #expect(try device.counters().events == count)
    }
    device.end()
  }

  @Test("E11: plain trigger stores on a level-sensitive source are pending, then queued")
  func levelTriggered() throws {
    var device = try ContractDevice(["--create", "0-3:lsi"])
    try device.setPQ(2, 0)
    for pq: UInt64 in [2, 3, 3] {
      try device.consumer.store(at: device.page(2, .trigger))
      #expect(try device.pq(2) == pq)
    }
    #expect(try device.counters().events == 1)
    device.end()
  }

  @Test("A consumer that has died is an error at once, for commands and for answers")
  func deadConsumer() throws {
    var device = try ContractDevice()
    try device.consumer.expect("pid")
    device.consumer.signal(9)
    #expect(device.consumer.exitCode() == 137)
    for _ in 0..<3 {
      #expect(throws: SupportFailure.self) { try device.consumer.ask("pid") }
    }
    device.end()
  }
}
