import Synchronization
import TraceRecords
import XIVEModel

/// Writers that remember what they wrote, and which number it got: what readers see is held against it.
final class RingModel: Sendable {
  let rings: TraceRings
  private let written: Mutex<[Int: [(number: UInt64, index: Int)]]> = Mutex([:])

  init(capacity: Int) { rings = TraceRings(capacity: capacity) }

  /// A record that no other one is like, in any of its words.
  static func record(_ writer: Int, _ index: Int) -> TraceRecord {
    let mark = UInt64(writer) << 32 | UInt64(index)
    var record = TraceRecord(.load, time: mark &* 0x9e37_79b9_7f4a_7c15)
    record.offset = mark
    record.value = ~mark
    record.threadID = UInt32(truncatingIfNeeded: mark &* 0xd6e8_feb8)
    record.processID = UInt32(index)
    record.number = UInt32(writer)
    record.generation = ~UInt32(index)
    record.queueTime = UInt32(index) &* 0x9e37_79b9
    record.serviceTime = UInt32(writer) &* 0x9e37_79b9 &+ UInt32(index)
    record.hardware = (phb: UInt16(index & 0x3ff), irq: UInt16(truncatingIfNeeded: index >> 3))
    record.pq = (PQ(rawValue: UInt8(index & 3)), PQ(rawValue: UInt8(index >> 2 & 3)))
    return record
  }

  /// Writes some records as the calling thread's; they follow those that it wrote before.
  func write(_ count: Int, as writer: Int, pause: (Int) -> Void = { _ in }) {
    var numbers: [(number: UInt64, index: Int)] = []
    let start = written.withLock { $0[writer]?.count ?? 0 }
    for index in start..<start + count {
      let number = rings.claim()
      // Between the number and the record, as an answer is sent.
      pause(index)
      rings.write(Self.record(writer, index), number)
      numbers.append((number, index))
    }
    written.withLock { [numbers] in $0[writer, default: []] += numbers }
  }

  /// What was written under each number.
  var all: [UInt64: TraceRecord] {
    written.withLock { written in
      var all: [UInt64: TraceRecord] = [:]
      for (writer, numbers) in written {
        for (number, index) in numbers {
          var record = Self.record(writer, index)
          record.sequence = number
          all[number] = record
        }
      }
      return all
    }
  }

  /// The numbers whose records must be there once nobody writes any more: the newest of each writer.
  var kept: Set<UInt64> {
    written.withLock { written in
      Set(written.values.flatMap { $0.suffix(rings.capacity).map(\.number) })
    }
  }

  /// What is wrong with a stream of records that a reader saw from number 0 up to another; nil for nothing.
  func fault(in stream: [TraceRecord], upTo end: UInt64) -> String? {
    let all = all
    var next: UInt64 = 0
    for record in stream {
      guard record.sequence == next else { return "\(record.sequence) after \(next)" }
      if record.kind == .gap {
        guard record.value > 0 else { return "an empty gap at \(next)" }
        next += record.value
      } else {
        guard record == all[next] else { return "another record under \(next)" }
        next += 1
      }
    }
    return next == end ? nil : "it ends at \(next), not at \(end)"
  }
}

/// One who reads a stream piece by piece.
struct StreamReader {
  private(set) var stream: [TraceRecord] = []
  private(set) var next: UInt64 = 0

  /// Reads on, some records at most.
  mutating func read(_ rings: TraceRings, atMost limit: Int = .max) {
    for record in rings.records(from: next).prefix(limit) {
      stream.append(record)
      next = record.kind == .gap ? record.sequence + record.value : record.sequence + 1
    }
  }

  /// The numbers of the records that were not lost.
  var seen: Set<UInt64> { Set(stream.lazy.filter { $0.kind != .gap }.map(\.sequence)) }
}
