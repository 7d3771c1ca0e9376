import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Many threads on one source through trapped windows",
  .enabled(if: Requirement.canMount && Requirement.canTrap),
  .hangGuard)
struct TrappedThreadTests {
  private static let source: UInt64 = 3

  /// Has threads of some processes operate at random, and returns what all of them saw.
  private func contend(
    _ consumers: borrowing Contenders, threads: Int, seed: UInt64
  ) throws -> ConcurrentHistory {
    let answers = try consumers.askAll { number in
      "contend \(threads) 3 0 \(Self.source << 13) 0x1000 \(seed &+ UInt64(number) * 977)"
    }
    var history = ConcurrentHistory()
    for text in answers.flatMap({ $0.split(separator: " ") }) {
      let fields = text.split(separator: ":").compactMap { UInt64($0) }
      try #require(fields.count == 3, "\(text)")
      let operation: ConcurrentHistory.Operation =
        switch fields[0] {
        case 0: .trigger
        case 1: .endOfInterrupt
        case 2: .get
        default: .setPQ(PQ(rawValue: UInt8(fields[1])))
        }
      history.add(operation, fields[2])
    }
    return history
  }

  @Test(
    "Sixteen threads that trigger, end, look and set at once: one path through PQ explains it",
    arguments: [1, 2])
  func contention(_ processes: Int) throws {
    let device = try ServedDevice(["--create", "0-7"])
    var witness = try Consumer(opening: device.path)
    let consumers = try Contenders(processes) {
      var consumer = try Consumer(opening: device.path)
      try consumer.expect("trap 0 0 \(triggerPage(0)) 0x10000 rw")
      return consumer
    }
    var random = Seed.generator()
    var (before, events) = (try witness.pq(Self.source), try witness.counters().events)
    for round in 0..<120 {
      let history = try contend(
        consumers, threads: 16 / processes, seed: .random(in: 0...(.max >> 1), using: &random))
      let after = try witness.pq(Self.source)
      let total = try witness.counters().events
      let isExplained = history.isExplained(
        from: PQ(rawValue: UInt8(before)), to: PQ(rawValue: UInt8(after)),
        events: Int(total - events))
      #expect(isExplained, "round \(round), \(Seed.comment)")
      (before, events) = (after, total)
    }
    // The neighbours' pages have had no part in it.
    for other in [Self.source - 1, Self.source + 1] { #expect(try witness.pq(other) == 1) }
    #expect(events > 100, "something was forwarded")
  }

  @Test("Triggers of sixteen threads through pointers are counted: one event, the rest is one more")
  func triggers() throws {
    let device = try ServedDevice(["--create", "0"])
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("trap 0 0 \(triggerPage(0)) 0x2000 rw")
    try consumer.setPQ(0, 0)
    let answer = try consumer.ask("threads 16 200 store 0 0 0 8")
    #expect(answer.hasPrefix("ok sigbus=0 accesses=3200 "), "\(answer)")
    #expect(try consumer.counters().exactStores == 3_200)
    #expect(try consumer.counters().events == 1)
    #expect(try consumer.expect("load 0 0x1800 8") == "0x3")
    #expect(try consumer.expect("load 0 0x1000 8") == "0x1")
  }

  @Test("A server that dies under sixteen threads is a SIGBUS for each of them, and no hang")
  func death() throws {
    var device = try ServedDevice(["--create", "0-7"])
    var consumer = try Consumer(opening: device.path)
    try consumer.expect("trap 0 0 \(triggerPage(0)) 0x10000 rw")
    consumer.send("threads 16 4000 load 0 0x1800 0 8")
    device.signal(9)
    #expect(device.exitCode() == 137)
    let answer = try consumer.answer()
    #expect(answer.hasPrefix("ok sigbus=") && !answer.hasPrefix("ok sigbus=0 "), "\(answer)")
    #expect(try consumer.ask("load 0 0x1800 8") == "sigbus code=2 address=0x1800")
  }
}

/// Consumer processes that are asked at the same time.
private struct Contenders: ~Copyable {
  private final class Box {
    var consumer: Consumer
    init(_ consumer: consuming Consumer) { self.consumer = consumer }
  }
  private let boxes: [Box]

  init(_ count: Int, _ make: () throws -> Consumer) throws {
    boxes = try (0..<count).map { _ in Box(try make()) }
  }

  /// Sends each its command, and reads what stands behind `ok`.
  func askAll(_ command: (Int) -> String) throws -> [String] {
    for (number, box) in boxes.enumerated() { box.consumer.send(command(number)) }
    return try boxes.map { box in
      let answer = try box.consumer.answer()
      try #require(answer.hasPrefix("ok "), "\(answer)")
      return String(answer.dropFirst(3))
    }
  }
}
