import CXIVE
import Glibc
import SystemCalls
import Testing
import TraceRecords
import XIVEModel
import XIVETestSupport

@Suite("The stream of records", .enabled(if: Requirement.canMount), .hangGuard)
struct TraceStreamTests {
  /// The records between two numbers must be there, each once, or be in a gap that says how many.
  private func hasWholeOrder(_ stream: [TraceRecord], from start: UInt64 = 0) -> Bool {
    var next = start
    for record in stream {
      guard record.sequence == next else { return false }
      next += record.kind == .gap ? record.value : 1
    }
    return true
  }

  @Test("Off without readers, on with one, off again when it has gone, however it went")
  func onAndOff() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.traceInfo().on == 0)
    for isKilled in [false, true] {
      do {
        var reader = try RecordReader(device.path)
        #expect(try consumer.traceInfo().on == 1 && consumer.traceInfo().readers == 1)
        if isKilled { reader.kill() } else { _ = try reader.ask("close 0") }
      }
      #expect(try awaitInfo(&consumer) { $0.on == 0 && $0.readers == 0 })
    }
    let before = try consumer.traceInfo().next
    _ = try consumer.pq(1)
    #expect(try consumer.traceInfo().next == before, "nobody follows")
  }

  private func awaitInfo(
    _ consumer: inout Consumer, _ isExpected: (xive_info_trace) -> Bool
  ) throws -> Bool {
    for _ in 0..<6_000 {
      if isExpected(try consumer.traceInfo()) { return true }
      try consumer.expect("sleep 10")
    }
    return false
  }

  @Test("With --trace records are there before anybody reads")
  func always() throws {
    let device = try ServedDevice(["--create", "0-7", "--trace"])
    var consumer = try Consumer(opening: device.path)
    _ = try consumer.pq(1)
    #expect(try consumer.traceInfo().on == 1 && consumer.traceInfo().readers == 0)
    var reader = try RecordReader(device.path)
    let found = try reader.records(from: 0)
    #expect(found.contains { $0.kind == .load && $0.processID == UInt32(consumer.processID) })
  }

  @Test("Lost records are one gap that counts them exactly; it goes on behind it")
  func gaps() throws {
    let device = try ServedDevice(["--create", "0-7", "--trace", "--trace-records", "64"])
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: managementPage(1))
    try consumer.expect("hammer 1 300 pread 0 \(managementPage(1) + 0x800)")
    var reader = try RecordReader(device.path)
    let info = try consumer.traceInfo()
    #expect(info.capacity == 64 && info.oldest > 0 && info.untaken == 0)
    let stream = try reader.records(from: 0, count: 4_096)
    let gap = try #require(stream.first)
    #expect(gap.kind == .gap && gap.sequence == 0 && gap.value > 0)
    #expect(hasWholeOrder(stream))
    // Each thread of the server's has kept its last 64, no more; what is between is in gaps.
    let kept = stream.filter { $0.kind != .gap }
    #expect(kept.count >= 64 && kept.count <= 64 * 8)
    let lost = stream.filter { $0.kind == .gap }.reduce(0) { $0 + $1.value }
    #expect(lost + UInt64(kept.count) == (stream.last?.sequence ?? 0) + 1)
    #expect(try reader.records(from: 5, count: 1).first?.value == gap.value - 5)
  }

  @Test("Eight threads and a slow reader: each thread's touches in its order, none missing")
  func order() throws {
    let device = try ServedDevice(["--sources", "4096", "--create", "0-4095"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    try consumer.map(0, at: triggerPage(0), 4_096 << 13)
    let answer = try consumer.expect("threads 8 1000 load 0 0 4096 8")
    #expect(answer.contains("sigbus=0 accesses=8000"), "\(answer)")
    try consumer.expect("threads 8 100 load 0 0 4096 8")
    var stream: [TraceRecord] = []
    // A little at a time; nothing has been lost, so that each has the next number.
    let first = reader.next
    while case let part = try reader.records(from: first + UInt64(stream.count), count: 100),
      !part.isEmpty
    {
      stream += part
    }
    #expect(hasWholeOrder(stream, from: stream.first?.sequence ?? 0))
    #expect(!stream.contains { $0.kind == .gap })
    let fills = stream.filter { $0.kind == .fill }
    let threads = Dictionary(grouping: fills, by: \.threadID)
    #expect(fills.count == 8_000 && threads.count == 8)
    for (thread, fills) in threads {
      let pages = fills.compactMap(\.offset)
      let start = try #require(pages.first)
      #expect(pages == (0..<1_000).map { start + $0 << 12 }, "thread \(thread)")
      #expect(fills.allSatisfy { $0.processID == UInt32(consumer.processID) })
      let ends = fills.map { $0.time + UInt64($0.serviceTime) }
      #expect(zip(ends, fills.dropFirst()).allSatisfy { $0 <= $1.time + 50_000_000 })
    }
  }

  @Test("Two readers at places of their own see the same")
  func twoReaders() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var first = try RecordReader(device.path)
    var second = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    for _ in 0..<20 { _ = try consumer.pq(1) }
    let all = try first.read(by: consumer.processID)
    #expect(all.count == 20)
    #expect(try second.ask("poll 0 in 0") == "ok in", "it has not read them yet")
    #expect(try second.read(by: consumer.processID) == all)
    // What the two have left to tell that they have read all.
    _ = (try first.take(), try second.take())
    #expect(try first.ask("poll 0 in 0") == "ok none" && second.ask("poll 0 in 0") == "ok none")
    let three = try second.records(from: all[3].sequence, count: 2)
    #expect(three.first == all[3])
    #expect(try first.ask("poll 0 in 0") == "ok none", "others' places are not one's own")
    #expect(try second.ask("poll 0 in 0") == "ok in")
  }

  @Test("poll and epoll wake when there are records, and only then")
  func wakes() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var reader = try RecordReader(device.path)
    var consumer = try Consumer(opening: device.path)
    _ = try reader.take()
    for isEdge in [false, true] {
      if isEdge { #expect(try reader.ask("epoll-add 0 in,edge") == "ok") }
      let wait = isEdge ? "epoll-wait" : "poll 0 in"
      #expect(try reader.ask("\(wait) 50") == "ok none")
      for _ in 0..<20 {
        _ = try consumer.pq(1)
        #expect(try reader.ask("\(wait) 60000") == (isEdge ? "ok 0:in" : "ok in"))
        while case let found = try reader.take(), !found.contains(where: { $0.kind == .load }) {}
      }
      #expect(try reader.ask("\(wait) 50") == "ok none")
    }
  }

  @Test("What the region refuses: parts of records, stores, mappings, cached reads")
  func refusals() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var consumer = try Consumer(opening: device.path)
    let region = xive_trace_offset(0)
    for (offset, size) in [(1, 64), (0, 63), (8, 64), (0, 8)] as [(UInt64, Int)] {
      #expect(try consumer.ask("pread 0 \(region + offset) \(size)") == "errno EINVAL 22")
    }
    #expect(try consumer.traceInfo().readers == 0)
    let zeros = String(repeating: "0", count: 128)
    #expect(try consumer.ask("pwrite 0 \(region) \(zeros)") == "errno EINVAL 22")
    #expect(try consumer.ask("pwrite 0 \(region) 0000000000000000") == "errno EINVAL 22")
    try consumer.map(0, at: region)
    #expect(try consumer.ask("load 0 0 8").hasPrefix("sigbus"))
    try consumer.expect("open 1 \(device.path) ro")
    #expect(try consumer.ask("pread 1 \(region) 64").hasPrefix("errno"), "not without O_DIRECT")
    #expect(try consumer.expect("pread 0 \(region) 1048576").hasSuffix(zeros))
    #expect(try consumer.expect("pread 0 \(region + 1 << 50) 128") == zeros + zeros)
    #expect(try consumer.traceInfo().readers == 1)
  }

  @Test("Consumers that are killed while they are followed leave whole records")
  func killed() throws {
    let device = try ServedDevice(["--sources", "256", "--create", "0-255"])
    var reader = try RecordReader(device.path)
    var stream: [TraceRecord] = []
    var random = Seed.generator(stream: 77)
    for round in 0..<12 {
      var first = try Consumer(opening: device.path)
      var second = try Consumer(opening: device.path)
      try first.map(0, at: triggerPage(0), 256 << 13)
      try second.map(0, at: triggerPage(0), 256 << 13)
      first.send("hammer 2 60000 pwrite 0 \(triggerPage(UInt64(round)))")
      second.send("hammer 2 60000 pread 0 \(managementPage(UInt64(round)) + 0x800)")
      usleep(UInt32.random(in: 1_000..<60_000, using: &random))
      first.signal(SIGKILL)
      usleep(UInt32.random(in: 0..<20_000, using: &random))
      second.signal(SIGKILL)
      _ = (first.exitCode(), second.exitCode())
      stream += try reader.read()
    }
    #expect(hasWholeOrder(stream, from: stream.first?.sequence ?? 0))
    let errors = stream.filter { $0.version != 1 || $0.kind == nil }
    #expect(errors.isEmpty)
    var consumer = try Consumer(opening: device.path)
    #expect(try consumer.traceInfo().on == 1)
  }

  @Test("A reader that is killed while it reads holds nobody up")
  func killedReader() throws {
    let device = try ServedDevice(["--create", "0-7"])
    var consumer = try Consumer(opening: device.path)
    for _ in 0..<10 {
      var reader = try Consumer(opening: device.path, "ro,direct")
      for _ in 0..<200 { reader.send("pread 0 \(xive_trace_offset(0)) 65536") }
      for _ in 0..<20 { _ = try consumer.pq(1) }
      reader.signal(SIGKILL)
      _ = reader.exitCode()
      #expect(try awaitInfo(&consumer) { $0.on == 0 })
    }
  }
}
