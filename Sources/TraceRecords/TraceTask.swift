internal import CSystemCalls

/// A thread and its process.
public struct TraceTask: Hashable, BitwiseCopyable, Sendable {
  /// The thread; 0 for the kernel itself.
  public let threadID: UInt32
  /// Its process; 0 when the thread cannot be seen.
  public let processID: UInt32

  /// Names a thread and its process.
  public init(threadID: UInt32, processID: UInt32) {
    self.threadID = threadID
    self.processID = processID
  }

  /// The calling thread's number.
  public static var ownThreadID: UInt32 { csystem_thread_id() }

  /// Which of the places of per-thread things the calling thread has, below ``TraceRings/laneCount``; nil where more
  /// threads ask.
  public static var slot: Int? {
    let slot = Int(csystem_thread_slot())
    return slot < 0 ? nil : slot
  }

  /// Looks a thread up.
  ///
  /// A system call or two; neither allocates nor touches the process's memory.
  /// - Parameter thread: its number, as this process sees it.
  /// - Returns: the task, and a ``TraceKind/task`` record that names it; nil when it cannot be seen.
  public static func find(_ thread: UInt32) -> (task: TraceTask, record: TraceRecord)? {
    var process: UInt32 = 0
    var name = InlineArray<2, UInt64>(repeating: 0)
    let result = unsafe withUnsafeMutableBytes(of: &name) { bytes in
      unsafe csystem_task(
        thread, &process, bytes.baseAddress?.assumingMemoryBound(to: CChar.self))
    }
    guard result == 0 else { return nil }
    var record = TraceRecord(.task, time: TraceClock.nanoseconds)
    record.threadID = thread
    record.processID = process
    record.offset = name[0]
    record.value = name[1]
    return (TraceTask(threadID: thread, processID: process), record)
  }
}

/// The clock of trace records.
public enum TraceClock {
  /// Nanoseconds of `CLOCK_MONOTONIC`.
  public static var nanoseconds: UInt64 { csystem_monotonic_nanoseconds() }
}
