import CXIVE
import Glibc
import SystemCalls
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@Suite("Records of real accesses and requests", .enabled(if: Requirement.canMount), .hangGuard)
struct TraceEventTests {
  /// A consumer whose vCPU 0 takes source 1 as 77, and a reader that has seen how that came about.
  private func start(_ path: String) throws -> Consumer {
    var consumer = try Consumer(opening: path)
    try consumer.expect("memfd 5 0x10000 shrink")
    try #require(try consumer.share(5, at: 1 << 32, 0x10000) == "ok")
    try #require(try consumer.connect(0, to: 0).hasPrefix("ok"))
    try #require(try consumer.configureQueue(0, at: 1 << 32) == "ok")
    try consumer.route(1, to: 0, eisn: 77)
    try consumer.storeByte(0xff, at: OSView.cppr)
    return consumer
  }

  @Test("A trigger, its way to the vCPU, and its end: each with its numbers, in this order")
  func interrupt() throws {
    let device = try ServedDevice(["--create", "0-7", "--max-vcpus", "2"])
    var reader = try RecordReader(device.path)
    var consumer = try start(device.path)
    _ = try reader.read()
    let start = MonotonicClock.nanoseconds
    try consumer.store(0x55, at: triggerPage(1))
    let acknowledged = try consumer.load(at: OSView.acknowledge, size: 2)
    _ = try consumer.load(at: managementPage(1))
    let end = MonotonicClock.nanoseconds
    let found = try reader.read(by: consumer.processID).filter { $0.kind != .zap }
    try #require(
      found.map(\.kind) == [.trigger, .forward, .notify, .store, .load, .eoi, .load],
      "\(found.map(\.rawKind))")
    let thread = UInt32(consumer.processID)
    #expect(found.allSatisfy { $0.threadID == thread && $0.time >= start && $0.time <= end })
    let (trigger, forward, notify, store) = (found[0], found[1], found[2], found[3])
    #expect(trigger.number == 1 && trigger.pq?.before == .reset && trigger.pq?.after == .pending)
    // An EAS as the architecture has it: valid, END 6 of server 0, the guest's number.
    #expect(forward.number == 1 && forward.value & 0x7fff_ffff == 77 && forward.result == .ok)
    #expect(notify.number == 0 && notify.value >> 48 == 0x80ff)
    #expect(store.offset == triggerPage(1) && store.value == 0x55 && store.accessByteCount == 8)
    #expect(store.number == 1 && store.half == 0 && store.pq?.after == .pending)
    #expect(store.isWithin(start, end) && store.time <= trigger.time)
    let (acknowledge, eoi, load) = (found[4], found[5], found[6])
    #expect(acknowledge.value == acknowledged && acknowledge.accessByteCount == 2)
    #expect(acknowledge.backing == .tima && acknowledge.number == 0 && acknowledge.half == 2)
    #expect(acknowledge.offset == OSView.acknowledge)
    #expect(eoi.number == 1 && eoi.pq?.before == .pending && eoi.pq?.after == .reset)
    #expect(load.number == 1 && load.half == 1 && load.value == 0 && load.isWithin(start, end))
  }

  @Test("Stores through mappings, also of several pages at once, and an image without any")
  func writeBack() throws {
    let device = try ServedDevice(["--create", "0-7", "--tick", "0"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    for source in UInt64(1)..<3 { try consumer.setPQ(source, 0) }
    try consumer.map(0, at: triggerPage(1), 0x4000)
    _ = try reader.read()
    try consumer.storeMapped(0, 0x10, 0xabcd)
    try consumer.storeMapped(0, 0x1d00, 0x77)
    try consumer.storeMapped(0, 0x2018, 0x1234)
    try consumer.synchronize(0, 0x4000)
    // The kernel writes back by itself, whoever waits for it.
    let stores = try reader.read().filter { $0.kind == .writeBack && $0.threadID == 0 }
      .sorted { $0.offset ?? 0 < $1.offset ?? 0 }
    #expect(
      stores.map(\.offset) == [
        triggerPage(1) + 0x10, managementPage(1) + 0xd00, triggerPage(2) + 0x18,
      ])
    #expect(stores.map(\.value) == [0xabcd, 0x77, 0x1234])
    #expect(stores.map(\.number) == [1, 1, 2] && stores.map(\.half) == [0, 1, 0])
    #expect(stores.allSatisfy { $0.backing == .ipi && $0.generation == 1 && $0.result == .ok })
    // The slot shows all ones, and so does the store.
    try consumer.storeMapped(0, 0x1400, .max)
    try consumer.synchronize(0, 0x4000)
    let found = try reader.read().filter { $0.kind == .writeBack }
    #expect(!found.isEmpty)
  }

  @Test("Bytes that are replaced in a mapped page are a record of the server's")
  func update() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(3))
    _ = try consumer.mapped(0, 0x800)
    var other = try Consumer(opening: device.path)
    try other.expect("inline 0 set 2 3 0000000000000000")
    try other.setPQ(3, 2)
    #expect(try consumer.await(0, 0x800, 2))
    let updates = try reader.read().filter { $0.kind == .update }
    let update = try #require(updates.last)
    #expect(update.number == 3 && update.half == 1 && update.offset == managementPage(3) + 0x800)
    #expect(update.value == 0x400 && update.processID == UInt32(device.processID))
    #expect(update.serviceTime > 0)
  }

  @Test("Requests: inline, by pointer, refused, and those that are not about attributes")
  func requests() throws {
    let device = try ServedDevice(["--create", "0-7", "--phb", "0:4"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    let start = MonotonicClock.nanoseconds
    try consumer.expect("inline 0 set 2 9 0000000000000000")
    try consumer.expect("attr 0 set 2 10 0100000000000000")
    #expect(try consumer.ask("attr 0 set 2 10 bad").hasPrefix("errno EFAULT"))
    try consumer.expect("attr 0 has 0x40 0 null")
    _ = try consumer.delivery()
    try consumer.expect("line 0 1 1")
    #expect(try consumer.ask("attr 0 set 0x77 1 00").hasPrefix("errno ENXIO"))
    let end = MonotonicClock.nanoseconds
    let found = try reader.read(by: consumer.processID).filter { $0.kind == .attribute }
    try #require(found.count == 7)
    #expect(found.map(\.generation) == [2, 2, 2, 0x40, 0x50, 0x4008_ae61, 0x77])
    #expect(
      found.map { UInt32($0.half) }
        == [
          XIVE_TRACE_SET, XIVE_TRACE_SET, XIVE_TRACE_SET, XIVE_TRACE_HAS, XIVE_TRACE_GET,
          XIVE_TRACE_REQUEST, XIVE_TRACE_SET,
        ])
    #expect(found.map(\.number) == [9, 10, 10, nil, nil, nil, nil])
    #expect(found.map(\.result) == [.ok, .ok, .errno(14), .ok, .ok, .ok, .errno(6)])
    #expect(found[1].value == 1 && found[5].value == 1 | 1 << 32)
    #expect(found.map(\.offset).prefix(4) == [9, 10, 10, 0])
    #expect(found.allSatisfy { $0.isWithin(start, end) })
  }

  @Test("What a guest did wrong, and what hardware does with it")
  func wrongs() throws {
    let device = try ServedDevice(["--sources", "16", "--create", "0-7", "--phb", "0:4"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.load(at: managementPage(9)) == allOnes)
    try consumer.expect("inline 0 set 0x42 0 \(Payload(XIVE_HWIRQ_FENCE, UInt32(0)).hex)")
    #expect(try consumer.load(at: 16 << 40 | 0x800) == allOnes)
    try consumer.expect("inline 0 set 0x42 0 \(Payload(XIVE_HWIRQ_UNFENCE, UInt32(0)).hex)")
    try consumer.expect(
      "inline 0 set 0x40 5 \(Payload(UInt32(8), UInt32(2), UInt32(1), UInt32(0)).hex)")
    let found = try reader.read(by: consumer.processID)
    let errors = found.filter { $0.kind == .guestError }
    #expect(errors.map(\.value) == [0, 0] && errors.first?.offset == managementPage(9))
    let loads = found.filter { $0.kind == .load }
    #expect(loads.map(\.result) == [.absent(.notCreated), .absent(.fenced)])
    #expect(loads.map(\.value) == [allOnes, allOnes])
    #expect(loads.last?.hardware?.irq == 0 && loads.last?.backing == .phb)
    #expect(found.filter { $0.kind == .fence }.map(\.value) == [1, 0])
    let plug = try #require(found.first { $0.kind == .plug })
    #expect(plug.hardware?.phb == 5 && plug.value == 8 | 2 << 32 | 1 << 63)
  }

  @Test("A thread in a child of its consumer has its own numbers")
  func fork() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(1), 0x1000)
    let child = try #require(UInt32(try consumer.expect("fork").dropFirst("pid=".count)))
    try consumer.expect("child name forked")
    try consumer.expect("child load 0 0x800 8")
    try consumer.expect("child pread 0 \(managementPage(1) + 0x800) 8")
    let found = try reader.read().filter { $0.threadID == child }
    #expect(found.map(\.kind) == [.task, .fill, .load] && found.first?.name == "forked")
    #expect(found.allSatisfy { $0.processID == child })
    try consumer.expect("child exit 0")
  }

  @Test(
    "A consumer in another process namespace has the numbers that the server sees",
    .enabled(if: Requirement.check(geteuid() == 0, "only root makes process namespaces")))
  func namespace() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var reader = try RecordReader(device.path)
    let program = Built.path("TestConsumer")
    var apart = try ChildProcess(program, ["--apart", program])
    apart.send("open 0 \(device.path) rw,direct")
    #expect(apart.line(within: 60_000) == "ok")
    apart.send("pid")
    #expect(apart.line(within: 60_000) == "ok 1", "it is the first of its own")
    apart.send("pread 0 \(managementPage(1) + 0x800) 8")
    #expect(apart.line(within: 60_000) == "ok 0000000000000001")
    let load = try #require(try reader.read().first { $0.kind == .load && $0.number == 1 })
    let path = "/proc/\(apart.id)/task/\(apart.id)/children"
    let child = TextFile.contents(of: path).split(separator: " ").first.flatMap { UInt32($0) }
    #expect(child != nil && load.threadID == child && load.processID == child)
    apart.send("exit 0")
  }

  @Test(
    "A server in a namespace of its own does not see its consumers: number 0, and nobody else's name",
    .enabled(if: Requirement.check(geteuid() == 0, "only root makes process namespaces")))
  func unseen() throws {
    let apart = [Built.path("TestConsumer"), "--apart", Built.path("xive"), "serve"]
    var device = try ServedDevice(["--create", "0-7"], program: apart)
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    _ = try consumer.pq(1)
    let load = try #require(try reader.read().first { $0.kind == .load && $0.number == 1 })
    #expect(load.threadID == 0 && load.processID == 0 && load.number == 1)
    #expect(device.stop() == 0)
  }
}
