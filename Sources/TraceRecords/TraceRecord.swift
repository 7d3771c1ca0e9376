internal import CXIVE
public import XIVEModel

/// One event of a device: 64 bytes, as region 0x1001 and recorded files hold it.
///
/// Every property reads or writes its field of `struct xive_trace_record`. Times are in nanoseconds of
/// `CLOCK_MONOTONIC`. Source: `xive.h`, `struct xive_trace_record`.
public struct TraceRecord: Hashable, BitwiseCopyable, Sendable {
  /// Its place in the stream.
  public var sequence: UInt64
  /// When it began.
  public var time: UInt64
  private var rawOffset = UInt64.max
  /// What was loaded or stored, bytes of a fill, a zap or an update, sources of a run; see `xive.h`.
  public var value: UInt64 = 0
  /// The thread that touched, asked, or in the server did it; 0 for the kernel itself.
  public var threadID: UInt32 = 0
  /// Its process.
  public var processID: UInt32 = 0
  private var rawNumber = UInt32.max
  /// How often the backing had changed; of an attribute its group, or another request's number.
  public var generation: UInt32 = 0
  /// Nanoseconds for which it is known to have waited before anybody handled it.
  public var queueTime: UInt32 = 0
  /// Nanoseconds from then on until it was answered or done.
  public var serviceTime: UInt32 = 0
  /// The last eight bytes: `hwirq` and what follows it.
  private var facts: UInt64 = 0

  /// Bytes of a record.
  public static let byteCount = Int(XIVE_TRACE_SIZE)
  /// The version of records that this reads and writes.
  public static let version = UInt8(XIVE_TRACE_VERSION)

  /// Creates a record that says nothing but its kind.
  public init(_ kind: TraceKind, sequence: UInt64 = 0, time: UInt64 = 0) {
    self.sequence = sequence
    self.time = time
    self[.kind] = UInt64(kind.rawValue)
    self[.backing] = UInt64(XIVE_TRACE_NO_BACKING)
    self[.version] = UInt64(Self.version)
  }

  /// Reads a record.
  /// - Parameters:
  ///   - bytes: at least ``byteCount`` bytes behind the offset.
  ///   - offset: where it begins, in bytes; it need not be aligned.
  public init(_ bytes: RawSpan, at offset: Int = 0) {
    self = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: TraceRecord.self)
  }

  /// Calls a function with the record's bytes, as they lie in the region and in files.
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let copy = CollectionOfOne(self)
    return try body(unsafe copy.span.bytes)
  }

  /// A field of the last eight bytes: its lowest bit and how many it has.
  private struct Field {
    let shift: UInt64
    let width: UInt64

    static let irq = Field(shift: 0, width: 16)
    static let phb = Field(shift: 16, width: 10)
    static let half = Field(shift: 26, width: 2)
    static let backing = Field(shift: 28, width: 3)
    static let hasPQ = Field(shift: 31, width: 1)
    static let kind = Field(shift: 32, width: 8)
    static let result = Field(shift: 40, width: 8)
    static let cause = Field(shift: 48, width: 4)
    static let version = Field(shift: 52, width: 4)
    static let pqBefore = Field(shift: 56, width: 2)
    static let pqAfter = Field(shift: 58, width: 2)
    static let size = Field(shift: 60, width: 2)
  }

  // Compilers lay bit-fields out from the other end on big-endian hosts; no machine is one that runs this.
  private subscript(field: Field) -> UInt64 {
    get { facts.littleEndian >> field.shift & (1 << field.width - 1) }
    set {
      let mask: UInt64 = (1 << field.width - 1) << field.shift
      facts = (facts.littleEndian & ~mask | newValue << field.shift & mask).littleEndian
    }
  }

  /// What happened; nil for what this version does not know, and for a place where no record is yet.
  public var kind: TraceKind? { TraceKind(rawValue: rawKind) }
  /// Makes it one of another kind, at an offset.
  public mutating func become(_ kind: TraceKind, at offset: UInt64?) {
    self[.kind] = UInt64(kind.rawValue)
    self.offset = offset
  }
  /// The kind's number, also where it is not known.
  public var rawKind: UInt8 { UInt8(self[.kind]) }
  /// The version that made it.
  public var version: UInt8 { UInt8(self[.version]) }
  /// The device offset in bytes; nil for an event without one. Of an attribute its number.
  public var offset: UInt64? {
    get { rawOffset == .max ? nil : rawOffset }
    set { rawOffset = newValue ?? .max }
  }
  /// The LISN; of END pages the END's index, of TIMA pages and of notifications the server.
  public var number: UInt32? {
    get { rawNumber == .max ? nil : rawNumber }
    set { rawNumber = newValue ?? .max }
  }
  /// What served it; nil for nothing.
  public var backing: PageSignature.Backing? {
    get { PageSignature.Backing(rawValue: UInt32(self[.backing])) }
    set { self[.backing] = newValue.map { UInt64($0.rawValue) } ?? UInt64(XIVE_TRACE_NO_BACKING) }
  }
  /// The PHB's number and its interrupt's, where a PHB is the backing.
  public var hardware: (phb: UInt16, irq: UInt16)? {
    get { backing == .phb ? (UInt16(self[.phb]), UInt16(self[.irq])) : nil }
    set {
      self[.phb] = UInt64(newValue?.phb ?? 0)
      self[.irq] = UInt64(newValue?.irq ?? 0)
      if newValue != nil { backing = .phb }
    }
  }
  /// Which page of a pair: trigger or management, ESn or ESe; of a TIMA the view; of an attribute the verb.
  public var half: UInt8 {
    get { UInt8(self[.half]) }
    set { self[.half] = UInt64(newValue) }
  }
  /// PQ before and after; nil where there is none.
  public var pq: (before: PQ, after: PQ)? {
    get {
      self[.hasPQ] == 0
        ? nil : (PQ(rawValue: UInt8(self[.pqBefore])), PQ(rawValue: UInt8(self[.pqAfter])))
    }
    set {
      self[.hasPQ] = newValue == nil ? 0 : 1
      self[.pqBefore] = UInt64(newValue?.before.rawValue ?? 0)
      self[.pqAfter] = UInt64(newValue?.after.rawValue ?? 0)
    }
  }
  /// What became of it.
  public var result: TraceResult {
    get { TraceResult(rawValue: UInt8(self[.result])) }
    set { self[.result] = UInt64(newValue.rawValue) }
  }
  /// Why.
  public var cause: TraceCause {
    get { TraceCause(rawValue: UInt8(self[.cause])) ?? .unknown }
    set { self[.cause] = UInt64(newValue.rawValue) }
  }
  /// Bytes of an access: 1, 2, 4 or 8.
  public var accessByteCount: Int {
    get { 1 << Int(self[.size]) }
    set { self[.size] = UInt64(newValue.trailingZeroBitCount) }
  }
}
