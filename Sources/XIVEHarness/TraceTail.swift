internal import SystemCalls
internal import TraceRecords
internal import XIVEClient
internal import XIVETrace

/// The records that a device keeps, and the last of them as text, for whoever looks into a failure.
struct TraceTail {
  /// All that its server has kept.
  let trace: Trace

  /// Records that are shown.
  static let limit = 200
  /// Earlier records of hot-plug that are shown as well: watchers of a hole make thousands of records a second.
  static let hotplugLimit = 50

  /// Reads what a device that records all the time has kept.
  /// - Parameter device: the device as it was when recording began.
  /// - Throws: ``/XIVEClient/XIVEClientError`` or ``/XIVETrace/TraceStreamError``, such as for a server that has ended.
  init(_ device: TracedDevice) throws {
    let source = try DeviceTraceSource(device.path)
    // Consumers may still be at work: what they do from here on is not wanted.
    let end = try source.info().next
    var stream = try TraceStream(source, from: .oldest)
    var records: [TraceRecord] = []
    while stream.position < end {
      let batch = try stream.read()
      if batch.isEmpty { break }
      records += batch
    }
    trace = Trace(device: device, records: records)
  }

  /// The last records that have something to tell, with the last name of each of their threads.
  static func last(_ records: [TraceRecord]) -> [TraceRecord] {
    let telling = records.filter { $0.kind != .task && $0.cause != .again }
    let tail = telling.suffix(limit)
    let hotplug = telling.dropLast(limit).filter { $0.isHotplug }
      .suffix(hotplugLimit)
    let threads = Set((hotplug + tail).map(\.threadID))
    var names: [UInt32: TraceRecord] = [:]
    for record in records where record.kind == .task && threads.contains(record.threadID) {
      names[record.threadID] = record
    }
    // In front: who looks at them wants to know all names from the first line on.
    let first = (hotplug.first ?? tail.first)?.sequence ?? 0
    let named = names.values.sorted { $0.threadID < $1.threadID }.map { record in
      var record = record
      record.sequence = first
      return record
    }
    return named + hotplug + tail
  }

  /// The last records as text, a line each.
  var lines: [String] {
    let renderer = TextRenderer(start: trace.device.start)
    var names = TaskNames()
    var text = ""
    for record in Self.last(trace.records) {
      names.note(record)
      let event = TraceEvent(record, trace.device.map)
      if !event.isBookkeeping { renderer.add(event, names, to: &text) }
    }
    return text.split(separator: "\n").map(String.init)
  }
}

extension TraceRecord {
  /// Whether it tells of devices that come and go.
  fileprivate var isHotplug: Bool {
    switch kind {
    case .zap, .publish, .map, .unmap, .plug, .unplug, .fence: true
    case .fill, .load, .store, .writeBack, .trigger, .forward, .eoi, .notify, .attribute,
      .guestError, .update, .task, .gap, .kernelFault, nil:
      false
    }
  }
}
