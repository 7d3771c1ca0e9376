internal import TraceRecords

/// Puts the samples of several rings into the order of their times.
///
/// A thread changes processors, and the rings are emptied one after the other: the end of a fault can be taken
/// before its beginning. What is older than the round of emptying has been taken from every ring.
struct SampleOrder {
  private var waiting: [TimedSample] = []

  /// Adds samples, in any order.
  mutating func add(_ samples: [TimedSample]) { waiting += samples }

  /// Takes all samples before a time, in their order; equal times stay as they were added.
  mutating func release(before time: UInt64) -> [TimedSample] {
    // The standard library's sort is stable.
    waiting.sort { $0.time < $1.time }
    let count = waiting.firstIndex { $0.time >= time } ?? waiting.count
    defer { waiting.removeFirst(count) }
    return Array(waiting[..<count])
  }
}

/// Makes faults of their beginnings and ends.
struct FaultAssembly {
  private var open: [UInt32: KernelFault] = [:]
  private var finished: [KernelFault] = []

  /// How long a fault may stay without an end before it is told of without one, in nanoseconds.
  ///
  /// The kernel says nothing when a fault ends in a signal, and a thread that got one may never fault again.
  static let patience: UInt64 = 100_000_000

  /// Takes a fault that begins: the thread's fault before it gave no page.
  mutating func begin(_ fault: KernelFault) {
    if var earlier = open.removeValue(forKey: fault.record.threadID) {
      earlier.outcome = .failed
      finished.append(earlier)
    }
    open[fault.record.threadID] = fault
  }

  /// Takes the end of a thread's fault.
  mutating func end(threadID: UInt32, address: UInt64, isMajor: Bool, time: UInt64) {
    guard var fault = open[threadID], fault.address == address else { return }
    open[threadID] = nil
    fault.outcome = isMajor ? .major : .minor
    fault.duration = time >= fault.record.time ? time - fault.record.time : 0
    finished.append(fault)
  }

  /// Says that samples were lost: what is open may have ended.
  mutating func forget() {
    finished += open.values
    open = [:]
  }

  /// Takes the faults that nothing more will be told of.
  /// - Parameter now: the time up to which everything has been added; `UInt64.max` at the end.
  /// - Returns: faults, ascending in time.
  mutating func take(at now: UInt64) -> [KernelFault] {
    let late = open.values.filter { $0.record.time <= now && now - $0.record.time >= Self.patience }
    for fault in late { open[fault.record.threadID] = nil }
    defer { finished = [] }
    return (finished + late).sorted { $0.record.time < $1.record.time }
  }

  /// When the oldest fault began that is still open; nil when there is none.
  var oldest: UInt64? { open.values.map(\.record.time).min() }
}
