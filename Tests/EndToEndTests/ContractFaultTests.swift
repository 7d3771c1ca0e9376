import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Contract: faults on ESB pages", .enabled(if: Requirement.canMount), .hangGuard)
struct ContractFaultTests {
  /// Maps the first sources of a window as mapping 0, so that source n has its pages at n * 0x2000.
  private func device(
    _ options: [String], _ window: Window, sources: UInt64 = 2_048
  ) throws -> ContractDevice {
    var device = try ContractDevice(options)
    let start = device.page(0, .trigger, in: window)
    try device.consumer.map(0, at: start, pages: sources * 2, of: device.map)
    return device
  }

  private func trigger(_ lisn: UInt64) -> UInt64 { lisn * 0x2000 }
  private func management(_ lisn: UInt64) -> UInt64 { lisn * 0x2000 + 0x1000 }

  @Test("F1: a number in a block without any source is a hole", arguments: Window.allCases)
  func emptyBlock(_ window: Window) throws {
    var device = try device(["--create", "1500"], window)
    #expect(try device.geometry().source_blocks == 1)
    for offset in [trigger(100), management(100), management(0)] {
      #expect(try device.consumer.load(0, at: offset) == nil)
    }
    #expect(try device.consumer.load(0, at: management(1500) + 0x800) == 1)
    device.end()
  }

  @Test("F2: a number beside the only source of its block is a hole", arguments: Window.allCases)
  func besideTheOnlySource(_ window: Window) throws {
    var device = try device(["--create", "5"], window)
    for lisn: UInt64 in [8, 4, 6, 3, 7] {
      #expect(try device.consumer.load(0, at: trigger(lisn)) == nil)
      #expect(try device.consumer.load(0, at: management(lisn) + 0x800) == nil)
      let stored = try device.consumer.ask("store 0 \(trigger(lisn) + 8) 8 0")
      #expect(stored == "sigbus code=2 address=0x\(String(trigger(lisn) + 8, radix: 16))")
    }
    #expect(try device.consumer.load(0, at: management(5) + 0x800) == 1)
    device.end()
  }

  @Test(
    "F3: a hole works once its source exists, at the same address", arguments: Window.allCases)
  func createdLater(_ window: Window) throws {
    var device = try device(["--create", "5"], window)
    for lisn: UInt64 in [4, 8, 1_024] {
      #expect(try device.consumer.load(0, at: management(lisn) + 0x800) == nil)
      #expect(try device.consumer.load(0, at: trigger(lisn)) == nil)
      try device.create(UInt32(lisn))
      #expect(try device.consumer.load(0, at: management(lisn) + 0x800) == 1)
      #expect(try device.consumer.signature(0, at: trigger(lisn)).lisn == UInt32(lisn))
    }
    device.end()
  }

  @Test(
    "F4, F5: a store to a trigger page changes PQ of that source and of no neighbour",
    arguments: Window.allCases)
  func neighbours(_ window: Window) throws {
    // Without ticks: one between a fault and the store that it is for would trigger as well.
    var device = try device(["--create", "0-15", "--tick", "0"], window)
    for lisn: UInt32 in 0..<16 {
      try device.setPQ(lisn, 0)
      _ = try device.consumer.load(0, at: management(UInt64(lisn)) + 0x800)
    }
    var triggered: Set<UInt32> = []
    for lisn: UInt32 in [9, 0, 15, 4] {
      try device.consumer.expect("store 0 \(trigger(UInt64(lisn)) + 0x18) 8 0")
      try device.consumer.expect("msync 0 \(trigger(UInt64(lisn))) 0x1000 sync")
      triggered.insert(lisn)
      try device.consumer.expect("await 0 \(management(UInt64(lisn)) + 0x800) 8 2 5000")
      for other: UInt32 in 0..<16 {
        let pq: UInt64 = triggered.contains(other) ? 2 : 0
        #expect(try device.pq(other) == pq, "source \(other) after a trigger of \(lisn)")
        #expect(try device.consumer.load(0, at: management(UInt64(other)) + 0x800) == pq)
      }
    }
    #expect(try device.counters().events == 4)
    device.end()
  }

