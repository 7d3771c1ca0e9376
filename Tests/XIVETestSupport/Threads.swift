import Glibc

/// Real threads for tests of things that must work without a lock.
public enum Threads {
  private final class Job: Sendable {
    let index: Int
    let body: @Sendable (Int) -> Void

    init(index: Int, body: @escaping @Sendable (Int) -> Void) {
      self.index = index
      self.body = body
    }
  }

  /// Runs a closure on several threads at once and waits for all of them.
  /// - Parameters:
  ///   - count: how many threads.
  ///   - body: what each does; it gets the thread's index, from 0.
  public static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let threads = (0..<count).map { start(Job(index: $0, body: body)) }
    for thread in threads { pthread_join(thread, nil) }
  }

  /// Lets others run: what a waiting loop calls, so that it also ends on a single CPU.
  public static func yield() { sched_yield() }

  /// Lets others run until something happens, or for so long that it would have happened if it could.
  /// - Parameters:
  ///   - duration: the longest wait.
  ///   - condition: asked again and again.
  /// - Returns: whether it happened.
  public static func sees(
    within duration: Duration = .milliseconds(20), _ condition: () -> Bool
  ) -> Bool {
    let end = ContinuousClock.now + duration
    while !condition() {
      guard ContinuousClock.now < end else { return false }
      yield()
    }
    return true
  }

  private static func start(_ job: Job) -> pthread_t {
    var thread = pthread_t()
    // SAFETY: the thread takes over the reference that is handed to it.
    let argument = unsafe Unmanaged.passRetained(job).toOpaque()
    let status = unsafe pthread_create(&thread, nil, runJob, argument)
    precondition(status == 0, "no thread: \(status)")
    return thread
  }

  private typealias Main = @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?

  private static let runJob: Main = {
    guard let argument = unsafe $0 else { return nil }
    let job = unsafe Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
    job.body(job.index)
    return nil
  }
}
