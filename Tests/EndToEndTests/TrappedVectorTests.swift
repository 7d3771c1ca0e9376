import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Contract: events and TIMA accesses as recorded, through pointers of trapped windows",
  .enabled(if: Requirement.canMount && Requirement.canTrap), .hangGuard)
struct TrappedVectorTests {
  @Test(
    "Every recorded run over the router goes as recorded: each vCPU's own TIMA window, at offset 0",
    arguments: try Vectors.routerSequences.indices)
  func router(_ number: Int) throws {
    let sequence = try Vectors.routerSequences[number]
    var guest = try TrappedGuest(sequence)
    let commands = sequence.steps.flatMap { step in
      [guest.command(step.operation)] + (0..<2).map { guest.ringCommand($0) }
    }
    let answers = try guest.consumer.ask(all: commands)
    for (index, step) in sequence.steps.enumerated() {
      let answer = answers[index * 3..<index * 3 + 3].map { $0 }
      #expect(answer[0] == ExactWay.pointer.answer(step.result), "step \(index), \(step)")
      #expect(
        Array(answer[1...]) == step.rings.map { ExactWay.pointer.answer($0) },
        "step \(index), \(step)")
    }
    for (source, pq) in sequence.finalPQ.enumerated() {
      let answer = try guest.consumer.ask("load 0 \((source * 2 + 1) << 12 | 0x800) 8")
      #expect(answer == ExactWay.pointer.answer(UInt64(pq)), "source \(source)")
    }
    for queue in sequence.finalQueues { try guest.compare(queue) }
  }

  @Test(
    "Every access to every view of a vCPU's TIMA does what was recorded, whatever its size",
    arguments: try Vectors.timaAccesses.rows.indices)
  func tima(_ number: Int) throws {
    let vectors = try Vectors.timaAccesses
    let row = vectors.rows[number]
    let state = try #require(vectors.states.first { $0.name == row.state })
    let served = try ServedDevice()
    var consumer = try Consumer(opening: served.path)
    try #require(try consumer.connect(to: UInt64(vectors.server)).hasPrefix("ok"))
    try consumer.expect("trap 1 0 0 0x4000 rw")
    let setup = state.setup.map { Self.command($0.access) }
    _ = try consumer.ask(all: setup)
    let before = try Self.registers(&consumer)
    #expect(before.map { hex($0) }.joined() == state.registers)
    let accesses = try vectors.accesses(row).filter(\.result.quirks.isEmpty)
    // Those that change nothing are made in one go, and have changed nothing.
    let quiet = accesses.filter(\.result.changes.isEmpty)
    let answers = try consumer.ask(all: quiet.map { Self.command($0.access) })
    // Not an expectation each: there are very many.
    let wrong = zip(answers, quiet).filter { $0 != ExactWay.pointer.answer($1.result.value) }
    #expect(wrong.map { "\($1.access): \($0)" } == [])
    #expect(try Self.registers(&consumer) == before)
    for (access, result) in accesses where !result.changes.isEmpty {
      let answer = try consumer.ask(Self.command(access))
      #expect(answer == ExactWay.pointer.answer(result.value), "\(access)")
      var after = before
      for (offset, byte) in result.changes { after[offset - Self.firstRegister] = byte }
      #expect(try Self.registers(&consumer) == after, "\(access)")
      _ = try consumer.ask(all: setup)
    }
  }

  /// Where the registers begin that loads give: the user's ring cannot be loaded.
  private static let firstRegister = 0x10

  private static func command(_ access: TIMAAccess) -> String {
    let place = "1 \(access.view << 12 | access.offset) \(access.size)"
    return access.op == .load ? "load \(place)" : "store \(place) 0x\(hex(access.value))"
  }

  /// The registers, by loads in the HW view.
  private static func registers(_ consumer: inout Consumer) throws -> [UInt8] {
    try stride(from: firstRegister, to: 0x40, by: 8).flatMap { offset in
      let answer = try consumer.expect("load 1 \(offset) 8")
      let value = try #require(UInt64(answer.dropFirst(2), radix: 16))
      return (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
    }
  }
}

