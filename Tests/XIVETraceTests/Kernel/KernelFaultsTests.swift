import SystemCalls
import Testing
import TraceRecords
import XIVEClient
import XIVEModel
import XIVETestSupport

@testable import XIVETrace

/// Whether this process may look at what the kernel does for its children.
var canTrace: Bool {
  let paranoid = TextFile.contents(of: "/proc/sys/kernel/perf_event_paranoid").first
  return Requirement.canMount
    && Requirement.check(
      paranoid != nil, "no perf events: needs a kernel with CONFIG_PERF_EVENTS")
}

/// Whether the tracepoints can be used as well.
var hasTracepoints: Bool {
  Requirement.check(
    FaultSource.all { TextFile.contents(of: $0) }.count == 3,
    "no exceptions:page_fault_user in /sys/kernel/tracing: mount tracefs there, and run as root")
}

/// A device, a consumer that maps a window of it as mapping 0, and who watches its faults.
private struct WatchedConsumer: ~Copyable {
  let device: ServedDevice
  var consumer: Consumer
  let faults: KernelFaults

  init(_ sources: [FaultSource]? = nil) throws {
    let device = try ServedDevice(["--create", "0-15"])
    var consumer = try Consumer(opening: device.path)
    guard let file = FileIdentity(ofPath: device.path) else { throw SupportFailure("no device") }
    let map = DeviceMap(pageShift: 12, sourceCount: 8_192, serverCount: 1_024)
    let faults = try KernelFaults(
      ofProcess: consumer.processID, device: file, map: map,
      sources ?? FaultSource.all { TextFile.contents(of: $0) })
    try consumer.expect("map 0 0 \(Region.esb.start) 65536 rw shared")
    try consumer.expect("advise 0 0 65536 random")
    self.device = device
    self.consumer = consumer
    self.faults = faults
  }

  /// Everything that was seen.
  consuming func finish() -> (faults: [KernelFault], names: [String], missing: [KernelTracingLimit])
  {
    let found = faults.stop().faults
    return (found, found.map { faults.symbols[$0.instructionPointer] ?? "" }, faults.missing)
  }
}

@Suite("Faults that the kernel sees", .hangGuard, .enabled(if: canTrace))
struct KernelFaultsTests {
  @Test(
    "A load, a store and a store to a page that was read: address, access, instruction, end",
    .enabled(if: hasTracepoints))
  func accesses() throws {
    var watched = try WatchedConsumer()
    let start = MonotonicClock.nanoseconds
    try watched.consumer.expect("load 0 4096 8")
    try watched.consumer.expect("store 0 \(3 * 4_096 + 0xc00) 8 0")
    try watched.consumer.expect("store 0 \(4_096 + 0xc00) 8 0")
    let end = MonotonicClock.nanoseconds
    let id = UInt32(watched.consumer.processID)
    let found = watched.finish()
    let esb = Region.esb.start
    #expect(found.faults.map(\.offset) == [esb + 0x1000, esb + 0x3c00, esb + 0x1c00])
    #expect(found.faults.map(\.access) == [.read, .write, .write])
    #expect(found.faults.map(\.isProtection) == [false, false, true])
    #expect(found.faults.map(\.outcome) == [.major, .major, .minor])
    #expect(found.faults.map(\.record.number) == [0, 1, 0])
    #expect(found.faults.allSatisfy { $0.record.half == 1 && !$0.isInKernel })
    #expect(found.faults.allSatisfy { $0.record.threadID == id && $0.record.processID == id })
    #expect(found.faults.allSatisfy { start < $0.record.time && $0.record.time < end })
    #expect(found.faults.allSatisfy { ($0.duration ?? .max) < end - start })
    #expect(found.faults.map { $0.address & 0xfff } == [0, 0xc00, 0xc00])
    #expect(
      found.names.map { $0.split(separator: "+").first ?? "" }
        == ["guarded_load", "guarded_store", "guarded_store"])
    #expect(found.missing == [])
  }

  #if arch(x86_64)
  @Test(
    "Without tracepoints the instructions tell loads from stores",
    arguments: [FaultSource.software, .softwareInProcess])
  func software(_ source: FaultSource) throws {
    var watched = try WatchedConsumer([source])
    try watched.consumer.expect("load 0 4096 8")
    try watched.consumer.expect("store 0 \(3 * 4_096 + 0xc00) 8 0")
    let found = watched.finish()
    #expect(found.faults.map(\.record.number) == [0, 1])
    #expect(found.faults.map(\.access) == [.read, .write])
    #expect(found.faults.map(\.outcome) == [.major, .major])
    #expect(found.missing.first == .noTracepoints)
    #expect(found.missing.count == (source == .software ? 1 : 2))
  }
  #endif

  @Test("A hole: one fault that gives no page")
  func hole() throws {
    var watched = try WatchedConsumer()
    let hole = Region.esb.start + 32 * 4_096
    try watched.consumer.expect("map 1 0 \(hole) 4096 rw shared")
    #expect(try watched.consumer.ask("load 1 8 8").hasPrefix("sigbus"))
    let found = watched.finish().faults
    #expect(found.map(\.offset) == [hole + 8])
    #expect(found.allSatisfy { $0.outcome == .unfinished || $0.outcome == .failed })
    #expect(found.map(\.duration) == [nil])
  }

  @Test("A page that another mapping has filled: a minor fault")
  func minor() throws {
    var watched = try WatchedConsumer()
    try watched.consumer.expect("load 0 0 8")
    try watched.consumer.expect("map 1 0 \(Region.esb.start) 4096 r shared")
    try watched.consumer.expect("load 1 16 8")
    let found = watched.finish().faults
    #expect(found.map(\.outcome) == [.major, .minor])
    #expect(found.map { $0.address & 0xfff } == [0, 16])
  }

  @Test("Threads that are started later are followed")
  func threads() throws {
    var watched = try WatchedConsumer()
    try watched.consumer.expect("threads 4 1 load 0 0 4096 8")
    let id = UInt32(watched.consumer.processID)
    let found = watched.finish().faults
    #expect(!found.isEmpty)
    #expect(found.allSatisfy { $0.record.processID == id && $0.record.threadID != id })
  }

  @Test("Mappings from before tracing began, and moved ones, are found")
  func earlier() throws {
    let device = try ServedDevice(["--create", "0-15"])
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("map 0 0 \(Region.esb.start) 65536 rw shared")
    let file = try #require(FileIdentity(ofPath: device.path))
    let faults = try KernelFaults(ofProcess: consumer.processID, device: file, map: smallMap)
    try consumer.expect("load 0 \(5 * 4_096) 8")
    try consumer.expect("remap 0 65536 1048576")
    try consumer.expect("load 0 \(7 * 4_096) 8")
    let offsets = faults.stop().faults.map(\.offset)
    #expect(offsets == [Region.esb.start + 5 * 4_096, Region.esb.start + 7 * 4_096])
  }

  @Test("A process that is not there: one line that says so")
  func noProcess() throws {
    let file = FileIdentity(major: 0, minor: 0, inode: 1)
    #expect(throws: KernelTracingError.noProcess(0x3fff_ffff)) {
      _ = try KernelFaults(ofProcess: 0x3fff_ffff, device: file, map: smallMap)
    }
  }
}
