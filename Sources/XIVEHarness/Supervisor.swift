internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Watches over a scenario from a thread of its own: shows progress, hears the user's interrupt, and ends a hang.
///
/// Whoever waits for a served file that does not answer waits unkillably; ending the file's connection is what
/// frees them.
final class Supervisor {
  private let finished: Flag
  private let threads = ThreadGroup()

  /// An event that a thread can share.
  private final class Flag: Sendable {
    let event: Event
    init(_ event: consuming Event) { self.event = event }
  }

  /// How often it looks, in milliseconds.
  private static let interval: CInt = 100
  /// Seconds that a scenario gets to end after it was told to, before its files are taken from it; and again
  /// as many before the program gives up.
  private static let grace = 10

  /// Starts watching.
  /// - Parameters:
  ///   - control: the scenario's.
  ///   - patience: seconds without a sign of life that are a hang.
  ///   - last: what the scenario did last.
  ///   - observer: hears of progress, and of a scenario that cannot be ended.
  /// - Throws: the error of starting the thread.
  init(
    _ control: RunControl, patience: Int, last: @escaping @Sendable () -> String,
    _ observer: any RunObserver
  ) throws(Errno) {
    let finished = Flag(try Event())
    self.finished = finished
    try threads.start("supervisor") {
      var ended: UInt64?
      var hasAborted = false
      while !finished.event.wait(milliseconds: Self.interval) {
        observer.progressed(control.progress)
        if StopSignals.isPending { control.end(.interrupted) }
        if control.silence > UInt64(patience) * 1_000_000_000 {
          control.end(.hang(last(), seconds: patience))
          if !hasAborted { control.abortMounts() }
          hasAborted = true
        }
        guard control.ending != nil else { continue }
        let since = ended ?? MonotonicClock.nanoseconds
        ended = since
        let seconds = (MonotonicClock.nanoseconds - since) / 1_000_000_000
        if seconds >= Self.grace { control.abortMounts() }
        if seconds >= 2 * Self.grace { observer.gaveUp(after: last()) }
      }
    }
  }

  /// Stops watching.
  func end() {
    finished.event.raise()
    threads.join()
  }
}

/// Hears what a run is doing; each call comes from one thread at a time, but not always from the same.
public protocol RunObserver: Sendable {
  /// A scenario begins.
  func began(_ scenario: Scenario, number: Int, of count: Int, seed: UInt64)
  /// A step of it went as expected, or not.
  func made(_ step: Step)
  /// So far it is.
  func progressed(_ progress: Progress)
  /// It has ended.
  func ended(_ result: ScenarioResult)
  /// It cannot be ended: the process should exit, which ends its children.
  func gaveUp(after last: String)
}
