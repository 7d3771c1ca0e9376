internal import TraceRecords

/// What one thread knows of the request that it handles, and of those who made its last ones.
///
/// Used by the thread alone that has its slot.
final class TraceScratch: @unchecked Sendable {
  /// Who touched.
  private(set) var threadID: UInt32 = 0
  /// The record that the request will leave; facts are noted in it while it is handled.
  var draft = TraceRecord(.fill)
  /// Whether the device has said what is touched; only the first page of a fill counts.
  var isPlaced = false
  /// The number of a record whose answer is being sent.
  var sequence: UInt64?
  /// Whether the calling thread is handling a request.
  private(set) var isInRequest = false
  /// Stores found in the images of this request.
  var storeCount = 0

  private struct Known: BitwiseCopyable {
    var task = TraceTask(threadID: 0, processID: 0)
    var expires: UInt64 = 0
  }
  /// Sets of four, by the low bits of threads' numbers.
  private var known: InlineArray<256, Known> = .init(repeating: Known())

  /// How long a number is taken for the same thread's: threads' numbers are given away again, but not so soon.
  private static let lifetime: UInt64 = 1_000_000_000

  /// Begins a request.
  func begin(_ thread: UInt32, waitingSince: UInt64?) {
    let now = TraceClock.nanoseconds
    threadID = thread
    draft = TraceRecord(.fill, time: now)
    draft.queueTime = UInt32(clamping: waitingSince.map { now - min($0, now) } ?? 0)
    isPlaced = false
    isInRequest = true
    sequence = nil
    storeCount = 0
  }

  /// Ends it.
  func end() { isInRequest = false }

  /// Who this thread serves, or who it is itself; told of, where it has not been for a while.
  ///
  /// Not looked up before there is a record of it: those who read records leave none.
  func current(_ tell: (TraceRecord) -> Void) -> TraceTask {
    find(isInRequest ? threadID : TraceTask.ownThreadID, TraceClock.nanoseconds, tell)
  }

  /// Finds a thread's process; names it where it has not been named for a while.
  private func find(_ thread: UInt32, _ now: UInt64, _ tell: (TraceRecord) -> Void) -> TraceTask {
    guard thread != 0 else { return TraceTask(threadID: 0, processID: 0) }
    let set = Int(thread & 63) * 4..<Int(thread & 63) * 4 + 4
    for place in set where known[place].task.threadID == thread && now < known[place].expires {
      return known[place].task
    }
    let found = TraceTask.find(thread)
    // Also where it cannot be seen: asking again and again would cost more than the requests.
    let task = found?.task ?? TraceTask(threadID: thread, processID: 0)
    let oldest = set.min { known[$0].expires < known[$1].expires } ?? set.lowerBound
    known[oldest] = Known(task: task, expires: now &+ Self.lifetime)
    if let found { tell(found.record) }
    return task
  }
}