  @Test("F6: the sources at the edge of two blocks are two sources", arguments: Window.allCases)
  func blockEdge(_ window: Window) throws {
    var device = try device(["--create", "1023"], window)
    #expect(try device.consumer.load(0, at: management(1_023) + 0x800) == 1)
    #expect(try device.consumer.load(0, at: trigger(1_024)) == nil)
    try device.create(1_024)
    #expect(try device.geometry().source_blocks == 2)
    #expect(try device.consumer.signature(0, at: trigger(1_023)).lisn == 1_023)
    #expect(try device.consumer.signature(0, at: trigger(1_024)).lisn == 1_024)
    try device.setPQ(1_024, 0)
    try device.consumer.store(at: device.page(1_024, .trigger, in: window))
    #expect(try device.pq(1_024) == 2)
    #expect(try device.pq(1_023) == 1)
    device.end()
  }

  @Test("F7: the last source has a last page, and nothing follows", arguments: Window.allCases)
  func lastPage(_ window: Window) throws {
    var device = try ContractDevice(["--sources", "1048576", "--create", "0xfffff"])
    let last = device.page(0xfffff, .management, in: window)
    try device.consumer.map(0, at: last - 0x3000, pages: 5, of: device.map)
    for hole: UInt64 in [0, 0x1000, 0x4000] {
      #expect(try device.consumer.load(0, at: hole + 0x800) == nil)
    }
    #expect(try device.consumer.load(0, at: 0x3800) == 1)
    for (page, half) in [(0x2000, ESBHalf.trigger), (0x3000, .management)] {
      let signature = try device.consumer.signature(0, at: UInt64(page))
      #expect(signature.lisn == 0xfffff && signature.half == half.rawValue)
    }
    #expect(try device.consumer.load(at: last + 0xc00) == 1)
    try device.consumer.store(at: last - 0x1000)
    #expect(try device.consumer.load(at: last + 0xff8) == 2)
    device.end()
  }

  @Test("F8: without any source every ESB page is a hole", arguments: Window.allCases)
  func noSource(_ window: Window) throws {
    var device = try device([], window, sources: 8_192)
    #expect(try device.geometry().source_blocks == 0)
    for lisn: UInt64 in [0, 1, 1_023, 1_024, 8_191] {
      #expect(try device.consumer.load(0, at: trigger(lisn)) == nil)
      #expect(try device.consumer.load(0, at: management(lisn)) == nil)
    }
    #expect(try device.counters().fills == 0)
    device.end()
  }

  @Test("F9: a source with one page has a management page alone", arguments: Window.allCases)
  func absentTriggerPage(_ window: Window) throws {
    var device = try device(["--esb-pages", "1", "--create", "3"], window)
    #expect(try device.consumer.load(0, at: trigger(3)) == nil)
    #expect(try device.consumer.load(0, at: management(3) + 0x800) == 1)
    // Loads of the absent page give all ones, stores are dropped, and the device counts both.
    let before = try device.counters()
    let absent = device.page(3, .trigger, in: window)
    try device.setPQ(3, 0)
    #expect(try device.consumer.load(at: absent) == .max)
    try device.consumer.store(at: absent)
    #expect(try device.pq(3) == 0)
    let after = try device.counters()
    #expect(after.guest_errors - before.guest_errors == 2)
    #expect(after.events == before.events)
    device.end()
  }

  @Test("F10: first touches by many threads at once give one page, filled once")
  func concurrentFaults() throws {
    var device = try device(["--create", "0-255"], .esb)
    // The eight threads start together and touch one word each, all of the same page.
    for lisn: UInt64 in 0..<64 {
      let answer = try device.consumer.expect("threads 8 1 load 0 \(management(lisn)) 8 8")
      #expect(answer.hasPrefix("sigbus=0 accesses=8 "), "\(answer)")
    }
    #expect(try device.counters().fills == 64)
    device.end()
  }

  @Test("F10: pages that are filled while their sources are triggered end up current")
  func concurrentFaultsAndTriggers() throws {
    var device = try device(["--create", "0-255"], .esb)
    var other = try Consumer(opening: device.server.path)
    for lisn: UInt32 in 0..<200 {
      try device.setPQ(lisn, 0)
      other.send("trigger-burst 2 2 0 \(device.page(lisn, .trigger))")
      try device.consumer.expect("threads 4 1 load 0 \(management(UInt64(lisn)) + 0x800) 8 8")
      #expect(try other.answer().hasPrefix("ok errors=0 "))
      #expect(try device.pq(lisn) == 3)
      try device.consumer.expect("await 0 \(management(UInt64(lisn)) + 0x800) 8 3 5000")
    }
    // Four triggers of an idle source are one event and one that waits.
    #expect(try device.counters().events == 200)
    device.end()
  }
}
