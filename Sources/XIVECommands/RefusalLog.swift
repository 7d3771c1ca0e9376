internal import Logging
internal import Synchronization
internal import SystemCalls
internal import XIVEDevice

/// Why requests are refused, as lines of a log: each reason now and then, however often its request is repeated, and no
/// flood of them however many reasons a caller finds.
final class RefusalLog: Sendable {
  private let logger: Logger
  /// 256 lines in 10 s.
  private let news = Mutex(News<Refusal>(pause: 10_000_000_000, limit: 256))

  init(_ logger: Logger) { self.logger = logger }

  /// Logs a reason, unless it was just logged, or many others were.
  func tell(_ refusal: Refusal) {
    let isNews = news.withLock { $0.isNews(refusal, at: MonotonicClock.nanoseconds) }
    if isNews { logger.notice("refused: \(refusal)") }
  }
}
