internal import Logging
internal import Synchronization
internal import SystemCalls
internal import XIVEDevice

/// Why requests are refused, as lines of a log: each reason now and then, however often its request is repeated.
final class RefusalLog: Sendable {
  private let logger: Logger
  private let lastTimes = Mutex<[Refusal: UInt64]>([:])

  private static let pause: UInt64 = 10_000_000_000
  /// Reasons that are remembered; with more, all are news again.
  private static let limit = 256

  init(_ logger: Logger) { self.logger = logger }

  /// Logs a reason, unless it was just logged.
  func tell(_ refusal: Refusal) {
    let now = MonotonicClock.nanoseconds
    let isNews = lastTimes.withLock { times in
      if let last = times[refusal], now - last < Self.pause { return false }
      if times.count >= Self.limit { times = [:] }
      times[refusal] = now
      return true
    }
    if isNews { logger.notice("refused: \(refusal)") }
  }
}
