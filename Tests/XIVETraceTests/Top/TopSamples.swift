import TraceRecords
import XIVEModel

@testable import XIVETrace

/// Records of a small device, made up one by one.
struct TopSamples {
  static let map = DeviceMap(pageShift: 12, sourceCount: 64, serverCount: 4)
  var model = TopModel(Self.map, start: 1_000_000_000)
  private var sequence: UInt64 = 0

  /// Takes a record of an offset, which its kind's closure completes.
  mutating func take(
    _ kind: TraceKind, _ offset: UInt64? = nil, thread: UInt32 = 71,
    _ complete: (inout TraceRecord) -> Void = { _ in }
  ) {
    var record = TraceRecord(kind, sequence: sequence, time: 1_000_000_000 + sequence)
    record.offset = offset
    record.threadID = thread
    record.processID = 70
    complete(&record)
    sequence += 1
    model.take(record)
  }

  /// Takes a fill of a source's page.
  mutating func fill(
    _ lisn: UInt32, _ half: ESBHalf = .management, thread: UInt32 = 71,
    cause: TraceCause = .firstTouch, result: TraceResult = .ok, nanoseconds: UInt32 = 1_000
  ) {
    take(.fill, Self.map.offset(of: .esb(LISN(rawValue: lisn), half)), thread: thread) {
      $0.number = lisn
      $0.half = UInt8(half.rawValue)
      $0.cause = cause
      $0.result = result
      $0.serviceTime = nanoseconds
      $0.value = 4_096
      if result == .ok {
        $0.backing = .ipi
        $0.generation = 1
      }
    }
  }

  /// Names a thread.
  mutating func name(_ name: String, thread: UInt32 = 71) {
    var bytes = Array(name.utf8.prefix(15))
    bytes += [UInt8](repeating: 0, count: 16 - bytes.count)
    let words = [0, 8].map { start in
      (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[start + $1]) << UInt64($1 * 8) }
    }
    take(.task, words[0], thread: thread) { $0.value = words[1] }
  }

  /// Ends the interval, which began at one second, after so many seconds.
  mutating func turn(after seconds: UInt64 = 2) -> TopView {
    model.turn(at: (1 + seconds) * 1_000_000_000)
    return model.view()
  }
}
