internal import SystemCalls
internal import SystemPackage

/// Events on all threads of a process, and the rings that their samples are in.
struct FaultSampler: Sendable {
  /// One ring for each processor.
  let rings: [PerfRing]
  /// What the events are.
  let numbers: PerfEventNumbers
  private let events: [PerfEvent]

  /// How often threads are looked for that were started while events were opened.
  private static let attempts = 5

  /// Starts sampling.
  /// - Parameters:
  ///   - process: whose threads; those that they start are followed.
  ///   - source: where faults are learned from.
  /// - Throws: the error of the first event that was refused; `ESRCH` when there is no thread.
  init(_ process: TracedProcess, _ source: FaultSource) throws(Errno) {
    var attempt = 1
    while true {
      let threads = process.threads
      let opened = try Opening(threads, source)
      // A thread that one without events has started meanwhile would not be followed, and cannot be told from one that
      // is: once more, unless there is none.
      if process.threads == threads || attempt == Self.attempts {
        rings = opened.rings
        events = opened.events
        numbers = opened.numbers
        return
      }
      attempt += 1
    }
  }

  /// What one attempt has opened.
  private struct Opening {
    var rings: [PerfRing] = []
    var events: [PerfEvent] = []
    var numbers = PerfEventNumbers()

    init(_ threads: [Int32], _ source: FaultSource) throws(Errno) {
      for processor in OnlineProcessors.numbers {
        try open(threads, source, processor)
      }
      if rings.isEmpty { throw .noSuchProcess }
    }

    private mutating func open(_ threads: [Int32], _ source: FaultSource, _ processor: Int32)
      throws(Errno)
    {
      var owner: PerfEvent?
      for thread in threads {
        for (request, meaning) in source.requests {
          guard let event = try open(request, thread, processor) else { continue }
          numbers.meanings[event.identity] = meaning
          events.append(event)
          if let owner {
            try event.redirect(to: owner)
          } else {
            owner = event
            rings.append(try ring(of: event))
          }
        }
      }
    }

    /// The kernel says EPERM for too much memory, too: told apart from events that are forbidden.
    private func ring(of event: PerfEvent) throws(Errno) -> PerfRing {
      do { return try PerfRing(event) } catch { throw .noMemory }
    }

    /// Nil for a thread that has ended, and for a processor that has gone.
    private func open(_ request: PerfRequest, _ thread: Int32, _ processor: Int32) throws(Errno)
      -> PerfEvent?
    {
      do { return try PerfEvent(request, threadID: thread, processor: processor) } catch {
        guard error == .noSuchProcess || error == .operationNotSupportedByDevice else {
          throw error
        }
        return nil
      }
    }
  }
}
