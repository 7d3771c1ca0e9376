internal import TraceRecords
internal import XIVEModel

/// One line for each event, in columns, in the manner of `strace` and `perf trace`.
///
/// Time, thread, event, what it happened to, what served it, microseconds of waiting and of service, and then what
/// there is to tell besides: value, PQ, result, cause.
public struct TextRenderer: TraceRenderer {
  /// Which clock lines begin with.
  public enum Clock: String, Sendable, CaseIterable {
    /// Seconds since recording began; negative for what was kept from before.
    case relative
    /// Seconds of `CLOCK_MONOTONIC`.
    case monotonic
    /// The time of day.
    case wall
  }

  private let start: TracedDevice.Start
  private let clock: Clock
  private let timeZone: Int
  private let hasColor: Bool

  /// Prepares lines.
  /// - Parameters:
  ///   - start: when recording began.
  ///   - clock: which time lines begin with.
  ///   - timeZone: seconds that the time of day is ahead of UTC.
  ///   - hasColor: whether causes and failures are coloured for a terminal.
  public init(
    start: TracedDevice.Start, clock: Clock = .relative, timeZone: Int = 0, hasColor: Bool = false
  ) {
    self.start = start
    self.clock = clock
    self.timeZone = timeZone
    self.hasColor = hasColor
  }

  /// Appends a line.
  public func add(_ event: TraceEvent, _ names: TaskNames, to text: inout String) {
    text.column(time(event.record.time), 12, isRight: true)
    text += " "
    if event.record.kind == .gap {
      text += paint("\(event.record.value) records lost: overwritten before they were read", .red)
    } else {
      text.column(Self.task(event.record, names), 20)
      text.column(" " + event.kindName, 13)
      text.column(" " + event.name, 28)
      text.column(" " + (event.backingWords ?? "-"), 16)
      text.column(" " + event.timeWords, 14, isRight: true)
      for detail in details(event) { text += "  " + detail }
      while text.last == " " { text.removeLast() }
    }
    text += "\n"
  }

  /// A thread as `perf trace` writes it: `comm/tid`.
  static func task(_ record: TraceRecord, _ names: TaskNames) -> String {
    guard record.threadID != 0 else { return "kernel" }
    return "\(names.name(of: record.threadID) ?? "")/\(record.threadID)"
  }

  private func time(_ time: UInt64) -> String {
    switch clock {
    case .monotonic: TimeWords.seconds(time)
    case .relative:
      time >= start.monotonic
        ? TimeWords.seconds(time - start.monotonic)
        : "-" + TimeWords.seconds(start.monotonic - time)
    case .wall:
      TimeWords.timeOfDay(
        start.realtime &+ time &- start.monotonic &+ UInt64(bitPattern: Int64(timeZone))
          &* 1_000_000_000)
    }
  }

  /// What there is to tell besides, in words, coloured.
  private func details(_ event: TraceEvent) -> [String] {
    var details = event.valueWords.map { [$0] } ?? []
    if let pq = event.record.pq { details.append("PQ \(pq.before)->\(pq.after)") }
    if let failure = event.failureWords { details.append(paint(failure, .red)) }
    if let cause = event.causeWords {
      details.append(event.isRefault ? paint(cause, .yellow) : cause)
    }
    if let sight = event.sight { details.append(sight.words) }
    return details
  }

  /// Colours of terminals: ECMA-48, select graphic rendition.
  private enum Color: Int {
    case red = 31
    case yellow = 33
  }

  private func paint(_ words: String, _ color: Color) -> String {
    hasColor ? "\u{1b}[\(color.rawValue)m\(words)\u{1b}[0m" : words
  }
}

extension String {
  /// Appends text and fills it up with spaces; text that is too long keeps its place, and the next column moves.
  mutating func column(_ text: String, _ width: Int, isRight: Bool = false) {
    let padding = String(repeating: " ", count: max(0, width - text.count))
    self += isRight ? padding + text : text + padding
  }
}
