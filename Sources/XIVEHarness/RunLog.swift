internal import Synchronization
internal import SystemCalls

/// What was done and seen, the last few thousand lines of it: a long run must not grow.
final class RunLog: Sendable {
  private struct Lines {
    var kept: [String] = []
    var next = 0
    var dropped: Int { max(0, next - kept.count) }
  }

  private static let limit = 4_000
  private let start = MonotonicClock.nanoseconds
  private let lines = Mutex(Lines())

  /// Adds a line, with the time since the log began.
  func add(_ text: String) {
    let line = "\(Self.milliseconds(MonotonicClock.nanoseconds - start)) \(text)"
    lines.withLock { lines in
      if lines.kept.count < Self.limit {
        lines.kept.append(line)
      } else {
        lines.kept[lines.next % Self.limit] = line
      }
      lines.next += 1
    }
  }

  /// The last line.
  var last: String {
    lines.withLock { $0.next == 0 ? "its start" : $0.kept[($0.next - 1) % Self.limit] }
  }

  /// All lines that are kept, oldest first.
  var text: String {
    lines.withLock { lines in
      let split = lines.kept.count < Self.limit ? 0 : lines.next % Self.limit
      let head = lines.dropped > 0 ? ["(\(lines.dropped) lines before these were dropped)"] : []
      return (head + lines.kept[split...] + lines.kept[..<split]).joined(separator: "\n") + "\n"
    }
  }

  private static func milliseconds(_ nanoseconds: UInt64) -> String {
    let digits = String(nanoseconds / 1_000)
    let padded = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    return "[\(padded.dropLast(3)).\(padded.suffix(3)) ms]"
  }
}
