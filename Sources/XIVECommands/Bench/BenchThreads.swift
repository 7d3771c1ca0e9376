internal import Glibc
internal import Synchronization
internal import SystemCalls

/// Threads that begin at the same moment.
final class BenchThreads: Sendable {
  /// Threads that are not yet at the start line.
  private let missing: Atomic<Int>
  private let results = Mutex<[Double]>([])

  private init(_ count: Int) { missing = Atomic(count) }

  /// Runs a function on so many threads at once and waits for all of them.
  /// - Parameters:
  ///   - count: number of threads.
  ///   - body: is told which one it runs on, from 0; nil is no result.
  /// - Returns: what they returned, in no order.
  /// - Throws: ``BenchFailure/system(_:_:)`` when no thread can be started.
  static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Double?)
    throws(BenchFailure) -> [Double]
  {
    let run = BenchThreads(count)
    let threads = ThreadGroup()
    defer { threads.join() }
    do {
      for number in 0..<count {
        try threads.start("bench-\(number)") {
          run.waitForAll()
          if let result = body(number) { run.results.withLock { $0.append(result) } }
        }
      }
    } catch {
      run.missing.store(0, ordering: .sequentiallyConsistent)
      throw .system("pthread_create", error)
    }
    threads.join()
    return run.results.withLock { $0 }
  }

  private func waitForAll() {
    missing.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    while missing.load(ordering: .sequentiallyConsistent) > 0 { sched_yield() }
  }
}
