import Testing
import XIVETestSupport

/// What the recorded runs need of a controller: the model and the reference both have it.
protocol EventPath {
  /// A controller of twelve sources at PQ 00 and two connected vCPUs.
  static func recorded(_ sequence: RouterSequence) throws -> Self
  /// Performs an operation; a load's value.
  mutating func perform(_ operation: RouterOperation) throws -> UInt64?
  /// The first eight bytes of a vCPU's OS ring, as a load gives them.
  func ring(of server: Int) -> UInt64
  /// PQ of a source.
  func pq(of source: Int) -> UInt8
  /// Generation bit and index of a queue's next entry.
  func position(of queue: RouterSequence.Queue) -> (UInt32, UInt32)
  /// An entry of a queue.
  func entry(_ index: Int, of queue: RouterSequence.Queue) -> UInt32
}

extension EventPath {
  /// Where the queues of a recorded run lie: one behind the other.
  static func address(of queue: RouterSequence.Queue) -> Int {
    (queue.server * 8 + queue.priority) * 0x10000
  }

  /// Bytes of memory in which all of them fit.
  static var memorySize: Int { 16 * 0x10000 }

  /// Repeats a recorded run and compares every step of it.
  static func replay(_ sequence: RouterSequence) throws {
    var path = try recorded(sequence)
    for (number, step) in sequence.steps.enumerated() {
      let result = try path.perform(step.operation)
      #expect(result == step.result, "step \(number), \(step)")
      #expect((0..<2).map { path.ring(of: $0) } == step.rings, "step \(number), \(step)")
    }
    #expect((0..<12).map { path.pq(of: $0) } == sequence.finalPQ)
    for queue in sequence.finalQueues { path.compare(queue) }
  }

  private func compare(_ queue: RouterSequence.Queue) {
    let (generation, index) = position(of: queue)
    #expect(generation == queue.toggle && index == queue.index, "\(queue)")
    var entries: [String: UInt32] = [:]
    for index in 0..<16384 {
      let entry = entry(index, of: queue)
      if entry != 0 { entries["\(index)"] = entry }
    }
    #expect(entries == queue.entries, "server \(queue.server), priority \(queue.priority)")
  }
}
