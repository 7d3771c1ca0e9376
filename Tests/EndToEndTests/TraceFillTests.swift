import CXIVE
import SystemCalls
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@Suite("Records of real faults", .enabled(if: Requirement.canMount), .hangGuard)
struct TraceFillTests {
  @Test("A touch: who, where, what was served, when, and for how long")
  func touch() throws {
    let device = try ServedDevice(["--create", "0-31"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer()
    try consumer.expect("name toucher")
    try consumer.expect("open 0 \(device.path) rw,direct")
    try consumer.map(0, at: managementPage(17))
    let start = MonotonicClock.nanoseconds
    _ = try consumer.mapped(0, 0x800)
    let end = MonotonicClock.nanoseconds
    let all = try reader.read()
    let thread = UInt32(consumer.processID)
    let fills = all.filter { $0.kind == .fill }
    #expect(fills.count == 1)
    let fill = try #require(fills.first)
    #expect(fill.threadID == thread && fill.processID == thread)
    #expect(fill.offset == managementPage(17) && fill.value == 4_096)
    #expect(fill.number == 17 && fill.half == 1 && fill.backing == .ipi && fill.generation == 1)
    #expect(fill.result == .ok && fill.cause == .firstTouch && fill.version == 1)
    #expect(fill.pq?.before.rawValue == 1 && fill.pq?.after.rawValue == 1)
    #expect(fill.isWithin(start, end), "\(fill) is not in \(start)...\(end)")
    let name = try #require(all.last { $0.kind == .task && $0.threadID == thread })
    #expect(name.name == "toucher" && name.processID == thread && name.sequence < fill.sequence)
    _ = try consumer.mapped(0, 0xc00)
    #expect(try reader.read(by: consumer.processID).isEmpty, "a warm touch is no fault")
  }

  @Test("A page that was mapped by a passthrough names its interrupt")
  func passthrough() throws {
    let device = try ServedDevice(["--create", "0-7", "--phb", "0:4"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.passthrough(3, irq: 2)
    try consumer.map(0, at: kernelAlias(managementPage(3)))
    _ = try consumer.mapped(0, 0x800)
    let fill = try #require(
      try reader.read(by: consumer.processID).first { $0.kind == .fill })
    #expect(fill.hardware?.phb == 0 && fill.hardware?.irq == 2 && fill.number == 3)
    #expect(fill.generation == 2 && fill.offset == kernelAlias(managementPage(3)))
  }

  @Test("Why a page is filled again: a store, and whoever asks the kernel to forget it")
  func forgotten() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    let page = managementPage(2)
    try consumer.map(0, at: page)
    func next() throws -> [TraceCause] {
      _ = try consumer.mapped(0, 0x800)
      return try reader.read(by: consumer.processID).filter { $0.kind == .fill }.map(\.cause)
    }
    #expect(try next() == [.firstTouch])
    try consumer.store(at: page + 0xd00)
    #expect(try next() == [.store])
    // What is mapped stays; so it is taken out of the page tables first.
    try consumer.expect("unmap 0")
    try consumer.expect("drop 0 \(page) 4096")
    try consumer.map(0, at: page)
    #expect(try next() == [.reclaim])
    // Stores of others do not touch it.
    try consumer.store(at: managementPage(3) + 0xd00)
    #expect(try next() == [])
    try consumer.store(at: page + 0xd00)
    #expect(try next() == [.store])
  }

  @Test("A page that the kernel reclaims by itself, as when caches are dropped")
  func dropCaches() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(2))
    _ = try consumer.mapped(0, 0x800)
    try consumer.expect("unmap 0")
    try #require(
      try CommandResult(["/bin/sh", "-c", "echo 1 > /proc/sys/vm/drop_caches"]).exitCode == 0)
    try consumer.map(0, at: managementPage(2))
    _ = try consumer.mapped(0, 0x800)
    let causes = try reader.read(by: consumer.processID).filter { $0.kind == .fill }.map(\.cause)
    #expect(causes == [.firstTouch, .reclaim])
  }

  @Test("Why a page is filled again: map, unmap, unplug, and what the server fills by itself")
  func hotplug() throws {
    let device = try ServedDevice(["--create", "0-7", "--phb", "0:4"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(2))
    _ = try consumer.mapped(0, 0x800)
    try consumer.passthrough(2, irq: 1)
    _ = try consumer.mapped(0, 0x800)
    try consumer.passthrough(2, irq: 1, flags: XIVE_PASSTHROUGH_UNMAP)
    _ = try consumer.mapped(0, 0x800)
    try consumer.passthrough(2, irq: 1)
    _ = try consumer.mapped(0, 0x800)
    try consumer.expect(
      "inline 0 set 0x40 0 \(Payload(UInt32(0), UInt32(0), UInt32(0), UInt32(0)).hex)")
    _ = try consumer.mapped(0, 0x800)
    let all = try reader.read()
    let fills = all.filter { $0.kind == .fill }
    #expect(fills.map(\.cause) == [.firstTouch, .map, .unmap, .map, .unplug])
    #expect(fills.map(\.generation) == [1, 2, 3, 4, 5])
    #expect(fills.map { $0.backing } == [.ipi, .phb, .ipi, .phb, .ipi])
    // Before each of them: what was published, what was dropped for it, the end.
    let changes = all.filter { [.publish, .zap, .map, .unmap, .unplug].contains($0.kind) }
    let zaps = [TraceKind](repeating: .zap, count: 2)
    let one: [TraceKind?] = [.publish] + zaps
    #expect(
      changes.map(\.kind) == one + [.map] + one + [.unmap] + one + [.map] + one + [.zap, .unplug])
    #expect(changes.filter { $0.kind == .zap }.allSatisfy { $0.serviceTime > 0 })
    try consumer.expect(
      "inline 0 set 0x40 0 \(Payload(UInt32(4), UInt32(0), UInt32(0), UInt32(0)).hex)")
    try consumer.passthrough(4, irq: 1, flags: XIVE_PASSTHROUGH_PREFAULT)
    try consumer.map(1, at: managementPage(4))
    _ = try consumer.mapped(1, 0x800)
    let prefault = try reader.read().filter { $0.kind == .fill }
    #expect(prefault.map(\.cause) == [.prefault, .prefault], "the touch found them there")
    #expect(prefault.allSatisfy { $0.processID == UInt32(device.processID) && $0.number == 4 })
  }

  @Test("A vCPU that comes and goes takes its TIMA's page with it")
  func vcpu() throws {
    let device = try ServedDevice(["--create", "0-7", "--max-vcpus", "4"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: 0x2000)
    _ = try consumer.mapped(0, 0)
    try consumer.open(1, device.path)
    #expect(try consumer.connect(1, to: 0).hasPrefix("ok"))
    _ = try consumer.mapped(0, 0)
    let fills = try reader.read(by: consumer.processID).filter { $0.kind == .fill }
    #expect(fills.map(\.cause) == [.firstTouch, .vcpu])
    #expect(fills.map(\.number) == [nil, 0] && fills.allSatisfy { $0.backing == .tima })
    #expect(fills.map(\.generation) == [0, 1])
  }

  /// The refused fills that count, and those that do not.
  private func refusals(_ reader: inout RecordReader, _ consumer: borrowing Consumer) throws
    -> (shown: Int, again: Int)
  {
    let all = try reader.read(by: consumer.processID).filter {
      $0.kind == .fill && $0.result != .ok
    }
    return (all.count { $0.cause != .again }, all.count { $0.cause == .again })
  }

  @Test("One SIGBUS is one line, though the kernel asks twice", arguments: [false, true])
  func sigbus(isRandom: Bool) throws {
    let device = try ServedDevice(["--sources", "64", "--create", "0-3"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(4), 0x8000)
    if isRandom { try consumer.expect("advise 0 0 0x8000 random") }
    for access in ["load 0 0x1800 8", "load 0 0x1800 8", "store 0 0x1008 8 0", "load 0 0x3000 1"] {
      #expect(try consumer.ask(access).hasPrefix("sigbus"))
      let found = try refusals(&reader, consumer)
      #expect(found.shown == 1 && found.again >= 1, "\(access): \(found)")
    }
  }

  @Test("Two threads that fault on one hole are two SIGBUS, and two lines")
  func twoThreads() throws {
    let device = try ServedDevice(["--sources", "64", "--create", "0-3"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(4), 0x8000)
    let answer = try consumer.expect("threads 2 50 load 0 0x1800 0 8")
    #expect(answer.contains("sigbus=100"), "\(answer)")
    let found = try refusals(&reader, consumer)
    // Whether the first faults found each other's page cannot be known.
    #expect((98...102).contains(found.shown), "\(found)")
  }

  @Test(
    "A system call that touches a hole for its caller: EFAULT, one line"
  )
  func kernelTouch() throws {
    let device = try ServedDevice(["--sources", "64", "--create", "0-3"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(4), 0x8000)
    #expect(try consumer.ask("lend 0 0x1000 64") == "errno EFAULT 14")
    let found = try refusals(&reader, consumer)
    #expect(found.shown == 1 && found.again == 1, "\(found)")
  }

  @Test("With huge pages the kernel asks for 1 MiB first: a hole in it is no SIGBUS yet")
  func huge() throws {
    let device = try ServedDevice(["--sources", "4096", "--create", "0-200"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 4 << 20)
    try consumer.expect("advise 0 0 \(4 << 20) hugepage")
    _ = try consumer.mapped(0, 0x1800)
    #expect(try consumer.ask("load 0 \(201 << 13) 8").hasPrefix("sigbus"))
    let all = try reader.read(by: consumer.processID).filter { $0.kind == .fill }
    let shown = all.filter { $0.result != .ok && $0.cause != .again }
    #expect(shown.count == 1 && shown.first?.number == 201, "\(all.map(\.offset))")
    #expect(all.contains { $0.result == .ok && $0.number == 0 && $0.value == 1 << 20 })
  }
}
