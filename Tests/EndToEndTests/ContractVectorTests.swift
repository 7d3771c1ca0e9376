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
    arguments: try Vectors.operations)
  func operations(_ set: OperationSet) throws {
    var device = try ContractDevice(
      ContractDevice.options(esbShift: set.esbShift, storeEOI: set.storeEOI, create: "4-6"))
    let management = device.page(5, .management)
    let commands = set.rows.flatMap { row in
      [
        exact(.load, at: management + 0xc00 + UInt64(row.before) * 0x100),
        exact(row.op, at: device.page(5, row.page.half) + row.offset),
        exact(.load, at: management + 0x800), countersCommand,
      ]
    }
    var events = try device.counters().events
    let answers = try device.consumer.ask(all: commands)
    for (index, row) in set.rows.enumerated() {
      let answer = answers[index * 4..<index * 4 + 4].map { $0 }
      #expect(answer[1] == exactAnswer(row.value), "\(row)")
      #expect(answer[2] == exactAnswer(UInt64(row.after)), "\(row)")
      let now = try eventCount(answer[3])
      #expect(now - events == (row.isInjection ? 0 : row.notified), "\(row)")
      events = now
    }
    for neighbour: UInt32 in [4, 6] { #expect(try device.pq(neighbour) == 1) }
    device.end()
  }

  @Test("Every recorded sequence runs as recorded, step by step", arguments: try Vectors.sequences)
  func sequences(_ set: SequenceSet) throws {
    var device = try ContractDevice(
      ContractDevice.options(esbShift: set.esbShift, storeEOI: set.storeEOI, create: "0-8191"))
    for sequence in set.sequences { try run(sequence, on: &device) }
    device.end()
  }

  private func run(_ sequence: VectorSequence, on device: inout ContractDevice) throws {
    let sources = sequence.base..<sequence.base + 3
    // Two sequences of one file may share sources.
    for source in sources { try device.create(source) }
    let commands = sequence.steps.flatMap { step in
      [
        exact(
          step.op, at: device.page(sequence.base + step.source, step.page.half) + step.offset),
        countersCommand,
      ]
    }
    var events = try device.counters().events
    let answers = try device.consumer.ask(all: commands)
    for (index, step) in sequence.steps.enumerated() {
      #expect(answers[index * 2] == exactAnswer(step.value), "step \(index), \(step)")
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

extension VectorPage {
  var half: ESBHalf { self == .trigger ? .trigger : .management }
}

extension OperationRow {
  /// QEMU forwards an event for a store here; the architecture has nothing, and neither has this device.
  fileprivate var isInjection: Bool {
    page == .management && op == .store && (0x800...0xbff).contains(offset & 0xfff)
  }
}
