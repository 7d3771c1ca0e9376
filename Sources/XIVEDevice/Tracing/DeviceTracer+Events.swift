internal import TraceRecords
internal import XIVEModel

/// The records of what happens inside the controller, on whatever thread.
extension DeviceTracer {
  /// A source's state machine took a step.
  func performed(_ event: SourceEvent, _ step: SourceStep, on lisn: LISN) {
    performed(event, step) { record in
      record.number = lisn.rawValue
      record.backing = .ipi
    }
  }

  /// The state machine of a PHB's interrupt took a step.
  func performed(_ event: SourceEvent, _ step: SourceStep, on irq: HardwareIRQ, of phb: PHB) {
    performed(event, step) { record in
      record.number = phb.lisn(servedBy: irq)?.rawValue
      record.hardware = (phb.index.rawValue, irq.rawValue)
    }
  }

  private func performed(
    _ event: SourceEvent, _ step: SourceStep, _ place: (inout TraceRecord) -> Void
  ) {
    let pq = (before: step.before.pq, after: step.after.pq)
    note { $0.pq = pq }
    guard let kind = event.traced else { return }
    var record = TraceRecord(kind, time: TraceClock.nanoseconds)
    place(&record)
    record.pq = pq
    record.value = step.outcome.value
    append(record)
  }

  /// An event left a source.
  func forwarded(_ lisn: LISN, _ eas: EAS, isHeld: Bool) {
    var record = TraceRecord(.forward, time: TraceClock.nanoseconds)
    record.number = lisn.rawValue
    record.value = eas.rawValue
    if isHeld { record.result = .absent(.held) }
    append(record)
  }

  /// An event left a PHB's interrupt that serves no source.
  func wentToHost(_ irq: HardwareIRQ, of phb: PHB) {
    var record = TraceRecord(.forward, time: TraceClock.nanoseconds)
    record.hardware = (phb.index.rawValue, irq.rawValue)
    record.result = .absent(.toHost)
    append(record)
  }

  /// A vCPU has an interrupt to take.
  func notified(_ server: Server, _ ring: UInt64) {
    var record = TraceRecord(.notify, time: TraceClock.nanoseconds)
    record.number = server.rawValue
    record.value = ring
    append(record)
  }

  /// A guest did what hardware drops.
  func guestErred(_ error: GuestError) {
    var record = TraceRecord(.guestError, time: TraceClock.nanoseconds)
    record.value = UInt64(error.kind)
    (record.offset, record.number) = error.place
    append(record)
  }
}

extension SourceEvent {
  /// The kind of the record that it leaves; nil for none of its own.
  fileprivate var traced: TraceKind? {
    switch self {
    case .trigger, .assert, .raise: .trigger
    case .endOfInterrupt: .eoi
    case .get, .set, .deassert, .hold, .resume, .passThrough, .restore, .create, .lower, .share,
      .unshare, .latch,
      .unlatch, .disable, .startOver, .replace:
      nil
    }
  }
}

extension GuestError {
  /// The device offset, or the number of the source, END, NVT or server, that it is about.
  fileprivate var place: (UInt64?, UInt32?) {
    switch self {
    case .absentPage(let offset), .esbOperation(let offset), .image(let offset): (offset, nil)
    case .endStore(let end), .endInvalid(let end), .escalationLoop(let end): (nil, end.rawValue)
    case .timaAccess(let server), .timaStore(let server), .contextInvalid(let server):
      (nil, server.rawValue)
    case .easInvalid(let lisn): (nil, lisn.rawValue)
    case .nvtInvalid(let nvt), .camDuplicate(let nvt): (nil, nvt.rawValue)
    }
  }
}
