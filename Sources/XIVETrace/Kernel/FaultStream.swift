internal import Synchronization
internal import SystemCalls
internal import SystemPackage
internal import XIVEModel

/// What the two threads behind ``KernelFaults`` share.
final class FaultStream: Sendable {
  private let sampler: FaultSampler
  private let process: TracedProcess
  private let device: FileIdentity
  private let map: DeviceMap
  private let state = Mutex(State())
  private let work: Event
  private let stopEvent: Event
  private let ended: Event
  private let looked: Event

  /// What was taken from the rings at one time.
  private struct Round {
    let start: UInt64
    let chunks: [[UInt8]]
  }

  private struct State {
    var rounds: [Round] = []
    var batch = KernelFaults.Batch()
    var symbols: [UInt64: String] = [:]
    var lost: UInt64 = 0
  }

  /// How long the rings are left to themselves, in milliseconds: the longest delay of what is shown.
  private static let pace: CInt = 10

  init(_ sampler: FaultSampler, _ process: TracedProcess, device: FileIdentity, map: DeviceMap)
    throws(Errno)
  {
    self.sampler = sampler
    self.process = process
    self.device = device
    self.map = map
    work = try Event()
    stopEvent = try Event()
    ended = try Event()
    looked = try Event()
  }

  /// Starts both threads.
  func start(on threads: ThreadGroup) throws(Errno) {
    try threads.start("faults") { self.emptyRings() }
    try threads.start("fault-places") { self.findPlaces() }
  }

  /// Waits until it is known what the process has mapped.
  func waitForLook(milliseconds: CInt) { _ = looked.wait(milliseconds: milliseconds) }

  /// Tells both threads to end.
  func stop() { stopEvent.raise() }

  /// Waits until everything has been found.
  func waitForEnd(milliseconds: CInt) -> Bool { ended.wait(milliseconds: milliseconds) }

  func take() -> KernelFaults.Batch {
    state.withLock { state in
      defer { state.batch.faults = [] }
      return state.batch
    }
  }

  var symbols: [UInt64: String] { state.withLock { $0.symbols } }
  var lost: UInt64 { state.withLock { $0.lost } }

  // MARK: - The thread that must not wait

  private func emptyRings() {
    var isOver = false
    while !isOver {
      isOver = stopEvent.wait(milliseconds: Self.pace)
      let start = MonotonicClock.nanoseconds
      let chunks = sampler.rings.map { $0.take() }.filter { !$0.isEmpty }
      state.withLock { state in
        state.rounds.append(Round(start: isOver ? .max : start, chunks: chunks))
      }
      work.raise()
    }
  }

  // MARK: - The thread that may have to wait for the process

  private func findPlaces() {
    let pipeline = FaultPipeline(process, device: device, map: map, sampler.numbers)
    looked.raise()
    while true {
      _ = work.wait()
      work.lower()
      let rounds = state.withLock { state in
        defer { state.rounds = [] }
        return state.rounds
      }
      for round in rounds { publish(pipeline, pipeline.add(round.chunks, takenAt: round.start)) }
      if rounds.last?.start == .max { break }
    }
    ended.raise()
  }

  private func publish(_ pipeline: FaultPipeline, _ faults: [KernelFault]) {
    state.withLock { state in
      state.batch.faults += faults
      state.batch.completeUntil = pipeline.completeUntil
      state.symbols = pipeline.names
      state.lost = pipeline.lost
    }
  }
}
