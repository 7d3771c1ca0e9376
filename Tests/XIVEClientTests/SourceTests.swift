import DeviceClient
import SystemCalls
import SystemPackage
import Testing
import XIVEClient
import XIVEModel
import XIVETestSupport

@Suite("Sources, exactly", .enabled(if: Requirement.canMount), .hangGuard)
struct SourceTests {
  @Test("A source does not exist, is created off, and can be created again", arguments: [1, 2])
  func create(pagesPerSource: Int) throws {
    let served = try ServedDevice(["--sources", "16", "--esb-pages", "\(pagesPerSource)"])
    let device = try XIVEDescriptor(served.path)
    #expect(try device.pq(of: 15) == nil)
    try device.createSource(15)
    #expect(try device.pq(of: 15) == .off)
    try device.setPQ(of: 15, to: .queued)
    try device.createSource(15)
    #expect(try device.pq(of: 15) == .off)
    #expect(try device.pq(of: 14) == nil)
  }

  @Test("Triggers and ends of interrupt take a source through its states", arguments: [1, 2])
  func cycle(pagesPerSource: Int) throws {
    let served = try ServedDevice(["--create", "3", "--esb-pages", "\(pagesPerSource)"])
    let device = try XIVEDescriptor(served.path)
    #expect(try device.setPQ(of: 3, to: .reset) == .off)
    try device.trigger(3)
    #expect(try device.pq(of: 3) == .pending)
    try device.trigger(3)
    #expect(try device.pq(of: 3) == .queued)
    #expect(try device.endOfInterrupt(3))
    #expect(try device.pq(of: 3) == .pending)
    #expect(try !device.endOfInterrupt(3))
    #expect(try device.pq(of: 3) == .reset)
  }

  @Test("Setting PQ gives the state before", arguments: PQ.allCases)
  func setPQ(_ pq: PQ) throws {
    let served = try ServedDevice(["--create", "0"])
    let device = try XIVEDescriptor(served.path)
    for before in PQ.allCases {
      try device.setPQ(of: 0, to: before)
      #expect(try device.setPQ(of: 0, to: pq) == before)
      #expect(try device.pq(of: 0) == pq)
    }
  }

  @Test("An LSI that is asserted stays pending after the end of interrupt")
  func asserted() throws {
    let served = try ServedDevice()
    let device = try XIVEDescriptor(served.path)
    try device.createSource(1, isLSI: true, isAsserted: true)
    try device.createSource(2, isLSI: true)
    for lisn in [1, 2] as [LISN] { try device.setPQ(of: lisn, to: .pending) }
    try device.endOfInterrupt(1)
    try device.endOfInterrupt(2)
    #expect(try device.pq(of: 1) == .pending)
    #expect(try device.pq(of: 2) == .reset)
  }

  @Test("Calls on a source that was never created do nothing")
  func neverCreated() throws {
    let served = try ServedDevice()
    let device = try XIVEDescriptor(served.path)
    try device.trigger(5)
    #expect(try device.setPQ(of: 5, to: .pending) == nil)
    #expect(try !device.endOfInterrupt(5))
    #expect(try device.pq(of: 5) == nil)
    #expect(try device.counters().guestErrors == 4)
  }

  @Test(
    "A source beyond the device's is named, with the range", arguments: [32, 0xffff_ffff] as [LISN])
  func beyond(_ lisn: LISN) throws {
    let served = try ServedDevice(["--sources", "32"])
    let device = try XIVEDescriptor(served.path)
    let expected = XIVEClientError.noSuchSource(lisn, count: 32)
    #expect(refusal { () throws(XIVEClientError) in try device.createSource(lisn) } == expected)
    #expect(refusal { () throws(XIVEClientError) in try device.trigger(lisn) } == expected)
    #expect(refusal { () throws(XIVEClientError) in try device.pq(of: lisn) } == expected)
    #expect(
      refusal { () throws(XIVEClientError) in try device.setPQ(of: lisn, to: .off) } == expected)
    #expect(refusal { () throws(XIVEClientError) in try device.endOfInterrupt(lisn) } == expected)
    #expect(refusal { () throws(XIVEClientError) in try device.mapSource(lisn) } == expected)
    #expect(expected.errno == .argListTooLong)
    #expect(expected.description.contains("\(lisn)") && expected.description.contains("32 sources"))
  }

  @Test("A descriptor for reading sees PQ and changes nothing")
  func readOnly() throws {
    let served = try ServedDevice(["--create", "0"])
    let device = try XIVEDescriptor(served.path, isWritable: false)
    #expect(try device.pq(of: 0) == .off)
    let refusals = [
      refusal { () throws(XIVEClientError) in try device.trigger(0) },
      refusal { () throws(XIVEClientError) in try device.setPQ(of: 0, to: .reset) },
      refusal { () throws(XIVEClientError) in try device.endOfInterrupt(0) },
      refusal { () throws(XIVEClientError) in try device.createSource(1) },
    ]
    for error in refusals { #expect(error?.errno == .badFileDescriptor) }
    #expect(try device.pq(of: 0) == .off)
    #expect(try device.pq(of: 1) == nil)
  }

  @Test("Raw offsets that no page takes are refused with the offset")
  func rawOffsets() throws {
    let served = try ServedDevice(["--sources", "8", "--create", "0"])
    let device = try XIVEDescriptor(served.path)
    // Unaligned, behind the last source, no region, behind the file, behind what off_t can say.
    let offsets: [UInt64] = [
      1 << 40 | 0x1804, 1 << 40 | 0x10000, 8 << 40, 1 << 62, 1 << 63, .max - 7, .max,
    ]
    for offset in offsets {
      let load = #expect(throws: DeviceClientError.self) { try device.device.load(at: offset) }
      let store = #expect(throws: DeviceClientError.self) {
        try device.device.store(0, at: offset)
      }
      for case .some(.access(let named, _)) in [load, store] { #expect(named == offset) }
    }
    #expect(try device.pq(of: 0) == .off)
  }

  @Test("Each call counts in the device's counters")
  func counters() throws {
    let served = try ServedDevice(["--create", "0", "--tick", "0"])
    let device = try XIVEDescriptor(served.path)
    let start = try device.counters()
    #expect(start.exactLoads == 0 && start.exactStores == 0 && start.fills == 0)
    try device.setPQ(of: 0, to: .reset)
    try device.trigger(0)
    try device.trigger(0)
    try device.endOfInterrupt(0)
    _ = try device.pq(of: 9)
    let exact = try device.counters()
    #expect(exact.exactLoads == 3 && exact.exactStores == 2)
    // The first trigger is an event, and so is the queued one once the first has ended.
    #expect(exact.events == 2)
    #expect(exact.guestErrors == 1)
    #expect(exact.fills == 0 && exact.mappedStores == 0 && exact.liveUpdates == 0)

    let pages = try device.mapSource(0)
    #expect(pages.load(at: 0x1800, until: 2) == 2)
    try device.setPQ(of: 0, to: .off)
    #expect(pages.load(at: 0x1800, until: 1) == 1)
    pages.store(0, at: 0x1c00)
    try pages.synchronize()
    let mapped = try device.counters()
    #expect(mapped.fills >= 1 && mapped.liveUpdates >= 1)
    #expect(mapped.mappedStores == 1)
    #expect(mapped.exactLoads == 4 && mapped.exactStores == 2)
    #expect(try device.pq(of: 0) == .reset)
  }
}
