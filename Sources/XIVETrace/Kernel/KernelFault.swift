public import TraceRecords
internal import XIVEModel

/// A page fault as the kernel saw it: a record of kind `kernelFault`, in its own words.
///
/// Made by the tracer, never by a device. Such a record has the fields that all have (time when it began, thread and
/// process, device offset, LISN and half), and besides: the faulting address in `value`, the instruction pointer
/// in `queueTime` (low half) and `serviceTime` (high half), and flags and duration in `generation`.
public struct KernelFault: Hashable, Sendable {
  /// The record.
  public private(set) var record: TraceRecord

  /// What the instruction wanted.
  public enum Access: UInt32, Hashable, Sendable, CaseIterable {
    /// The kernel does not tell, and the instruction cannot be read or does both.
    case unknown = 0
    /// To load.
    case read = 1
    /// To store.
    case write = 2
    /// To be fetched.
    case execute = 3

    /// The access's name in every textual form.
    public var name: String { "\(self)" }
  }

  /// How the fault ended.
  public enum Outcome: UInt32, Hashable, Sendable, CaseIterable {
    /// Its end was not seen: a signal ended it, or it still goes on, or samples were lost.
    case unfinished = 0
    /// The page was there, or needed no input: nobody was asked.
    case minor = 1
    /// The page had to be fetched.
    case major = 2
    /// The thread went on to another fault without it: it got a signal.
    case failed = 3

    /// The outcome's name in every textual form.
    public var name: String { "\(self)" }
  }

  // Of `generation`: bits 0-1 access, 2-3 outcome, 4 present, 5 in the kernel, 7-31 duration.
  private static let presentBit: UInt32 = 1 << 4
  private static let kernelBit: UInt32 = 1 << 5
  private static let durationShift: UInt32 = 7
  /// Nanoseconds of one step of a duration; the longest is 4.29 s.
  static let durationStep: UInt64 = 128

  /// Reads a record; nil for one of another kind.
  public init?(_ record: TraceRecord) {
    guard record.kind == .kernelFault else { return nil }
    self.record = record
  }

  /// Creates a fault.
  /// - Parameters:
  ///   - time: when it began, in nanoseconds of `CLOCK_MONOTONIC`.
  ///   - threadID: the thread that touched.
  ///   - processID: its process.
  ///   - address: what it touched.
  ///   - instructionPointer: the instruction that did.
  public init(
    time: UInt64, threadID: UInt32, processID: UInt32, address: UInt64, instructionPointer: UInt64
  ) {
    record = TraceRecord(.kernelFault, time: time)
    record.threadID = threadID
    record.processID = processID
    record.value = address
    record.generation = 0
    record.queueTime = UInt32(truncatingIfNeeded: instructionPointer)
    record.serviceTime = UInt32(truncatingIfNeeded: instructionPointer >> 32)
  }

  /// The address that was touched, in the process.
  public var address: UInt64 { record.value }
  /// The instruction that touched it; in the kernel when ``isInKernel``.
  public var instructionPointer: UInt64 {
    UInt64(record.serviceTime) << 32 | UInt64(record.queueTime)
  }
  /// What the instruction wanted.
  public var access: Access {
    get { Access(rawValue: record.generation & 3) ?? .unknown }
    set { record.generation = record.generation & ~3 | newValue.rawValue }
  }
  /// How it ended.
  public var outcome: Outcome {
    get { Outcome(rawValue: record.generation >> 2 & 3) ?? .unfinished }
    set { record.generation = record.generation & ~(3 << 2) | newValue.rawValue << 2 }
  }
  /// Whether a page was there that did not allow the access: a store to a page that could only be read.
  public var isProtection: Bool {
    get { record.generation & Self.presentBit != 0 }
    set { set(Self.presentBit, newValue) }
  }
  /// Whether the kernel touched the address for the process, as `read` does that fills a mapping.
  public var isInKernel: Bool {
    get { record.generation & Self.kernelBit != 0 }
    set { set(Self.kernelBit, newValue) }
  }
  /// Nanoseconds until it was over, in steps of 128, at most 4.29 s; nil when its end was not seen.
  public var duration: UInt64? {
    get {
      outcome == .minor || outcome == .major
        ? UInt64(record.generation >> Self.durationShift) * Self.durationStep : nil
    }
    set {
      let steps = min((newValue ?? 0) / Self.durationStep, 1 << (32 - Self.durationShift) - 1)
      let flags = record.generation & (1 << Self.durationShift - 1)
      record.generation = flags | UInt32(steps) << Self.durationShift
    }
  }
  /// The device offset that was touched, to the byte; nil for other memory.
  public var offset: UInt64? {
    get { record.offset }
    set { record.offset = newValue }
  }

  private mutating func set(_ bit: UInt32, _ isOn: Bool) {
    record.generation = isOn ? record.generation | bit : record.generation & ~bit
  }

  /// Sets LISN and half, or whatever else names the page.
  mutating func describe(_ target: PageTarget) {
    switch target {
    case .connectedTIMA(let view): record.half = UInt8(view.rawValue)
    case .esb(let lisn, let half):
      record.number = lisn.rawValue
      record.half = UInt8(half.rawValue)
    case .end(let index, let half):
      record.number = index
      record.half = UInt8(half.rawValue)
    case .tima(let server, let view):
      record.number = server.rawValue
      record.half = UInt8(view.rawValue)
    case .phb(let phb, let irq): record.hardware = (phb.rawValue, irq.rawValue)
    }
  }
}
