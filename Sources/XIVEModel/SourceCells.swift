internal import Synchronization

/// The state bytes of all sources, one atomic byte each, in memory that somebody else owns.
///
/// Neighbouring sources lie in different cache lines, so that vCPUs working on neighbouring
/// interrupts do not slow each other. Safe from any thread; takes no lock and does not allocate.
@safe
public struct SourceCells: @unchecked Sendable {
  // SAFETY (and @unchecked Sendable): the owner keeps the memory alive and touches it only through
  // cells; every cell is atomic.
  private let cells: UnsafeMutablePointer<Atomic<UInt8>>
  /// Bytes between the cells of two neighbouring sources.
  private let stride: Int
  /// How many sources have a cell.
  public let count: Int

  private static let lanes = 64

  /// The memory that the cells of so many sources take, in bytes.
  /// - Parameter count: number of sources.
  /// - Returns: bytes; about one a source.
  public static func byteCount(for count: Int) -> Int { stride(for: count) * lanes }

  // One line more than a lane needs: lanes at a power of two apart would share one cache set.
  private static func stride(for count: Int) -> Int {
    ((count + lanes - 1) / lanes + 63) / 64 * 64 + 64
  }

  /// Lays cells over memory; every source is absent at first.
  /// - Parameters:
  ///   - memory: at least ``byteCount(for:)`` bytes, aligned to 64; must outlive every copy of this value.
  ///   - count: number of sources.
  public init(unsafeMemory memory: UnsafeMutableRawBufferPointer, count: Int) {
    precondition(memory.count >= Self.byteCount(for: count), "memory too small for the cells")
    guard let base = memory.baseAddress, Int(bitPattern: base) % 64 == 0 else {
      preconditionFailure("memory for the cells must be aligned to 64 bytes")
    }
    let bytes = Self.byteCount(for: count)
    // An atomic byte is a byte: set as bytes they are ready in a tenth of the time.
    unsafe base.initializeMemory(
      as: UInt8.self, repeating: SourceState.absent.rawValue, count: bytes)
    unsafe cells = base.bindMemory(to: Atomic<UInt8>.self, capacity: bytes)
    stride = Self.stride(for: count)
    self.count = count
  }

  /// Whether a source number has a cell.
  /// - Parameter lisn: the source.
  /// - Returns: false beyond the table.
  public func contains(_ lisn: LISN) -> Bool { Int(lisn.rawValue) < count }

  /// Reads a source's state at this moment.
  /// - Parameter lisn: a source in the table.
  /// - Returns: its state.
  public func state(of lisn: LISN) -> SourceState { state(Int(lisn.rawValue)) }

  /// Reads the state of a PHB's interrupt, where the cells are those of a PHB.
  /// - Parameter irq: an interrupt in the table.
  /// - Returns: its state.
  public func state(of irq: HardwareIRQ) -> SourceState { state(Int(irq.rawValue)) }

  /// Performs one event on one source, as a single atomic step.
  ///
  /// The exchange happens even where the state stays as it is: a trigger that finds the source queued
  /// must still order the device's data before the interrupt that reports it.
  /// - Parameters:
  ///   - event: what happens.
  ///   - lisn: a source in the table.
  /// - Returns: the loaded value and whether the router must hear of it.
  public func perform(_ event: SourceEvent, on lisn: LISN) -> SourceOutcome {
    step(event, on: lisn).outcome
  }

  /// Performs one event on one source, and tells from which state it led to which.
  /// - Parameters:
  ///   - event: what happens.
  ///   - lisn: a source in the table.
  /// - Returns: what ``perform(_:on:)-(_,LISN)`` gives, and the states.
  public func step(_ event: SourceEvent, on lisn: LISN) -> SourceStep {
    step(event, Int(lisn.rawValue))
  }

  /// Performs one event on a PHB's interrupt, where the cells are those of a PHB.
  /// - Parameters:
  ///   - event: what happens.
  ///   - irq: an interrupt in the table.
  /// - Returns: the loaded value and whether an event leaves the PHB.
  public func perform(_ event: SourceEvent, on irq: HardwareIRQ) -> SourceOutcome {
    step(event, on: irq).outcome
  }

  /// Performs one event on a PHB's interrupt, and tells from which state it led to which.
  /// - Parameters:
  ///   - event: what happens.
  ///   - irq: an interrupt in the table.
  /// - Returns: what ``perform(_:on:)-(_,HardwareIRQ)`` gives, and the states.
  public func step(_ event: SourceEvent, on irq: HardwareIRQ) -> SourceStep {
    step(event, Int(irq.rawValue))
  }

  private func state(_ index: Int) -> SourceState {
    unsafe SourceState(rawValue: cell(index).pointee.load(ordering: .sequentiallyConsistent))
  }

  private func step(_ event: SourceEvent, _ index: Int) -> SourceStep {
    let cell = unsafe cell(index)
    var seen = unsafe cell.pointee.load(ordering: .acquiring)
    while true {
      let before = SourceState(rawValue: seen)
      var state = before
      let outcome = state.perform(event)
      let step = SourceStep(outcome: outcome, before: before, after: state)
      if event == .get { return step }
      let (done, actual) = unsafe cell.pointee.weakCompareExchange(
        expected: seen, desired: state.rawValue, ordering: .sequentiallyConsistent)
      if done { return step }
      seen = actual
    }
  }

  @unsafe
  private func cell(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt8>> {
    precondition(index < count, "source number beyond the table")
    return unsafe cells + (index & (Self.lanes - 1)) * stride + index / Self.lanes
  }
}

/// One event on one source: what it did, and from which state it led to which.
public struct SourceStep: Hashable, Sendable {
  /// What it did.
  public let outcome: SourceOutcome
  /// The state that it found.
  public let before: SourceState
  /// The state that it left.
  public let after: SourceState
}