/// Two vCPUs in one process, descriptors 1 and 2, each with a trapped window of that number on its own TIMA; the sources'
/// pages are window 0, guest memory with the queues is mapping 9.
private struct TrappedGuest: ~Copyable {
  static let memory: UInt64 = 0x8000_0000
  let served: ServedDevice
  var consumer: Consumer

  init(_ sequence: RouterSequence) throws {
    let served = try ServedDevice(["--create", "0-11"])
    var consumer = try Consumer(opening: served.path)
    try consumer.expect("memfd 9 0x100000 shrink")
    try consumer.expect("map 9 9 0 0x100000 rw shared")
    try #require(try consumer.share(9, at: Self.memory, 0x100000).hasPrefix("ok"))
    for server in 0..<2 {
      try consumer.open(server + 1, served.path)
      try #require(try consumer.connect(server + 1, to: UInt64(server)).hasPrefix("ok"))
      try consumer.expect("trap \(server + 1) \(server + 1) 0 0x4000 rw")
    }
    try consumer.expect("trap 0 0 \(Region.esb.start) 0x18000 rw")
    for queue in sequence.queues { try Self.configure(queue, &consumer) }
    for source in sequence.sources { try Self.route(source, &consumer) }
    self.served = served
    self.consumer = consumer
  }

  private static func place(of queue: RouterSequence.Queue) -> UInt64 {
    UInt64(queue.server * 8 + queue.priority) << 16
  }

  private static func configure(_ queue: RouterSequence.Queue, _ consumer: inout Consumer) throws {
    let id = xive_eq_id(UInt32(queue.server), UInt32(queue.priority))
    let payload = Payload(
      UInt32(1), UInt32(16), memory + place(of: queue), queue.toggle, queue.index, UInt64(0),
      UInt64(0), UInt64(0), UInt64(0), UInt64(0))
    try consumer.expect("attr 0 set 4 \(id) \(payload.hex)")
  }

  private static func route(_ source: RouterSequence.Source, _ consumer: inout Consumer) throws {
    let value = xive_source_config(
      UInt32(source.server), UInt32(source.priority), source.eisn, source.masked ? 1 : 0)
    try consumer.expect("attr 0 set 3 \(source.lisn) \(Payload(value).hex)")
    try consumer.expect("load 0 \((source.lisn * 2 + 1) << 12 | 0xc00) 8")
  }

  func command(_ operation: RouterOperation) -> String {
    switch operation {
    case .trigger(let source): "store 0 \(source << 13) 8 0"
    case .load(let source, let offset): "load 0 \(UInt64(source * 2 + 1) << 12 | offset) 8"
    case .ack(let server): "load \(server + 1) \(OSView.acknowledge) 2"
    case .setCPPR(let server, let value): "store \(server + 1) \(OSView.cppr) 1 \(value)"
    case .setPending(let server, let priority):
      "store \(server + 1) \(OSView.setPending) 1 \(priority)"
    }
  }

  func ringCommand(_ server: Int) -> String { "load \(server + 1) \(OSView.ring) 8" }

  mutating func compare(_ expected: RouterSequence.Queue) throws {
    let queue = try consumer.queue(UInt32(expected.server), UInt32(expected.priority))
    #expect(queue.qtoggle == expected.toggle && queue.qindex == expected.index, "\(expected)")
    let bytes = bytes(try consumer.expect("bytes 9 \(Self.place(of: expected)) 0x10000"))
    var entries: [String: UInt32] = [:]
    for index in 0..<0x4000 {
      let entry = bytes[index * 4..<index * 4 + 4].reduce(0) { $0 << 8 | UInt32($1) }
      if entry != 0 { entries["\(index)"] = entry }
    }
    #expect(entries == expected.entries, "\(expected)")
  }
}
