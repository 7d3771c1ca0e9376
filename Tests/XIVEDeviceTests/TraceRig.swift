import Glibc
import PagedDevice
import Testing
import TraceRecords
import XIVEModel

@testable import XIVEDevice

/// A device that makes records, and requests to it as the threads of a file handle them.
extension Rig {
  static func traced(
    sources: UInt32 = 8, existing: UInt32 = 4, servers: UInt32 = 4,
    geometry: ESBGeometry = .two4K, storeEOI: Bool = false, capacity: Int = 16_384
  ) -> Rig {
    Rig(
      sources: sources, existing: existing, servers: servers, geometry: geometry,
      storeEOI: storeEOI, isTraced: true, traceCapacity: capacity)
  }

  /// Everything that a body leaves in the rings, but for the names of threads.
  func trace(_ body: () throws -> Void) rethrows -> [TraceRecord] {
    let start = device.trace.rings?.horizon ?? 0
    try body()
    guard let rings = device.trace.rings else { return [] }
    return rings.records(from: start).filter { $0.kind != .task }
  }

  /// Handles a request on the calling thread, which is also the toucher.
  /// - Returns: the error number that it is answered with.
  @discardableResult
  func request(
    _ request: TracedRequest, waitingSince: UInt64? = nil, _ body: () throws -> Void
  ) -> Int32 {
    let tracer = device.tracer.flatMap { $0.isOn ? $0 : nil }
    tracer?.began(RequestOrigin(threadID: TraceTask.ownThreadID, waitingSince: waitingSince))
    var number: Int32 = 0
    do { try body() } catch let error as DeviceError { number = error.rawValue } catch {
      number = ENXIO
    }
    tracer?.answering(request, number)
    tracer?.answered()
    return number
  }

  @discardableResult
  func touch(_ offset: UInt64, pages: Int = 1) -> Int32 {
    request(.fill(offset, pages * 4_096)) {
      for page in 0..<pages { _ = try device.image(at: offset + UInt64(page) * 4_096) }
    }
  }

  @discardableResult
  func exactLoad(_ offset: UInt64, byteCount: Int = 8, by opener: Opener = writer) -> Int32 {
    request(.load(offset, byteCount)) { try load(offset, byteCount: byteCount, by: opener) }
  }

  @discardableResult
  func exactStore(
    _ offset: UInt64, _ value: UInt64 = 0, byteCount: Int = 8, by opener: Opener = writer,
    dropsPage: Bool = true
  ) -> Int32 {
    request(.store(offset, byteCount, dropsPage: dropsPage)) {
      try store(offset, Array(value.bigEndian.memoryBytes.suffix(byteCount)), by: opener)
    }
  }

  /// Drops a range as the notifier does.
  func zap(_ range: Range<UInt64>, _ reason: DropReason) {
    device.trace.dropping(range, reason)
    device.trace.dropped(range, reason, since: (TraceClock.nanoseconds, TraceClock.nanoseconds))
  }

  /// Carries an invalidation out as the notifier does.
  func carryOut(_ invalidation: Invalidation?) {
    guard let invalidation else { return }
    for range in invalidation.ranges { zap(range, invalidation.reason) }
    invalidation.completion()
    for range in invalidation.prefault {
      device.trace.prefilled(range, since: TraceClock.nanoseconds)
    }
  }
}

/// A record of the calling thread's, as far as it can be known beforehand.
func expected(_ kind: TraceKind, _ describe: (inout TraceRecord) -> Void) -> TraceRecord {
  var record = TraceRecord(kind)
  record.threadID = TraceTask.ownThreadID
  record.processID = UInt32(getpid())
  describe(&record)
  return record
}

extension TraceRecord {
  /// Without its number and its times.
  var timeless: TraceRecord {
    var record = self
    (record.sequence, record.time, record.queueTime, record.serviceTime) = (0, 0, 0, 0)
    return record
  }
}

extension [TraceRecord] {
  var timeless: [TraceRecord] { map(\.timeless) }
  var kinds: [TraceKind?] { map(\.kind) }
}
