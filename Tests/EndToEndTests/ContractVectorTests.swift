import CXIVE
import Testing
import XIVEModel
import XIVETestSupport

@Suite(
  "Contract: what was recorded from QEMU, through a mount",
  .enabled(if: Requirement.canMount), .hangGuard)
struct ContractVectorTests {
  @Test(
    "E1, E8: every single access does what was recorded, in each shape of ESB pages",
    arguments: try Vectors.operations, ExactWay.possible)
  func operations(_ set: OperationSet, _ way: ExactWay) throws {
    var device = try ContractDevice(
      ContractDevice.options(esbShift: set.esbShift, storeEOI: set.storeEOI, create: "4-6"))
    try device.prepare(way)
    let management = device.page(5, .management)
    let commands = set.rows.flatMap { row in
      [
        way.command(.load, at: management + 0xc00 + UInt64(row.before) * 0x100),
        way.command(row.op, at: device.page(5, row.page.half) + row.offset),
        way.command(.load, at: management + 0x800), countersCommand,
      ]
    }
    var events = try device.counters().events
    let answers = try device.consumer.ask(all: commands)
    for (index, row) in set.rows.enumerated() {
      let answer = answers[index * 4..<index * 4 + 4].map { $0 }
      #expect(answer[1] == way.answer(row.value), "\(row)")
      #expect(answer[2] == way.answer(UInt64(row.after)), "\(row)")
      let now = try eventCount(answer[3])
      #expect(now - events == (row.isInjection ? 0 : row.notified), "\(row)")
      events = now
    }
    for neighbour: UInt32 in [4, 6] { #expect(try device.pq(neighbour) == 1) }
    device.end()
  }

  @Test(
    "Every recorded sequence runs as recorded, step by step", arguments: try Vectors.sequences,
    ExactWay.possible)
  func sequences(_ set: SequenceSet, _ way: ExactWay) throws {
    var device = try ContractDevice(
      ContractDevice.options(esbShift: set.esbShift, storeEOI: set.storeEOI, create: "0-8191"))
    try device.prepare(way)
    for sequence in set.sequences { try run(sequence, on: &device, way) }
    device.end()
  }

  private func run(
    _ sequence: VectorSequence, on device: inout ContractDevice, _ way: ExactWay
  ) throws {
    let sources = sequence.base..<sequence.base + 3
    // Two sequences of one file may share sources.
    for source in sources { try device.create(source) }
    let commands = sequence.steps.flatMap { step in
      [
        way.command(
          step.op, at: device.page(sequence.base + step.source, step.page.half) + step.offset),
        countersCommand,
      ]
    }
    var events = try device.counters().events
    let answers = try device.consumer.ask(all: commands)
    for (index, step) in sequence.steps.enumerated() {
      #expect(answers[index * 2] == way.answer(step.value), "step \(index), \(step)")
      let now = try eventCount(answers[index * 2 + 1])
      #expect(now - events == step.notified, "step \(index), \(step)")
      events = now
    }
    for (source, pq) in zip(sources, sequence.final) { #expect(try device.pq(source) == pq) }
  }

  private let countersCommand = "inline 0 get 0x50 1 -"

  private func eventCount(_ answer: String) throws -> UInt64 {
    let counters: xive_info_counters = try Consumer.value(of: answer)
    return counters.events
  }
}

/// How an exact access of 8 bytes in region 1 is made.
enum ExactWay: CustomTestStringConvertible {
  case call, pointer

  /// Those of this machine.
  static var possible: [ExactWay] { Requirement.canTrap ? [.call, .pointer] : [.call] }

  var testDescription: String { self == .call ? "by a call" : "by a pointer" }

  func command(_ access: VectorAccess, at offset: UInt64) -> String {
    if self == .call { return exact(access, at: offset) }
    let place = offset - Region.esb.start
    return switch access {
    case .load: "load 0 \(place) 8"
    case .store: "store 0 \(place) 8 0x\(hex(offset &* 0x9e37_79b9_7f4a_7c15))"
    }
  }

  /// The consumer's answer to one that gave a value, or to a store.
  func answer(_ value: UInt64?) -> String {
    if self == .call { return exactAnswer(value) }
    return value.map { "ok 0x\(String($0, radix: 16))" } ?? "ok"
  }
}

extension ContractDevice {
  /// Maps the sources' pages as trapped window 0, where pointers are wanted.
  fileprivate mutating func prepare(_ way: ExactWay) throws {
    guard way == .pointer else { return }
    let byteCount = UInt64(map.sourceCount) * 2 * map.pageByteCount
    try consumer.expect("trap 0 0 \(Region.esb.start) \(byteCount) rw")
  }
}

extension VectorPage {
  var half: ESBHalf { self == .trigger ? .trigger : .management }
}

extension OperationRow {
  /// QEMU forwards an event for a store here; the architecture has nothing, and neither has this device.
  fileprivate var isInjection: Bool {
    page == .management && op == .store && (0x800...0xbff).contains(offset & 0xfff)
  }
}
