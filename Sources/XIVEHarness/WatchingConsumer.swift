internal import Glibc
internal import SystemCalls
public import SystemPackage

/// What a consumer process does: maps the watched pages and reads them on several threads until the board says stop.
///
/// It is told line by line what else to do; the end of its input ends it, so that it does not outlive the harness.
/// Thread rule: belongs to one thread.
public final class WatchingConsumer {
  private let window: WatchedWindow
  private let threads = ThreadGroup()
  private var copies: [ForkedCopy] = []

  /// Opens a device file and a board, and starts the watchers, which wait for the board's word.
  /// - Parameters:
  ///   - path: the device file.
  ///   - board: the board's file.
  ///   - firstSlot: the slot of the first watcher.
  ///   - plan: how to watch.
  /// - Throws: the error of opening or mapping.
  public init(_ path: String, board: String, firstSlot: UInt32, _ plan: ConsumerPlan)
    throws(Errno)
  {
    // Readers never sleep: whoever is read about must not have to wait for their time slices.
    _ = nice(10)
    let window = try WatchedWindow(path, board, plan)
    self.window = window
    for slot in firstSlot..<firstSlot + UInt32(plan.threads) {
      try threads.start("watch") {
        if let triggers = plan.guestTriggers {
          window.runGuest(slot, triggers: triggers)
        } else {
          _ = window.watch(slot, stores: plan.stores)
        }
      }
    }
  }

  /// Does one thing: `split OFFSET BYTES` of the window, `fork SLOT`.
  /// - Parameter line: what.
  /// - Throws: the error of doing it; `EINVAL` for a line that is none of these.
  public func obey(_ line: String) throws(Errno) {
    let words = line.split(separator: " ")
    let numbers = words.dropFirst().compactMap { UInt64($0) }
    switch (words.first, numbers.count) {
    case ("split", 2): try window.split(at: numbers[0], byteCount: numbers[1])
    case ("fork", 1):
      let slot = UInt32(truncatingIfNeeded: numbers[0])
      let window = window
      copies.append(try ForkedCopy { window.watch(slot, stores: false) })
    default: throw .invalidArgument
    }
  }

  /// Waits for the watchers, which the board has told to stop.
  /// - Returns: whether those in forked copies ended well.
  public func join() -> Bool {
    threads.join()
    return copies.map { $0.exitCode() }.allSatisfy { $0 == 0 }
  }
}
