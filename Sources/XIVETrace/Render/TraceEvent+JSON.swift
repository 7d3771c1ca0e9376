internal import TraceRecords
internal import XIVEModel

/// The members of an event in JSON; those that say nothing are left out. Their names are documented in <doc:Tracing>
/// and stay.
extension TraceEvent {
  /// Adds what happened, to what, and what became of it: all but when and who.
  func addFacts(to json: inout JSONText) {
    addPlace(to: &json)
    addBacking(to: &json)
    addOutcome(to: &json)
    addValue(to: &json)
    sight?.add(to: &json)
  }

  private func addPlace(to json: inout JSONText) {
    if let offset {
      json.add("offset", offset)
      json.add("offset_hex", Self.hex(offset))
    }
    json.add("region", regionName)
    let name = name
    json.add("name", name == "-" ? nil : name)
    if let sources {
      json.add("lisn", sources.lowerBound)
      json.add("lisn_count", sources.count > 1 ? sources.count : nil)
    }
    json.add("half", halfName)
    switch target {
    case .end(let index, _): json.add("end", index)
    case .tima(let server, _): json.add("server", server.rawValue)
    default: if record.kind == .notify { json.add("server", record.number) }
    }
  }

  private func addBacking(to json: inout JSONText) {
    if let backing = record.backing { json.add("backing", "\(backing)") }
    if let hardware = record.hardware {
      json.add("phb", hardware.phb)
      json.add("hwirq", isOfWholePHB ? nil : hardware.irq)
    }
    if record.kind == .attribute {
      json.add("verb", ["set", "get", "has", "request"][Int(record.half)])
      json.add(record.half < 3 ? "group" : "request", record.generation)
      json.add("attribute", record.half < 3 ? record.offset : nil)
    } else {
      json.add("generation", hasGeneration ? record.generation : nil)
    }
  }

  private func addOutcome(to json: inout JSONText) {
    guard record.kind != .task, record.kind != .gap else { return }
    switch record.result {
    case .ok: json.add("result", "ok")
    case .absent(let reason): json.add("result", reason.name)
    case .errno(let number):
      json.add("result", ErrorNumber.name(number))
      json.add("errno", number)
    }
    json.add("sigbus", isTrue: isSIGBUS)
    json.add("cause", record.cause == .none ? nil : record.cause.name)
    guard record.kind != .kernelFault else { return }
    if record.kind?.takesTime == true || duration > 0 {
      json.add("queue_ns", record.queueTime)
      json.add("service_ns", record.serviceTime)
    }
    if let pq = record.pq {
      json.add("pq_before", "\(pq.before)")
      json.add("pq_after", "\(pq.after)")
    }
  }

  private func addValue(to json: inout JSONText) {
    switch record.kind {
    case .load, .store, .writeBack:
      json.add("value", record.value)
      json.add("value_hex", Self.hex(record.value))
      json.add("size", record.accessByteCount)
    case .fill, .zap, .update:
      json.add("bytes", record.value)
      json.add("pages", pageCount)
    case .plug:
      let shape = PHBWords(record.value)
      json.add("msis", shape.msis)
      json.add("lsis", shape.lsis)
      json.add("store_eoi", isTrue: shape.storeEOI)
    case .unplug: json.add("unmapped", record.value)
    case .fence: json.add("fenced", record.value)
    case .gap: json.add("lost", record.value)
    case .guestError: json.add("error", GuestErrorName(record.value)?.name ?? "\(record.value)")
    case .eoi, .notify, .attribute, .forward:
      json.add("value", record.value)
      json.add("value_hex", Self.hex(record.value))
    case .publish, .map, .unmap, .trigger, .task, .kernelFault, nil: break
    }
  }
}

extension TraceKind {
  /// Whether what it tells of lasts, so that its times are measured.
  var takesTime: Bool {
    switch self {
    case .fill, .load, .store, .writeBack, .zap, .map, .unmap, .plug, .unplug, .attribute, .update:
      true
    case .publish, .fence, .trigger, .forward, .eoi, .notify, .guestError, .task, .gap,
      .kernelFault:
      false
    }
  }
}
