internal import CXIVE
internal import PagedDevice
internal import TraceRecords
internal import XIVEModel

extension DeviceTracer {
  /// A control request was handled, or refused; what it has dropped may still be going on.
  func handled(_ request: ControlRequest, _ error: DeviceError?) {
    var record = TraceRecord(.attribute)
    record.value = request.input.head
    // What was read or written behind a pointer, or inline.
    if request.isAttribute { note { record.value = $0.value } }
    record.name(request)
    if let error { record.result = .errno(error.rawValue) }
    append(record, from: origin())
  }
}

extension ControlRequest {
  /// Whether it is about an attribute, whose number and group it has told.
  fileprivate var isAttribute: Bool { verb != XIVE_TRACE_REQUEST }

  fileprivate var verb: UInt32 {
    let isInline = input.count == MemoryLayout<xive_attr>.size
    let isKVM = input.count == AttributeRequest.kvmByteCount
    return switch number {
    case AttributeRequest.kvmSet where isKVM: XIVE_TRACE_SET
    case AttributeRequest.kvmGet where isKVM: XIVE_TRACE_GET
    case AttributeRequest.kvmHas where isKVM: XIVE_TRACE_HAS
    case xive_set_attr_request where isInline: XIVE_TRACE_SET
    case xive_get_attr_request where isInline: XIVE_TRACE_GET
    default: XIVE_TRACE_REQUEST
    }
  }
}

extension TraceRecord {
  /// Says which attribute or other request it is about, and which source, where one is named.
  fileprivate mutating func name(_ request: ControlRequest) {
    half = UInt8(request.verb)
    guard request.isAttribute else {
      generation = request.number
      return
    }
    let attribute: UInt64 = request.input.value(at: 8)
    generation = request.input.value(at: 4)
    offset = attribute
    switch generation {
    case UInt32(KVM_DEV_XIVE_GRP_SOURCE), UInt32(KVM_DEV_XIVE_GRP_SOURCE_CONFIG),
      UInt32(KVM_DEV_XIVE_GRP_SOURCE_SYNC), XIVE_GROUP_PASSTHROUGH:
      number = UInt32(exactly: attribute)
    case XIVE_GROUP_HWIRQ:
      guard let phb = UInt16(exactly: attribute >> 32),
        let irq = UInt16(exactly: attribute & 0xffff_ffff)
      else { return }
      hardware = (phb, irq)
    default: break
    }
  }
}
