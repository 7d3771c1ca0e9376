internal import CXIVE
internal import PagedDevice
internal import TraceRecords
internal import XIVEModel

/// Region 0x1001: trace records, 64 bytes each.
extension XIVEDevice {
  /// Reads records from a place in the region on. Whoever does so for the first time turns tracing on.
  ///
  /// Behind the last record that there is come zeros.
  /// - Throws: `EINVAL` for a part of a record, and behind the last place that a record has.
  func loadTrace(
    at offset: UInt64, into bytes: inout MutableRawSpan, by opener: Opener
  ) throws(DeviceError) {
    let size = TraceRecord.byteCount
    guard offset.isMultiple(of: UInt64(size)), bytes.byteCount.isMultiple(of: size),
      offset + UInt64(bytes.byteCount) <= UInt64(Region.traces.count) << Region.shift
    else { throw .invalid }
    var position = offset / UInt64(size)
    // Before anything is read: what happens from here on leaves records.
    trace.readers.begin(opener, at: position) {
      trace.turn(on: true, afterFills: counters.fills.value)
    }
    var merge = trace.rings?.records(from: position)
    for place in stride(from: 0, to: bytes.byteCount, by: size) {
      guard let record = merge?.next() else {
        return fill(&bytes, from: place, andMove: opener, to: position)
      }
      position = record.kind == .gap ? record.sequence + record.value : record.sequence + 1
      bytes.storeBytes(of: record, toByteOffset: place, as: TraceRecord.self)
    }
    fill(&bytes, from: bytes.byteCount, andMove: opener, to: position)
  }

  private func fill(
    _ bytes: inout MutableRawSpan, from place: Int, andMove opener: Opener, to position: UInt64
  ) {
    for word in stride(from: place, to: bytes.byteCount, by: 8) {
      bytes.storeBytes(of: 0, toByteOffset: word, as: UInt64.self)
    }
    trace.readers.move(opener, to: position)
  }

  /// Forgets a reader of records.
  func closeTrace(of opener: Opener) {
    trace.readers.remove(opener) { trace.turn(on: false, afterFills: 0) }
  }

  /// Whether there are records that a descriptor has not read.
  func hasTrace(for opener: Opener, orWake waker: PollWaker) -> Bool {
    trace.readers.isReadable(opener, horizon: { trace.rings?.horizon ?? 0 }, orWake: waker)
  }

  /// Wakes those who wait for records.
  func wakeTraceReaders() { trace.readers.wake { trace.rings?.horizon ?? 0 } }

  /// The state of the stream.
  var traceInfo: xive_info_trace {
    var info = xive_info_trace()
    info.version = UInt32(XIVE_TRACE_VERSION)
    info.on = trace.isOn ? 1 : 0
    info.next = trace.rings?.horizon ?? 0
    info.oldest = trace.rings?.oldest ?? 0
    info.capacity = UInt64(configuration.traceCapacity)
    info.untaken = trace.rings?.untaken ?? 0
    info.readers = UInt64(trace.readers.count)
    return info
  }
}
